import type { VirtualHost } from '@istio-ts/envoy';
import type { ProxyScope } from '@istio-ts/mesh/model';
import { memoByInputs } from '../memo.ts';
import { BLACKHOLE_CLUSTER, DYNAMIC_DNS_CLUSTER, PASSTHROUGH_CLUSTER } from '../names.ts';
import { timeouts } from './action.ts';
import { knownHost, resolveDestination } from './destination.ts';

/** What happens to requests for hosts that the mesh does not know. */
export interface UnknownTraffic {
  readonly allowed: boolean;
  /** Cluster for connections. */
  readonly cluster: string;
  /** Cluster for HTTP requests where they are allowed. */
  readonly requests: string;
}

/** The Sidecar's outboundTrafficPolicy, else the mesh's; ALLOW_ANY by default. An egress proxy takes everything unknown. */
export function unknownTraffic(
  scope: Pick<ProxyScope, 'sidecar' | 'mesh' | 'serviceByHost' | 'destinationRules'>,
): UnknownTraffic {
  const policy = scope.sidecar?.spec.outboundTrafficPolicy;
  const mode = policy?.mode ?? scope.mesh.outboundTrafficPolicy?.mode ?? 'ALLOW_ANY';
  if (mode === 'REGISTRY_ONLY') {
    return { allowed: false, cluster: BLACKHOLE_CLUSTER, requests: BLACKHOLE_CLUSTER };
  }
  const proxy = policy?.egressProxy;
  if (proxy?.host !== undefined) {
    const hosts = new Map([[proxy.host, knownHost(scope, proxy.host)]]);
    const { cluster } = resolveDestination(proxy, hosts, proxy.port?.number ?? 0);
    return { allowed: true, cluster, requests: cluster };
  }
  return {
    allowed: true,
    cluster: PASSTHROUGH_CLUSTER,
    requests: mode === 'ALLOW_ANY_DYNAMIC_DNS' ? DYNAMIC_DNS_CLUSTER : PASSTHROUGH_CLUSTER,
  };
}

const BLOCK_ALL: VirtualHost = {
  name: 'block_all',
  domains: ['*'],
  routes: [{ name: 'block_all', match: { prefix: '/' }, directResponse: { status: 502 } }],
  includeRequestAttemptCount: true,
};

const scopeless = {};
const allowAny = memoByInputs(
  (cluster: string) => [scopeless, cluster],
  (cluster): VirtualHost => ({
    name: 'allow_any',
    domains: ['*'],
    routes: [{ name: 'allow_any', match: { prefix: '/' }, route: { cluster, ...timeouts(undefined) } }],
    includeRequestAttemptCount: true,
  }),
);

/** The virtual host for everything that no other one takes. */
export const catchAllHost = (policy: UnknownTraffic): VirtualHost =>
  policy.allowed ? allowAny(policy.requests) : BLOCK_ALL;
