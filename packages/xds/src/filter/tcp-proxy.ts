import type { AccessLog, ConfigListenerFilter, HashPolicy, TcpProxy } from '@istio-ts/envoy';
import { typed } from '../typed.ts';

/** Clusters and weights of a TCP proxy; one alone takes all. */
export type TcpTargets = readonly { readonly cluster: string; readonly weight: number }[];

export interface TcpProxyInput {
  readonly targets: TcpTargets;
  /** Name in Envoy's statistics; the only cluster's name by default. */
  readonly statPrefix?: string;
  readonly accessLog: readonly AccessLog[];
  /** How often the log hears of a connection while it is open; only of its begin and end where not given. */
  readonly reportingInterval?: string | undefined;
  readonly idleTimeout?: string;
  readonly maxConnectionDuration?: string;
  readonly hashPolicy?: readonly HashPolicy[];
  /**
   * Sends the connection through a proxy, which is asked (by CONNECT or POST) to connect to `hostname`, a name or address with a port. Envoy 1.40 was seen to
   * crash when a proxy ends its HTTP/1.1 answer to a POST before the connection ends; a refused CONNECT just ends the connection.
   */
  readonly tunnel?: { readonly hostname: string; readonly usePost: boolean };
  /** Waits with the upstream connection for the end of the client's handshake, so that metrics know the client when it opens. */
  readonly afterTlsHandshake?: boolean;
}

/** Bytes of a client that may wait while its handshake ends. */
const MAX_EARLY_DATA_BYTES = 65_536;

/** Last network filter of a TCP chain. */
export function tcpProxy(input: TcpProxyInput): ConfigListenerFilter {
  const weighted = input.targets.filter((t) => t.weight > 0);
  const targets = weighted.length > 0 ? weighted : input.targets.slice(0, 1);
  const [first] = targets;
  const config: TcpProxy = {
    statPrefix: input.statPrefix ?? first?.cluster ?? 'tcp',
    ...(targets.length === 1
      ? { cluster: first?.cluster }
      : { weightedClusters: { clusters: targets.map(({ cluster, weight }) => ({ name: cluster, weight })) } }),
    ...(input.idleTimeout !== undefined ? { idleTimeout: input.idleTimeout } : {}),
    ...(input.maxConnectionDuration !== undefined
      ? { maxDownstreamConnectionDuration: input.maxConnectionDuration }
      : {}),
    ...(input.hashPolicy !== undefined && input.hashPolicy.length > 0 ? { hashPolicy: input.hashPolicy } : {}),
    ...(input.tunnel !== undefined
      ? { tunnelingConfig: { hostname: input.tunnel.hostname, ...(input.tunnel.usePost ? { usePost: true } : {}) } }
      : {}),
    accessLog: input.accessLog,
    accessLogOptions: {
      flushAccessLogOnConnected: true,
      ...(input.reportingInterval !== undefined && { accessLogFlushInterval: input.reportingInterval }),
    },
    ...(input.afterTlsHandshake === true
      ? { upstreamConnectMode: 'ON_DOWNSTREAM_TLS_HANDSHAKE', maxEarlyDataBytes: MAX_EARLY_DATA_BYTES }
      : {}),
  };
  return {
    name: 'envoy.filters.network.tcp_proxy',
    typedConfig: typed('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', config),
  };
}
