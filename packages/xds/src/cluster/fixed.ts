import type { MeshConfig } from '@istio-ts/api';
import type { Cluster } from '@istio-ts/envoy';
import type { Generated } from '../generated.ts';
import { BLACKHOLE_CLUSTER, INBOUND_PASSTHROUGH_CLUSTER, PASSTHROUGH_CLUSTER } from '../names.ts';
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
