import type {
  ConfigListenerFilter,
  FilterChain,
  FilterChainMatch,
  Listener,
  RouteConfiguration,
  RouteRetryPolicy,
} from '@istio-ts/envoy';
import { parseProtocol } from '@istio-ts/mesh';
import type { InboundTarget, MutualTlsMode, Origin, ProxyScope } from '@istio-ts/mesh/model';
import { type InboundPolicies, inboundPolicies } from '../filter/policies.ts';
import { httpConnectionManager } from '../filter/http-connection-manager.ts';
import { tcpProxy } from '../filter/tcp-proxy.ts';
import { type Generated, uniqueOrigins } from '../generated.ts';
import { memoByInputs } from '../memo.ts';
import { BLACKHOLE_CLUSTER, INBOUND_PASSTHROUGH_CLUSTER, inboundCluster } from '../names.ts';
import { type Handling, handlingOf } from '../protocol.ts';
import { timeouts } from '../route/action.ts';
import { listenerAccessLog, tcpAccessLog } from '../telemetry/access-log.ts';
import { httpMetrics, tcpMetrics } from '../telemetry/metrics.ts';
import { peerMetadataFilter } from '../telemetry/peer.ts';
import {
  contextInputs,
  detectionTimeout,
  INBOUND_PORT,
  type ListenerContext,
  listeningOn,
  plainHttpProtocols,
  wildcardAddress,
} from './context.ts';
import { httpInspector, ORIGINAL_DST, ORIGINAL_SRC, tlsInspector } from './listener-filter.ts';
import { meshServerTls } from './tls.ts';

/** Protocol names by which mesh clients say that HTTP follows inside mutual TLS. */
const MESH_HTTP = ['istio-http/1.0', 'istio-http/1.1', 'istio-h2'] as const;
/** The same for bytes. */
const MESH_TCP = ['istio', 'istio-peer-exchange'] as const;

/** One port of the workload, or (without `port`) all that no service declares. */
interface Destination {
  readonly port: number | undefined;
  readonly handling: Exclude<Handling, 'ignore'>;
  readonly mode: MutualTlsMode;
  readonly cluster: string;
  readonly chainNames: { readonly http: string; readonly tcp: string };
  readonly statPrefix: string;
  readonly routes: RouteConfiguration;
}

interface ChainInput {
  readonly context: ListenerContext;
  readonly policies: InboundPolicies;
}

/** A request that the application cannot have seen, because it closed the connection before, is sent again (Istio 1.24, inbound retries). */
const UNSEEN_BY_APPLICATION: RouteRetryPolicy = { retryOn: 'reset-before-request', numRetries: 2 };

function routes(name: string, hostName: string, cluster: string, operation: string | undefined): RouteConfiguration {
  return {
    name,
    virtualHosts: [
      {
        name: hostName,
        domains: ['*'],
        routes: [
          {
            name: 'default',
            match: { prefix: '/' },
            route: { cluster, ...timeouts(undefined), retryPolicy: UNSEEN_BY_APPLICATION },
            ...(operation !== undefined ? { decorator: { operation } } : {}),
          },
        ],
      },
    ],
    validateClusters: false,
  };
}

function declared(target: InboundTarget, mode: MutualTlsMode, wildcard: string): Destination | undefined {
  const handling = handlingOf(target.port.protocol);
  if (handling === 'ignore') {
    return undefined;
  }
  const port = target.targetPort;
  const name = `${wildcard}_${port}`;
  return {
    port,
    handling,
    mode,
    cluster: inboundCluster(port),
    chainNames: { http: name, tcp: name },
    statPrefix: `inbound_${name};`,
    routes: routes(
      inboundCluster(port),
      `inbound|http|${target.port.number}`,
      inboundCluster(port),
      `${target.service.hostname}:${target.port.number}/*`,
    ),
  };
}

/** A port that a Sidecar declares; with any, the services' ports do not count (Sidecar reference, ingress). */
function ingressDestination(ingress: SidecarIngress, mode: MutualTlsMode, wildcard: string): Destination | undefined {
  const port = ingress.port?.number;
  const handling = handlingOf(parseProtocol(ingress.port?.protocol ?? '') ?? 'Auto');
  if (port === undefined || handling === 'ignore') {
    return undefined;
  }
  const name = `${wildcard}_${port}`;
  return {
    port,
    handling,
    mode,
    cluster: inboundCluster(port),
    chainNames: { http: name, tcp: name },
    statPrefix: `inbound_${name};`,
    routes: routes(inboundCluster(port), `inbound|http|${port}`, inboundCluster(port), undefined),
  };
}

function undeclared(port: number | undefined, mode: MutualTlsMode): Destination {
  return {
    port,
    handling: 'sniff',
    mode,
    cluster: INBOUND_PASSTHROUGH_CLUSTER,
    chainNames: { http: 'virtualInbound-catchall-http', tcp: 'virtualInbound' },
    statPrefix: INBOUND_PASSTHROUGH_CLUSTER,
    routes: routes(INBOUND_PASSTHROUGH_CLUSTER, 'inbound|http|0', INBOUND_PASSTHROUGH_CLUSTER, undefined),
  };
}

function httpFilter({ context, policies }: ChainInput, to: Destination, mutualTls: boolean): ConfigListenerFilter {
  return httpConnectionManager({
    ...context,
    role: 'inbound',
    statPrefix: to.statPrefix,
    routes: { kind: 'inline', config: to.routes },
    metrics: httpMetrics(context.proxy, { side: 'destination', mutualTls }),
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
    tcpProxy({
      targets: [{ cluster: to.cluster, weight: 1 }],
      accessLog: [...tcpAccessLog(context.mesh), ...tcpMetrics(context.proxy, { side: 'destination', mutualTls })],
      afterTlsHandshake: mutualTls,
    }),
  ];
}

/** Chains of one destination: mutual TLS with HTTP, with bytes, then plain HTTP, plain bytes and the application's own TLS, as far as its mode admits them. */
function chains(input: ChainInput, to: Destination): readonly FilterChain[] {
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
    filters: [peerMetadataFilter(), ...filters],
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

/** Connections to the capture port itself, not redirected there: nobody to forward to. */
function blackhole(context: ListenerContext, port: number): FilterChain {
  return {
    name: 'virtualInbound-blackhole',
    filterChainMatch: { destinationPort: port },
    filters: [
      tcpProxy({ targets: [{ cluster: BLACKHOLE_CLUSTER, weight: 1 }], accessLog: tcpAccessLog(context.mesh) }),
    ],
  };
}

type SidecarIngress = NonNullable<NonNullable<ProxyScope['sidecar']>['spec']['ingress']>[number];

interface InboundInput {
  readonly context: ListenerContext;
  readonly targets: ProxyScope['inbound'];
  readonly sidecar: ProxyScope['sidecar'];
  readonly peerAuthentication: ProxyScope['peerAuthentication'];
  readonly policies: InboundPolicies;
}

const listener = memoByInputs(
  ({ context, targets, sidecar, peerAuthentication, policies }: InboundInput) =>
    [...contextInputs(context), targets, sidecar, peerAuthentication, policies] as [object, ...unknown[]],
  ({ context, targets, sidecar, peerAuthentication, policies }): Generated<Listener> => {
    const { proxy, mesh } = context;
    const wildcard = wildcardAddress(proxy);
    const port = mesh.proxyInboundListenPort || INBOUND_PORT;
    const modeOf = (p: number): MutualTlsMode => peerAuthentication.portModes.get(p) ?? peerAuthentication.mode;
    const destinations: Destination[] = [];
    const origins: Origin[] = [...peerAuthentication.origins, ...policies.origins];
    const taken = new Set<number>([port]);
    const add = (p: number, destination: Destination | undefined): void => {
      if (destination !== undefined && !taken.has(p)) {
        taken.add(p);
        destinations.push(destination);
      }
    };
    const ingress = sidecar?.spec.ingress ?? [];
    if (ingress.length > 0) {
      origins.push(...(sidecar === undefined ? [] : [sidecar.origin]));
      for (const one of ingress) {
        const p = one.port?.number ?? 0;
        add(p, ingressDestination(one, modeOf(p), wildcard));
      }
    } else {
      for (const target of targets) {
        add(target.targetPort, declared(target, modeOf(target.targetPort), wildcard));
        origins.push(target.service.origin);
      }
    }
    // Ports with a mode of their own that no service declares.
    for (const [p, mode] of peerAuthentication.portModes) {
      if (!taken.has(p) && mode !== peerAuthentication.mode) {
        destinations.push(undeclared(p, mode));
      }
    }
    destinations.push(undeclared(undefined, peerAuthentication.mode));
    const bytes = destinations.filter((d) => d.handling === 'tcp').flatMap((d) => d.port ?? []);
    const plainBytes = destinations
      .filter((d) => d.handling === 'tcp' && d.mode === 'DISABLE')
      .flatMap((d) => d.port ?? []);
    return {
      resource: {
        name: 'virtualInbound',
        ...listeningOn(wildcard, port, proxy),
        trafficDirection: 'INBOUND',
        filterChains: [blackhole(context, port), ...destinations.flatMap((to) => chains({ context, policies }, to))],
        listenerFilters: [
          ...(proxy.interceptionMode === 'TPROXY' ? [ORIGINAL_SRC] : []),
          ORIGINAL_DST,
          tlsInspector(plainBytes),
          httpInspector(bytes),
        ],
        listenerFiltersTimeout: detectionTimeout(mesh),
        continueOnListenerFiltersTimeout: true,
        ...(proxy.interceptionMode === 'TPROXY' ? { transparent: true } : {}),
        accessLog: listenerAccessLog(mesh),
      },
      origins: uniqueOrigins(origins),
    };
  },
);

/** The listener that all arriving connections of a sidecar are redirected to. */
export function inboundListener(scope: ProxyScope, context: ListenerContext): Generated<Listener> {
  return listener({
    context,
    targets: scope.inbound,
    sidecar: scope.sidecar,
    peerAuthentication: scope.peerAuthentication,
    policies: inboundPolicies(scope),
  });
}
