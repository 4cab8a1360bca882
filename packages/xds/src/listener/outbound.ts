import type { ConfigListenerFilter, FilterChain, Listener } from '@istio-ts/envoy';
import type { ProxyScope } from '@istio-ts/mesh/model';
import { dynamicHostsFilter, dynamicServerNameFilter } from '../cluster/dynamic-hosts.ts';
import { alpnFilters } from '../filter/alpn.ts';
import { httpConnectionManager } from '../filter/http-connection-manager.ts';
import { wireFilters } from '../filter/wire-protocol.ts';
import { tcpProxy } from '../filter/tcp-proxy.ts';
import type { Generated } from '../generated.ts';
import { lazyMessage } from '../lazy-message.ts';
import { memoByInputs } from '../memo.ts';
import { BLACKHOLE_CLUSTER, PASSTHROUGH_CLUSTER } from '../names.ts';
import { httpProxyPort } from '../route/http-proxy.ts';
import { listenerAccessLog, tcpAccessLog } from '../telemetry/access-log.ts';
import { httpMetrics, reportingInterval, tcpMetrics } from '../telemetry/metrics.ts';
import { withoutEqualMatches } from './chain-match.ts';
import {
  accepting,
  contextInputs,
  detectionTimeout,
  type ListenerContext,
  listeningOn,
  OUTBOUND_PORT,
  plainHttpProtocols,
  wildcardAddress,
} from './context.ts';
import { httpInspector, tlsInspector } from './listener-filter.ts';
import { connectionLimits } from './connection-limits.ts';
import { type OutboundPlans, outboundPlans } from './outbound-plans.ts';
import type { Plan } from './plan.ts';
import type { TcpRouting } from './tcp-route.ts';
import { findingRequests, httpProxyListener, unknownRequestsChain } from './unknown-requests.ts';

/** A plan's parts by value or identity, for memoising the listener made of it. */
interface ListenerInput {
  readonly context: ListenerContext;
  readonly plan: Plan;
  readonly isWildcard: boolean;
  readonly restCluster: string;
}

function tcpFilter(
  context: ListenerContext,
  routing: Pick<TcpRouting, 'targets' | 'limits'>,
  statPrefix?: string,
): ConfigListenerFilter {
  const [only] = routing.targets;
  const without =
    routing.targets.length === 1 && (only?.cluster === PASSTHROUGH_CLUSTER || only?.cluster === BLACKHOLE_CLUSTER)
      ? only.cluster
      : undefined;
  return tcpProxy({
    targets: routing.targets,
    ...connectionLimits(undefined, context.proxy),
    ...routing.limits,
    ...(statPrefix !== undefined ? { statPrefix } : {}),
    accessLog: [
      ...tcpAccessLog(context, 'outbound'),
      ...tcpMetrics(context, { side: 'source', ...(without !== undefined && { without }) }),
    ],
    reportingInterval: reportingInterval(context, 'source'),
  });
}

/** Forwards what nobody claims as the outbound traffic policy says. */
const restChain = (context: ListenerContext, name: string, cluster: string): FilterChain => ({
  name,
  filters: [tcpFilter(context, { targets: [{ cluster, weight: 1 }], limits: {} })],
});

const usesServerNames = (plan: Plan): boolean => plan.tcp.some((r) => r.match.serverNames !== undefined);

function build({ context, plan, isWildcard, restCluster }: ListenerInput): Listener {
  const { proxy, mesh } = context;
  const chains: FilterChain[] = [];
  // Where nothing but HTTP is expected and nothing else could be done with, there is nothing to look for.
  const onlyHttp = plan.bound && plan.tcp.length === 0;
  if (plan.http !== undefined) {
    chains.push({
      ...(onlyHttp
        ? {}
        : {
            filterChainMatch: { transportProtocol: 'raw_buffer', applicationProtocols: plainHttpProtocols(proxy) },
          }),
      filters: [
        httpConnectionManager({
          ...context,
          role: 'outbound',
          statPrefix: `outbound_${plan.address}_${plan.port};`,
          routes: { kind: 'rds', name: plan.http },
          metrics: httpMetrics(context, { side: 'source' }),
          // A VirtualService may lead requests from any port to one whose protocol is sniffed.
          filters: [...alpnFilters(context.proxy), ...(context.dynamicHosts ? [dynamicHostsFilter(mesh, proxy)] : [])],
        }),
      ],
    });
  }
  const chainOf = (routing: TcpRouting): FilterChain => ({
    ...(Object.keys(routing.match).length > 0 ? { filterChainMatch: routing.match } : {}),
    filters: [
      ...(routing.dynamicPort === undefined ? [] : [dynamicServerNameFilter(mesh, proxy, routing.dynamicPort)]),
      ...wireFilters(
        plan.wire,
        proxy,
        routing.targets.map(({ cluster }) => cluster),
        tcpFilter(context, routing),
      ),
    ],
  });
  const takesAll = plan.tcp.find((r) => Object.keys(r.match).length === 0);
  chains.push(...plan.tcp.filter((r) => Object.keys(r.match).length > 0).map(chainOf));
  const rest =
    takesAll !== undefined
      ? chainOf(takesAll)
      : !plan.bound && (isWildcard || usesServerNames(plan))
        ? restChain(context, 'PassthroughFilterChain', restCluster)
        : undefined;
  const filterChains = withoutEqualMatches(chains);
  const onlyRest = filterChains.length === 0 && rest !== undefined;
  const inspect = plan.http !== undefined && !onlyHttp;
  return {
    name: `${plan.address}_${plan.port}`,
    ...listeningOn(plan.address, plan.port, isWildcard ? proxy : undefined),
    trafficDirection: 'OUTBOUND',
    // A listener with one chain for all is the same as one whose chain is the default, and shorter to read.
    filterChains: onlyRest ? [rest] : filterChains,
    ...(!onlyRest && rest !== undefined ? { defaultFilterChain: rest } : {}),
    ...(inspect || usesServerNames(plan)
      ? {
          listenerFilters: [tlsInspector(), ...(inspect ? [httpInspector()] : [])],
          listenerFiltersTimeout: detectionTimeout(mesh),
          continueOnListenerFiltersTimeout: true,
        }
      : {}),
    ...(plan.bound ? accepting(proxy) : { bindToPort: false }),
    accessLog: listenerAccessLog(context, 'outbound'),
  };
}

function* planInputs({ plan, isWildcard, restCluster }: ListenerInput): Generator<unknown> {
  yield plan.address;
  yield plan.port;
  yield plan.bound;
  yield plan.http;
  yield plan.sniffed;
  yield plan.wire && `${plan.wire.protocol} ${plan.wire.statPrefix}`;
  yield isWildcard;
  yield restCluster;
  for (const { match, targets, limits, dynamicPort, origins } of plan.tcp) {
    // Small plain values: their text is a cheaper key than keeping their identity.
    yield JSON.stringify([
      match,
      targets,
      limits,
      dynamicPort,
      origins.map((o) => `${o.kind}/${o.namespace}/${o.name}`),
    ]);
  }
}

const listener = memoByInputs(
  (input: ListenerInput) => [...contextInputs(input.context), ...planInputs(input)] as [object, ...unknown[]],
  (input) => lazyMessage(() => build(input)),
);

interface VirtualOutboundInput {
  readonly context: ListenerContext;
  /** For connections that nobody claims. */
  readonly cluster: string;
  /** For HTTP requests among them, where these go another way. */
  readonly requests: string | undefined;
  /** Ports that have listeners of their own, sorted; only with `requests`. */
  readonly ports: readonly number[];
}

/** The listener that all outgoing connections of a sidecar are redirected to; it hands them to the listener of their destination if there is one. */
const virtualOutbound = memoByInputs(
  ({ context, cluster, requests, ports }: VirtualOutboundInput) =>
    [...contextInputs(context), cluster, requests, ports.join(' ')] as [object, ...unknown[]],
  (input) => lazyMessage(() => buildVirtualOutbound(input)),
);

function buildVirtualOutbound({ context, cluster, requests, ports }: VirtualOutboundInput): Listener {
  const { proxy, mesh } = context;
  const port = mesh.proxyListenPort || OUTBOUND_PORT;
  return {
    name: 'virtualOutbound',
    ...listeningOn(wildcardAddress(proxy), port, proxy),
    trafficDirection: 'OUTBOUND',
    useOriginalDst: true,
    filterChains: [
      {
        // A connection to the capture port itself would be forwarded to itself without end.
        name: 'virtualOutbound-blackhole',
        filterChainMatch: { destinationPort: port },
        filters: [tcpFilter(context, { targets: [{ cluster: BLACKHOLE_CLUSTER, weight: 1 }], limits: {} })],
      },
      ...(requests === undefined ? [] : [unknownRequestsChain(context, cluster, requests)]),
      restChain(context, 'virtualOutbound-catchall-tcp', cluster),
    ],
    ...(requests === undefined ? {} : findingRequests(context, ports)),
    ...(proxy.interceptionMode === 'TPROXY' ? { transparent: true } : {}),
    ...accepting(proxy),
    accessLog: listenerAccessLog(context, 'outbound'),
  };
}

const listenersOf = memoByInputs(
  ({
    plans,
    context,
    sidecar,
  }: {
    readonly plans: OutboundPlans;
    readonly context: ListenerContext;
    readonly sidecar: ProxyScope['sidecar'];
  }) => [plans, ...contextInputs(context), sidecar],
  ({ plans: { plans, restCluster, restRequests, wildcard }, context, sidecar }): readonly Generated<Listener>[] => {
    const result: Generated<Listener>[] = [];
    if (context.proxy.interceptionMode !== 'NONE') {
      const origins = sidecar === undefined ? [] : [sidecar.origin];
      const ports =
        restRequests === undefined ? [] : [...new Set(plans.map(({ plan }) => plan.port))].sort((a, b) => a - b);
      const input = { context, cluster: restCluster, requests: restRequests, ports };
      result.push({ resource: virtualOutbound(input), origins });
    }
    const proxyPort = httpProxyPort(context);
    if (proxyPort !== undefined)
      result.push({ resource: httpProxyListener({ context, port: proxyPort }), origins: [] });
    for (const { plan, origins } of plans) {
      const isWildcard = plan.address === wildcard;
      result.push({ resource: listener({ context, plan, isWildcard, restCluster }), origins });
    }
    return result;
  },
);

/** Listeners of a sidecar's outgoing traffic: the capture listener, and one for each address and port that the mesh knows. */
export function outboundListeners(scope: ProxyScope, context: ListenerContext): readonly Generated<Listener>[] {
  return listenersOf({ plans: outboundPlans(scope), context, sidecar: scope.sidecar });
}
