import type {
  ConfigListenerFilter,
  FilterChain,
  FilterChainMatch,
  RouteConfiguration,
  TransportSocket,
} from '@istio-ts/envoy';
import type { MutualTlsMode } from '@istio-ts/mesh/model';
import { httpConnectionManager } from '../filter/http-connection-manager.ts';
import type { InboundPolicies } from '../filter/policies.ts';
import { tcpProxy } from '../filter/tcp-proxy.ts';
import { type Wire, wireFilters } from '../filter/wire-protocol.ts';
import type { Handling } from '../protocol.ts';
import { tcpAccessLog } from '../telemetry/access-log.ts';
import { httpMetrics, reportingInterval, tcpMetrics } from '../telemetry/metrics.ts';
import { peerMetadataFilter } from '../telemetry/peer.ts';
import type { connectionLimits } from './connection-limits.ts';
import { type ListenerContext, plainHttpProtocols } from './context.ts';
import { meshServerTls } from './tls.ts';

/** Protocol names by which mesh clients say that HTTP follows inside mutual TLS. */
const MESH_HTTP = ['istio-http/1.0', 'istio-http/1.1', 'istio-h2'] as const;
/** The same for bytes. */
const MESH_TCP = ['istio', 'istio-peer-exchange'] as const;

/** One port of the workload, or (without `port`) all that no service declares. */
export interface Destination {
  readonly port: number | undefined;
  readonly handling: Exclude<Handling, 'ignore'>;
  readonly mode: MutualTlsMode;
  readonly cluster: string;
  /** The protocol that connections speak, where it is one of a database. */
  readonly wire?: Wire | undefined;
  readonly chainNames: { readonly http: string; readonly tcp: string };
  readonly statPrefix: string;
  readonly routes: RouteConfiguration;
  /** Of connections of bytes. */
  readonly limits?: ReturnType<typeof connectionLimits>;
  /** Where the proxy ends TLS of clients outside the mesh, which then is the only way in beside mutual TLS. */
  readonly ownTls?: TransportSocket | undefined;
}

export interface ChainInput {
  readonly context: ListenerContext;
  readonly policies: InboundPolicies;
}

function httpFilter({ context, policies }: ChainInput, to: Destination, mutualTls: boolean): ConfigListenerFilter {
  return httpConnectionManager({
    ...context,
    role: 'inbound',
    statPrefix: to.statPrefix,
    routes: { kind: 'inline', config: to.routes },
    metrics: httpMetrics(context, { side: 'destination', mutualTls }),
    filters: policies.http,
  });
}

function tcpFilters(
  { context, policies }: ChainInput,
  to: Destination,
  mutualTls: boolean,
): readonly ConfigListenerFilter[] {
  return [
    ...policies.network,
    ...wireFilters(
      to.wire,
      context.proxy,
      [to.cluster],
      tcpProxy({
        targets: [{ cluster: to.cluster, weight: 1 }],
        accessLog: [...tcpAccessLog(context, 'inbound'), ...tcpMetrics(context, { side: 'destination', mutualTls })],
        reportingInterval: reportingInterval(context, 'destination'),
        afterTlsHandshake: mutualTls,
        ...to.limits,
      }),
    ),
  ];
}

/** Chains of one destination: mutual TLS with HTTP, with bytes, then plain HTTP, plain bytes and the application's own TLS, as far as its mode admits them. */
export function inboundChains(input: ChainInput, to: Destination): readonly FilterChain[] {
  const { context } = input;
  const match = (rest: FilterChainMatch): Pick<FilterChain, 'filterChainMatch'> => ({
    filterChainMatch: { ...(to.port !== undefined ? { destinationPort: to.port } : {}), ...rest },
  });
  const secured = (
    name: string,
    applicationProtocols: readonly string[],
    filters: readonly ConfigListenerFilter[],
  ): FilterChain => ({
    name,
    ...match({ transportProtocol: 'tls', ...(applicationProtocols.length > 0 ? { applicationProtocols } : {}) }),
    filters: [...peerMetadataFilter(context.proxy), ...filters],
    transportSocket: meshServerTls(context),
  });
  const result: FilterChain[] = [];
  const strict = to.mode === 'STRICT';
  // Where plain traffic is admitted, TLS of the application itself may arrive too: only Istio's protocol names tell them apart.
  const names = (...lists: readonly (readonly string[])[]): readonly string[] => (strict ? [] : lists.flat());
  if (to.mode !== 'DISABLE') {
    switch (to.handling) {
      case 'http':
        result.push(secured(to.chainNames.http, names(MESH_HTTP, MESH_TCP), [httpFilter(input, to, true)]));
        break;
      case 'tcp':
        result.push(secured(to.chainNames.tcp, names(MESH_HTTP, MESH_TCP), tcpFilters(input, to, true)));
        break;
      case 'sniff':
        result.push(secured(to.chainNames.http, MESH_HTTP, [httpFilter(input, to, true)]));
        result.push(secured(to.chainNames.tcp, names(MESH_TCP), tcpFilters(input, to, true)));
        break;
    }
  }
  if (strict) {
    return result;
  }
  const plain = (name: string, rest: FilterChainMatch, filters: readonly ConfigListenerFilter[]): FilterChain => ({
    name,
    ...match(rest),
    filters,
  });
  const onlyPlain = to.mode === 'DISABLE';
  const { ownTls } = to;
  if (ownTls !== undefined) {
    const filters = to.handling === 'tcp' ? tcpFilters(input, to, false) : [httpFilter(input, to, false)];
    const name = to.handling === 'tcp' ? to.chainNames.tcp : to.chainNames.http;
    return [...result, { name, ...match({ transportProtocol: 'tls' }), filters, transportSocket: ownTls }];
  }
  switch (to.handling) {
    case 'http':
      result.push(
        plain(to.chainNames.http, onlyPlain ? {} : { transportProtocol: 'raw_buffer' }, [httpFilter(input, to, false)]),
      );
      break;
    case 'tcp':
      if (onlyPlain) {
        result.push(plain(to.chainNames.tcp, {}, tcpFilters(input, to, false)));
      } else {
        result.push(plain(to.chainNames.tcp, { transportProtocol: 'raw_buffer' }, tcpFilters(input, to, false)));
        result.push(plain(to.chainNames.tcp, { transportProtocol: 'tls' }, tcpFilters(input, to, false)));
      }
      break;
    case 'sniff':
      result.push(
        plain(
          to.chainNames.http,
          { transportProtocol: 'raw_buffer', applicationProtocols: plainHttpProtocols(context.proxy) },
          [httpFilter(input, to, false)],
        ),
      );
      result.push(plain(to.chainNames.tcp, { transportProtocol: 'raw_buffer' }, tcpFilters(input, to, false)));
      result.push(plain(to.chainNames.tcp, { transportProtocol: 'tls' }, tcpFilters(input, to, false)));
      break;
  }
  return result;
}
