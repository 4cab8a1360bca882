import type { GatewaySpec } from '@istio-ts/api';
import type { Config, ScopedProxy } from './model.ts';
import { byAge } from './order.ts';
import { selectorMatches } from './selector.ts';

/** Name by which VirtualServices refer to a Gateway. */
export const gatewayName = (gateway: Config<GatewaySpec>): string =>
  `${gateway.origin.namespace}/${gateway.origin.name}`;

/**
 * The Gateways that a router serves: those whose selector matches its labels, in any namespace or, with `sameNamespaceOnly`
 * (PILOT_SCOPE_GATEWAY_TO_NAMESPACE), in its own.
 */
export function gatewaysFor(
  gateways: Iterable<Config<GatewaySpec>>,
  proxy: Pick<ScopedProxy, 'namespace' | 'labels'>,
  sameNamespaceOnly: boolean,
): readonly Config<GatewaySpec>[] {
  return [...gateways]
    .filter(
      (gateway) =>
        selectorMatches(gateway.spec.selector, proxy.labels) &&
        (!sameNamespaceOnly || gateway.origin.namespace === proxy.namespace),
    )
    .sort(byAge);
}
