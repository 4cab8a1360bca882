import type { MeshConfig } from '@istio-ts/api';
import type { Cluster } from '@istio-ts/envoy';
import type { Generated } from '../generated.ts';
import { BLACKHOLE_CLUSTER, DYNAMIC_DNS_CLUSTER, INBOUND_PASSTHROUGH_CLUSTER, PASSTHROUGH_CLUSTER } from '../names.ts';
import { dynamicHostsCluster } from './dynamic-hosts.ts';
import { autoSni, type ClientFiles, originatedTls } from './tls.ts';
import { circuitBreakers, connectionOptions, connectTimeout } from './connection-pool.ts';
import { httpProtocol } from './http-protocol.ts';
import { inboundBinding, type InboundProxy } from './inbound.ts';

/** Has no endpoint: what is sent here is refused. */
export const blackHoleCluster = (mesh: MeshConfig): Generated<Cluster> => ({
  resource: { name: BLACKHOLE_CLUSTER, type: 'STATIC', connectTimeout: connectTimeout(undefined, mesh) },
  origins: [],
});

/** Sends to where the client wanted to go, in the client's protocol. */
export const passthroughCluster = (mesh: MeshConfig): Generated<Cluster> => ({
  resource: { ...originalDestination(PASSTHROUGH_CLUSTER, mesh) },
  origins: [],
});

/** The same for traffic that arrives for ports of no service. */
export const inboundPassthroughCluster = (mesh: MeshConfig, proxy: InboundProxy): Generated<Cluster> => ({
  resource: {
    ...originalDestination(INBOUND_PASSTHROUGH_CLUSTER, mesh),
    ...inboundBinding(proxy),
  },
  origins: [],
});

/** Sends requests to the host that each names, over TLS where the mesh says so (MeshConfig, `outboundTrafficPolicy.tls`). */
export function dynamicDnsCluster(
  mesh: MeshConfig,
  ipv6Only: boolean,
  maxHosts: number | undefined,
  files: ClientFiles | undefined,
): Generated<Cluster> {
  const pool = mesh.defaultTrafficPolicy?.connectionPool;
  const options = connectionOptions(pool, mesh);
  const policy = mesh.outboundTrafficPolicy;
  const tls =
    policy?.mode === 'ALLOW_ANY_DYNAMIC_DNS' && (policy.tls?.mode === 'SIMPLE' || policy.tls?.mode === 'MUTUAL')
      ? policy.tls
      : undefined;
  const http = httpProtocol(tls ? 'http1' : 'downstream', { pool, autoSni: tls && autoSni(tls, mesh) });
  return {
    resource: {
      name: DYNAMIC_DNS_CLUSTER,
      connectTimeout: connectTimeout(pool, mesh),
      ...dynamicHostsCluster(mesh, ipv6Only, maxHosts),
      circuitBreakers: circuitBreakers({ ...(pool && { connectionPool: pool }) }),
      ...(options && { upstreamConnectionOptions: options }),
      ...(http && { typedExtensionProtocolOptions: http }),
      ...(tls && { transportSocket: originatedTls(tls, mesh, [], files) }),
    },
    origins: [],
  };
}

function originalDestination(name: string, mesh: MeshConfig): Cluster {
  const pool = mesh.defaultTrafficPolicy?.connectionPool;
  const options = connectionOptions(pool, mesh);
  const http = httpProtocol('downstream', { pool });
  return {
    name,
    type: 'ORIGINAL_DST',
    connectTimeout: connectTimeout(pool, mesh),
    lbPolicy: 'CLUSTER_PROVIDED',
    circuitBreakers: circuitBreakers({ ...(pool && { connectionPool: pool }) }),
    ...(options && { upstreamConnectionOptions: options }),
    ...(http && { typedExtensionProtocolOptions: http }),
  };
}
