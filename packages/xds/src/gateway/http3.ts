import type { AccessLog, ConfigListenerFilter, FilterChain, Listener } from '@istio-ts/envoy';
import type { ProxyScope } from '@istio-ts/mesh/model';
import type { Server } from './server.ts';
import { quicTls } from './tls.ts';

/** How long clients remember that a host speaks HTTP/3. */
const MAX_AGE_SECONDS = 86_400;

/** Value of the header `alt-svc` by which clients learn of HTTP/3 on the same port (RFC 9114, 3.1.1). */
export const altSvc = (port: number): string => `h3=":${port}"; ma=${MAX_AGE_SECONDS}`;

const HTTP_MANAGER = 'envoy.filters.network.http_connection_manager';

/** The same manager for requests that arrive by QUIC. */
const overHttp3 = (filter: ConfigListenerFilter): ConfigListenerFilter =>
  filter.name === HTTP_MANAGER && filter.typedConfig !== undefined
    ? { ...filter, typedConfig: { ...filter.typedConfig, codecType: 'HTTP3', http3ProtocolOptions: {} } }
    : filter;

/** The filter chains of an HTTPS server for HTTP/3: same names, same routes, TLS as part of QUIC. */
export function quicFilterChains(
  chains: readonly FilterChain[],
  tls: NonNullable<Server['tls']>,
  mesh: ProxyScope['mesh'],
): readonly FilterChain[] {
  const transportSocket = quicTls(tls, mesh);
  return chains.map((chain) => ({ ...chain, filters: (chain.filters ?? []).map(overHttp3), transportSocket }));
}

const udpAddress = (address: Listener['address']): Listener['address'] =>
  address?.socketAddress === undefined ? address : { socketAddress: { ...address.socketAddress, protocol: 'UDP' } };

const overUdp = ({ address, additionalAddresses }: Pick<Listener, 'address' | 'additionalAddresses'>) => ({
  address: udpAddress(address),
  ...(additionalAddresses && {
    additionalAddresses: additionalAddresses.map((one) => ({ ...one, address: udpAddress(one.address) })),
  }),
});

/** The UDP listener beside the TCP listener of a port, at the same addresses. */
export const quicListener = (
  address: string,
  port: number,
  tcp: Pick<Listener, 'address' | 'additionalAddresses'>,
  filterChains: readonly FilterChain[],
  accessLog: readonly AccessLog[],
): Listener => ({
  name: `udp_${address}_${port}`,
  ...overUdp(tcp),
  trafficDirection: 'OUTBOUND',
  udpListenerConfig: { quicOptions: {}, downstreamSocketConfig: { preferGro: true } },
  filterChains,
  accessLog,
});
