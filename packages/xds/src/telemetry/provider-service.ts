import type { ProxyScope } from '@istio-ts/mesh/model';
import { outboundCluster } from '../names.ts';
import { followAlias } from '../route/destination.ts';

/** Where a provider's service is for a proxy. */
export interface ProviderTarget {
  readonly cluster: string;
  readonly hostname: string;
}

/**
 * Cluster of a service that a provider of the mesh names as `HOST` or `NAMESPACE/HOST`; undefined where the proxy does not see it or it has no such
 * port: Envoy refuses whole listeners that name a cluster which is not there.
 */
export function providerTarget(
  { serviceByHost }: Pick<ProxyScope, 'serviceByHost'>,
  { service: name, port }: { readonly service: string; readonly port: number },
): ProviderTarget | undefined {
  const slash = name.indexOf('/');
  const service = followAlias({ serviceByHost }, name.slice(slash + 1).toLowerCase());
  if (service === undefined || (slash > 0 && service.namespace !== name.slice(0, slash))) return undefined;
  if (!service.ports.some(({ number, protocol }) => number === port && protocol !== 'UDP')) return undefined;
  return { cluster: outboundCluster(port, '', service.hostname), hostname: service.hostname };
}
