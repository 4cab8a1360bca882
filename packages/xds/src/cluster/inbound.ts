import { isIP } from 'node:net';
import type { MeshConfig, SidecarSpec } from '@istio-ts/api';
import type { Cluster } from '@istio-ts/envoy';
import { isHttp, isHttp2 } from '@istio-ts/mesh';
import type { InboundTarget, Origin, Protocol, ScopedProxy, Service, ServicePort } from '@istio-ts/mesh/model';
import { endpointAddress } from '../endpoint/index.ts';
import { type Generated, uniqueOrigins } from '../generated.ts';
import { inboundCluster } from '../names.ts';
import { circuitBreakers, connectionOptions, connectTimeout } from './connection-pool.ts';
import { httpProtocol, type UpstreamProtocol } from './http-protocol.ts';
import { clusterMetadata } from './metadata.ts';
import { inboundStatName } from './stat-name.ts';
import { type ConnectionPool, effectivePolicy } from './traffic-policy.ts';

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
  /** What counts where the Sidecar says nothing: limits for everybody's connections to the service. */
  readonly clientsPool: ConnectionPool | undefined;
  /** Where to send instead of to the address that was dialled: a Sidecar's `defaultEndpoint`, `host:port` or `unix:///path`. */
  readonly endpoint: string | undefined;
  readonly proxy: InboundProxy;
  readonly origins: readonly Origin[];
}

/** What of a proxy says how it reaches its own application. */
export type InboundProxy = Pick<ScopedProxy, 'ipAddresses' | 'interceptionMode'>;

/**
 * Connections that the proxy opens to its own application come from an address of each family by which the interception rules let them pass
 * (envoy-notes, "Interception"); with TPROXY from the client's, which a listener filter chooses.
 */
export function inboundBinding({ ipAddresses, interceptionMode }: InboundProxy): Pick<Cluster, 'upstreamBindConfig'> {
  if (interceptionMode === 'TPROXY') return {};
  const families = new Set(ipAddresses.map(isIP));
  const own = [...(families.has(4) || !families.has(6) ? ['127.0.0.6'] : []), ...(families.has(6) ? ['::6'] : [])];
  const [first = '127.0.0.6', ...others] = own;
  return {
    upstreamBindConfig: {
      sourceAddress: { address: first, portValue: 0 },
      ...(others.length > 0 && {
        extraSourceAddresses: others.map((address) => ({ address: { address, portValue: 0 } })),
      }),
    },
  };
}

/**
 * What limits connections to the workload where its Sidecar does not: the DestinationRule of the service, its port before the whole, else what the mesh
 * sets for all services (Istio, precedence of `inboundConnectionPool`).
 */
export const clientsPool = (target: InboundTarget | undefined, mesh: MeshConfig): ConnectionPool | undefined =>
  effectivePolicy(target?.rule?.spec, undefined, target?.port.number ?? 0, mesh).connectionPool;

/** The cluster `inbound|PORT||`. */
export function buildInboundCluster(input: InboundClusterInput): Generated<Cluster> {
  const { port, mesh } = input;
  const pool = input.pool ?? input.clientsPool;
  const name = inboundCluster(port);
  const http = httpProtocol(upstreamProtocol(input.protocol, pool, input.pool), { pool });
  const options = connectionOptions(pool, mesh);
  const override = input.endpoint === undefined ? undefined : ownAddressPort(input.endpoint);
  const target =
    input.endpoint === undefined || override !== undefined ? undefined : readEndpoint(input.endpoint, port);
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
          ...inboundBinding(input.proxy),
          ...(override !== undefined && { originalDstLbConfig: { upstreamPortOverride: override } }),
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

/**
 * What the port is declared to speak, unless the client's protocol is to be kept, or the Sidecar wants HTTP/2 (ConnectionPoolSettings.HTTPSettings): an
 * upgrade that a DestinationRule wants is one between proxies.
 */
function upstreamProtocol(
  protocol: Protocol,
  pool: ConnectionPool | undefined,
  own: ConnectionPool | undefined,
): UpstreamProtocol {
  if (isHttp(protocol) && pool?.http?.useClientProtocol === true) return 'downstream';
  if (isHttp2(protocol) || (isHttp(protocol) && own?.http?.h2UpgradePolicy === 'UPGRADE')) return 'http2';
  if (isHttp(protocol)) return 'http1';
  return protocol === 'Auto' ? 'downstream' : 'none';
}

/** Port of a `defaultEndpoint` that means the workload's own address, `0.0.0.0:PORT` or `[::]:PORT`: that which the client dialled. */
function ownAddressPort(endpoint: string): number | undefined {
  const port = /^(?:0\.0\.0\.0|\[::\]):(\d+)$/.exec(endpoint)?.[1];
  return port === undefined ? undefined : Number(port);
}

/** Reads a `defaultEndpoint` that is loopback or a socket. */
function readEndpoint(endpoint: string, port: number): { readonly address: string; readonly port: number } {
  if (endpoint.startsWith('unix://')) return { address: endpoint, port: 0 };
  const colon = endpoint.lastIndexOf(':');
  const host = endpoint.slice(0, colon).replace(/^\[|\]$/g, '');
  const number = Number(endpoint.slice(colon + 1)) || port;
  return { address: host === '' ? '127.0.0.1' : host, port: number };
}

/** A listener that a Sidecar declares for traffic to its workload. */
export type SidecarIngress = NonNullable<SidecarSpec['ingress']>[number];
