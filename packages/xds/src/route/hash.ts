import type { RouteAction_HashPolicy } from '@istio-ts/envoy';
import type { MergedDestinationRule } from '@istio-ts/mesh/model';
import { policyFor } from '../cluster/traffic-policy.ts';
import { protoDuration } from '../duration.ts';
import type { LoadBalancer } from './spec.ts';

/** The load balancer settings of a DestinationRule that hold for a port and subset. */
export function loadBalancerFor(
  rule: MergedDestinationRule | undefined,
  port: number,
  subset: string,
): LoadBalancer | undefined {
  return rule === undefined ? undefined : policyFor(rule.spec, subset, port).loadBalancer;
}

/** What of a request the consistent hash is made of. */
export function hashPolicy(settings: LoadBalancer | undefined): readonly RouteAction_HashPolicy[] {
  const hash = settings?.consistentHash;
  if (hash === undefined) {
    return [];
  }
  if (hash.httpHeaderName !== undefined && hash.httpHeaderName !== '') {
    return [{ header: { headerName: hash.httpHeaderName } }];
  }
  if (hash.httpCookie !== undefined) {
    const { name, path, ttl, attributes } = hash.httpCookie;
    const seconds = protoDuration(ttl);
    return [
      {
        cookie: {
          name,
          ...(path !== undefined ? { path } : {}),
          ...(seconds !== undefined ? { ttl: seconds } : {}),
          ...(attributes !== undefined && attributes.length > 0 ? { attributes } : {}),
        },
      },
    ];
  }
  if (hash.useSourceIp === true) {
    return [{ connectionProperties: { sourceIp: true } }];
  }
  if (hash.httpQueryParameterName !== undefined && hash.httpQueryParameterName !== '') {
    return [{ queryParameter: { name: hash.httpQueryParameterName } }];
  }
  return [];
}
