import type { MeshConfig, SidecarSpec } from '@istio-ts/api';
import type { Cluster } from '@istio-ts/envoy';
import { isHttp, isHttp2 } from '@istio-ts/mesh';
import type { Origin, Protocol, Service, ServicePort } from '@istio-ts/mesh/model';
import { endpointAddress } from '../endpoint/index.ts';
import { type Generated, uniqueOrigins } from '../generated.ts';
import { inboundCluster } from '../names.ts';
import { circuitBreakers, connectionOptions, connectTimeout } from './connection-pool.ts';
import { httpProtocol, type UpstreamProtocol } from './http-protocol.ts';
import { clusterMetadata } from './metadata.ts';
import { inboundStatName } from './stat-name.ts';
import type { ConnectionPool } from './traffic-policy.ts';

/** All that the cluster of one of the workload's own ports depends on. */
export interface InboundClusterInput {
  /** Port on which the application listens. */
  readonly port: number;
  readonly protocol: Protocol;
  /** Services that the port serves, oldest first. */
  readonly services: readonly Service[];
  /** Port of the oldest of them. */
  readonly servicePort?: ServicePort | undefined;
  readonly mesh: MeshConfig;
  /** Limits of the Sidecar or of nobody. */
  readonly pool: ConnectionPool | undefined;
  /** Where to send instead of to the address that was dialled: a Sidecar's `defaultEndpoint`, `host:port` or `unix:///path`. */
  readonly endpoint: string | undefined;
  readonly ipv6: boolean;
  readonly origins: readonly Origin[];
}

/** Connections that the proxy opens to its own application come from here, so that the interception rules let them pass (envoy-notes, "Interception"). */
export const inboundSource = (ipv6: boolean): string => (ipv6 ? '::6' : '127.0.0.6');

/** The cluster `inbound|PORT||`. */
export function buildInboundCluster(input: InboundClusterInput): Generated<Cluster> {
  const { port, mesh } = input;
  // What the mesh sets for traffic to every service counts for its last step too, where no Sidecar says otherwise.
  const pool = input.pool ?? mesh.defaultTrafficPolicy?.connectionPool;
  const name = inboundCluster(port);
  const http = httpProtocol(upstreamProtocol(input.protocol), { pool });
  const options = connectionOptions(pool, mesh);
  const target = input.endpoint === undefined ? undefined : readEndpoint(input.endpoint, port);
  const resource: Cluster = {
    name,
    ...inboundStatName(mesh, input.services[0], input.servicePort),
    ...(target
      ? {
          type: 'STATIC',
          loadAssignment: {
            clusterName: name,
            endpoints: [{ lbEndpoints: [{ endpoint: { address: endpointAddress(target.address, target.port) } }] }],
          },
          lbPolicy: 'ROUND_ROBIN',
        }
      : {
          type: 'ORIGINAL_DST',
          lbPolicy: 'CLUSTER_PROVIDED',
          cleanupInterval: '60s',
          upstreamBindConfig: { sourceAddress: { address: inboundSource(input.ipv6), portValue: 0 } },
        }),
    connectTimeout: connectTimeout(pool, mesh),
    circuitBreakers: circuitBreakers({ ...(pool && { connectionPool: pool }) }),
    ...(http && { typedExtensionProtocolOptions: http }),
    commonLbConfig: {},
    metadata: clusterMetadata({ services: input.services }),
    ...(options && { upstreamConnectionOptions: options }),
  };
  return { resource, origins: uniqueOrigins([...input.origins, ...input.services.map((service) => service.origin)]) };
}

function upstreamProtocol(protocol: Protocol): UpstreamProtocol {
  if (isHttp2(protocol)) return 'http2';
  if (isHttp(protocol)) return 'http1';
  return protocol === 'Auto' ? 'downstream' : 'none';
}

/** Reads a `defaultEndpoint`. `0.0.0.0:PORT` and `[::]:PORT` mean the workload's own address, at which the proxy finds its application on loopback too. */
function readEndpoint(endpoint: string, port: number): { readonly address: string; readonly port: number } {
  if (endpoint.startsWith('unix://')) return { address: endpoint, port: 0 };
  const colon = endpoint.lastIndexOf(':');
  const host = endpoint.slice(0, colon).replace(/^\[|\]$/g, '');
  const number = Number(endpoint.slice(colon + 1)) || port;
  if (host === '0.0.0.0' || host === '') return { address: '127.0.0.1', port: number };
  return { address: host === '::' ? '::1' : host, port: number };
}

/** A listener that a Sidecar declares for traffic to its workload. */
export type SidecarIngress = NonNullable<SidecarSpec['ingress']>[number];
