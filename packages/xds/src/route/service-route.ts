import type { Route } from '@istio-ts/envoy';
import type { MergedDestinationRule, Service } from '@istio-ts/mesh/model';
import { memoByInputs } from '../memo.ts';
import { outboundCluster } from '../names.ts';
import { timeouts } from './action.ts';
import { hashPolicy, loadBalancerFor } from './hash.ts';
import { type LeanRoutes, retriedByCluster } from './lean.ts';
import { retryPolicy } from './retry.ts';
import type { Retries } from './spec.ts';

/** What the route of a service without a VirtualService depends on. */
export interface ServiceRouteInput {
  readonly service: Service;
  readonly port: number;
  readonly rule: MergedDestinationRule | undefined;
  readonly defaultRetries: Retries | undefined;
  readonly lean: LeanRoutes | undefined;
}

/** The single route of a service port that no VirtualService speaks of. */
export const serviceRoutes = memoByInputs(
  ({ service, port, rule, defaultRetries, lean }: ServiceRouteInput) => [
    service,
    port,
    rule,
    defaultRetries,
    retriedByCluster(lean, service, port),
    lean?.untraced,
  ],
  ({ service, port, rule, defaultRetries, lean }): readonly Route[] => {
    const retries = retriedByCluster(lean, service, port) ? undefined : retryPolicy(undefined, defaultRetries);
    const hash = hashPolicy(loadBalancerFor(rule, port, ''));
    return [
      {
        name: 'default',
        match: { prefix: '/' },
        route: {
          cluster: outboundCluster(port, '', service.hostname),
          ...timeouts(undefined),
          ...(retries !== undefined ? { retryPolicy: retries } : {}),
          ...(hash.length > 0 ? { hashPolicy: hash } : {}),
        },
        ...(lean?.untraced !== true && { decorator: { operation: `${service.hostname}:${port}/*` } }),
      },
    ];
  },
);
