import { isIP } from 'node:net';
import type { ConfigListenerFilter, FilterChain, FilterChainMatch, Listener } from '@istio-ts/envoy';
import type { Origin, ProxyScope, Service, ServicePort } from '@istio-ts/mesh/model';
import { alpnFilter } from '../filter/alpn.ts';
import { httpConnectionManager } from '../filter/http-connection-manager.ts';
import { tcpProxy } from '../filter/tcp-proxy.ts';
import { type Generated, uniqueOrigins } from '../generated.ts';
import { memoByInputs } from '../memo.ts';
import { BLACKHOLE_CLUSTER, PASSTHROUGH_CLUSTER } from '../names.ts';
import { handlingOf, isTls } from '../protocol.ts';
import { followAlias } from '../route/destination.ts';
import { unknownTraffic } from '../route/outbound-policy.ts';
import { sniffedRouteName } from '../route/sidecar.ts';
import { indexVirtualServices, type VirtualServiceIndex, virtualServiceFor } from '../route/virtual-service-index.ts';
import { listenerAccessLog, tcpAccessLog } from '../telemetry/access-log.ts';
import { httpMetrics, tcpMetrics } from '../telemetry/metrics.ts';
import { cidr, withoutEqualMatches } from './chain-match.ts';
import {
  contextInputs,
  detectionTimeout,
  type ListenerContext,
  plainHttpProtocols,
  wildcardAddress,
} from './context.ts';
import { INBOUND_PORT } from './inbound.ts';
import { httpInspector, tlsInspector } from './listener-filter.ts';
import { type L4Context, serverNames, serviceRouting, type TcpRouting, tcpRoutings, tlsRoutings } from './tcp-route.ts';

export const OUTBOUND_PORT = 15001;

/** What is known about one address and port that the proxy's workload may dial. */
interface Plan {
  readonly address: string;
  readonly port: number;
  /** Route configuration for HTTP, if HTTP may arrive. */
  http: string | undefined;
  /** The protocol of some service here is not declared, so that upstream connections may have to follow the client's protocol. */
  sniffed: boolean;
  /** For everything that is not HTTP, in order; one with an empty match takes the rest. */
  readonly tcp: TcpRouting[];
  readonly origins: Origin[];
}

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
    ...routing.limits,
    ...(statPrefix !== undefined ? { statPrefix } : {}),
    accessLog: [
      ...tcpAccessLog(context.mesh),
      ...tcpMetrics(context.proxy, { side: 'source', ...(without !== undefined && { without }) }),
    ],
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
  if (plan.http !== undefined) {
    chains.push({
      filterChainMatch: { transportProtocol: 'raw_buffer', applicationProtocols: plainHttpProtocols(proxy) },
      filters: [
        httpConnectionManager({
          ...context,
          role: 'outbound',
          statPrefix: `outbound_${plan.address}_${plan.port};`,
          routes: { kind: 'rds', name: plan.http },
          metrics: httpMetrics(proxy, { side: 'source' }),
          // A VirtualService may lead requests from any port to one whose protocol is sniffed.
          filters: [alpnFilter()],
        }),
      ],
    });
  }
  const chainOf = (routing: TcpRouting): FilterChain => ({
    ...(Object.keys(routing.match).length > 0 ? { filterChainMatch: routing.match } : {}),
    filters: [tcpFilter(context, routing)],
  });
  const takesAll = plan.tcp.find((r) => Object.keys(r.match).length === 0);
  chains.push(...plan.tcp.filter((r) => Object.keys(r.match).length > 0).map(chainOf));
  const rest =
    takesAll !== undefined
      ? chainOf(takesAll)
      : isWildcard || usesServerNames(plan)
        ? restChain(context, 'PassthroughFilterChain', restCluster)
        : undefined;
  const filterChains = withoutEqualMatches(chains);
  const onlyRest = filterChains.length === 0 && rest !== undefined;
  const inspect = plan.http !== undefined;
  return {
    name: `${plan.address}_${plan.port}`,
    address: { socketAddress: { address: plan.address, portValue: plan.port } },
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
    ...(proxy.interceptionMode === 'NONE' ? {} : { bindToPort: false }),
    accessLog: listenerAccessLog(mesh),
  };
}

function* planInputs({ plan, isWildcard, restCluster }: ListenerInput): Generator<unknown> {
  yield plan.address;
  yield plan.port;
  yield plan.http;
  yield plan.sniffed;
  yield isWildcard;
  yield restCluster;
  for (const { match, targets, limits, origins } of plan.tcp) {
    // Small plain values: their text is a cheaper key than keeping their identity.
    yield JSON.stringify([match, targets, limits, origins.map((o) => `${o.kind}/${o.namespace}/${o.name}`)]);
  }
}

const listener = memoByInputs(
  (input: ListenerInput) => [...contextInputs(input.context), ...planInputs(input)] as [object, ...unknown[]],
  build,
);

/** The listener that all outgoing connections of a sidecar are redirected to; it hands them to the listener of their destination if there is one. */
const virtualOutbound = memoByInputs(
  ({ context, cluster }: { readonly context: ListenerContext; readonly cluster: string }) =>
    [...contextInputs(context), cluster] as [object, ...unknown[]],
  ({ context, cluster }): Listener => {
    const { proxy, mesh } = context;
    const port = mesh.proxyListenPort || OUTBOUND_PORT;
    return {
      name: 'virtualOutbound',
      address: { socketAddress: { address: wildcardAddress(proxy), portValue: port } },
      trafficDirection: 'OUTBOUND',
      useOriginalDst: true,
      filterChains: [
        {
          // A connection to the capture port itself would be forwarded to itself without end.
          name: 'virtualOutbound-blackhole',
          filterChainMatch: { destinationPort: port },
          filters: [tcpFilter(context, { targets: [{ cluster: BLACKHOLE_CLUSTER, weight: 1 }], limits: {} })],
        },
        restChain(context, 'virtualOutbound-catchall-tcp', cluster),
      ],
      ...(proxy.interceptionMode === 'TPROXY' ? { transparent: true } : {}),
      accessLog: listenerAccessLog(mesh),
    };
  },
);

class Plans {
  readonly #plans = new Map<string, Plan>();

  at(address: string, port: number): Plan {
    const key = `${address}_${port}`;
    let plan = this.#plans.get(key);
    if (plan === undefined) {
      plan = { address, port, http: undefined, sniffed: false, tcp: [], origins: [] };
      this.#plans.set(key, plan);
    }
    return plan;
  }

  all(): Iterable<Plan> {
    return this.#plans.values();
  }
}

/** Routings of a TCP or TLS port of a service: those of its VirtualService, then the service itself. */
function tcpRoutingsOf(
  scope: PlanScope,
  tcp: VirtualServiceIndex,
  tls: VirtualServiceIndex,
  service: Service,
  port: ServicePort,
  address: FilterChainMatch,
  shared: boolean,
): readonly TcpRouting[] {
  const context: L4Context = { scope, gateways: ['mesh'], port: port.number };
  const at = (routings: readonly TcpRouting[]): readonly TcpRouting[] =>
    address.prefixRanges === undefined
      ? routings
      : routings.map((r) => (r.match.prefixRanges === undefined ? { ...r, match: { ...r.match, ...address } } : r));
  const takesAll = (routings: readonly TcpRouting[]): boolean =>
    routings.some((r) => Object.keys(r.match).length === 0);
  if (isTls(port.protocol)) {
    const virtualService = virtualServiceFor(tls, service.hostname);
    const routed = virtualService === undefined ? [] : tlsRoutings(virtualService, context);
    // On an address that other services share, only the server name says which of them is meant.
    const own = serviceRouting(
      service,
      shared && address.prefixRanges === undefined ? serverNames([service.hostname]) : {},
      context,
    );
    return at(takesAll(routed) ? routed : [...routed, own]);
  }
  const virtualService = virtualServiceFor(tcp, service.hostname);
  const routed = virtualService === undefined ? [] : tcpRoutings(virtualService, context);
  return at(takesAll(routed) ? routed : [...routed, serviceRouting(service, {}, context)]);
}

/** Addresses that a client of the service dials: its own, or for a headless service those of its pods, where the scope knows them. */
function dialledAddresses(scope: PlanScope, service: Service): readonly string[] {
  const own = service.addresses.filter((a) => isIP(a) !== 0 && a !== '0.0.0.0' && a !== '::');
  if (own.length > 0 || !service.headless) {
    return own;
  }
  // The workload's own address stays out: what it sends to itself does not leave the pod.
  return (scope.headlessAddresses?.get(service.hostname) ?? []).filter((a) => !scope.proxy.ipAddresses.includes(a));
}

function addPort(
  plans: Plans,
  scope: PlanScope,
  tcp: VirtualServiceIndex,
  tls: VirtualServiceIndex,
  service: Service,
  port: ServicePort,
  wildcard: string,
): void {
  const handling = handlingOf(port.protocol);
  if (handling === 'ignore') {
    return;
  }
  const onAll = plans.at(wildcard, port.number);
  const ips = dialledAddresses(scope, service);
  const ranges = service.addresses.filter((a) => a.includes('/'));
  if (handling === 'http') {
    onAll.http = String(port.number);
    onAll.origins.push(service.origin);
    return;
  }
  const routings = (match: FilterChainMatch, shared: boolean) =>
    tcpRoutingsOf(scope, tcp, tls, service, port, match, shared);
  for (const ip of ips) {
    const plan = plans.at(ip, port.number);
    if (handling === 'sniff') {
      plan.http ??= service.addresses.length > 0 ? sniffedRouteName(service, port.number) : String(port.number);
      plan.sniffed = true;
    }
    plan.tcp.push(...routings({}, false));
    plan.origins.push(service.origin);
  }
  if (ips.length > 0 && ranges.length === 0) {
    return;
  }
  onAll.origins.push(service.origin);
  if (handling === 'sniff') {
    onAll.http = String(port.number);
    onAll.sniffed = true;
  }
  const prefixRanges = ranges.map(cidr).filter((c) => c !== undefined);
  onAll.tcp.push(...routings(prefixRanges.length > 0 ? { prefixRanges } : {}, true));
}

/** What the plans depend on: the same for many classes of proxies, unlike the listeners, which name the proxy in their metrics. */
type PlanScope = Pick<
  ProxyScope,
  'mesh' | 'services' | 'serviceByHost' | 'headlessAddresses' | 'virtualServices' | 'destinationRules' | 'sidecar'
> & { readonly proxy: Pick<ProxyScope['proxy'], 'namespace' | 'labels' | 'ipAddresses'> };

interface OutboundPlans {
  readonly restCluster: string;
  readonly wildcard: string;
  readonly plans: readonly { readonly plan: Plan; readonly origins: readonly Origin[] }[];
  /** Equal for plans that give equal listeners. */
  readonly signature: string;
}

function makePlans(scope: PlanScope): OutboundPlans {
  const plans = new Plans();
  const wildcard = wildcardAddress(scope.proxy);
  const tcp = indexVirtualServices(scope.virtualServices, 'mesh', (v) => (v.spec.tcp ?? []).length > 0);
  const tls = indexVirtualServices(scope.virtualServices, 'mesh', (v) => (v.spec.tls ?? []).length > 0);
  // Listeners on the capture ports would take the captured connections away from them.
  const reserved = new Set([
    scope.mesh.proxyListenPort || OUTBOUND_PORT,
    scope.mesh.proxyInboundListenPort || INBOUND_PORT,
  ]);
  for (const service of scope.services) {
    if (service.resolution === 'alias' && followAlias(scope, service.hostname) !== service) {
      continue;
    }
    for (const port of service.ports) {
      if (!reserved.has(port.number)) {
        addPort(plans, scope, tcp, tls, service, port, wildcard);
      }
    }
  }
  const restCluster = unknownTraffic(scope).cluster;
  const sidecar = scope.sidecar === undefined ? [] : [scope.sidecar.origin];
  const result: { plan: Plan; origins: readonly Origin[] }[] = [];
  const signature: unknown[] = [restCluster];
  for (const plan of plans.all()) {
    if (plan.http === undefined && plan.tcp.length === 0) {
      continue;
    }
    const origins = uniqueOrigins([...plan.origins, ...plan.tcp.flatMap((r) => r.origins), ...sidecar]);
    result.push({ plan, origins });
    signature.push(
      plan.address,
      plan.port,
      plan.http,
      plan.sniffed,
      ...plan.tcp.map(({ match, targets, limits }) => [match, targets, limits]),
      origins.map(({ kind, namespace, name }) => `${kind}/${namespace}/${name}`),
    );
  }
  return { restCluster, wildcard, plans: result, signature: JSON.stringify(signature) };
}

const usesSourceLabels = memoByInputs(
  (virtualServices: ProxyScope['virtualServices']) => [virtualServices],
  (virtualServices) =>
    virtualServices.some(({ spec }) =>
      [...(spec.tcp ?? []), ...(spec.tls ?? [])].some((route) =>
        (route.match ?? []).some((match) => Object.keys(match.sourceLabels ?? {}).length > 0),
      ),
    ),
);

const addressTexts = new WeakMap<object, string>();
function addressText(addresses: ProxyScope['headlessAddresses']): string | undefined {
  if (addresses === undefined) {
    return undefined;
  }
  let text = addressTexts.get(addresses);
  if (text === undefined) {
    text = JSON.stringify([...addresses]);
    addressTexts.set(addresses, text);
  }
  return text;
}

/** The client's part of what plans depend on, as text. */
const clientOf = (scope: PlanScope): string =>
  JSON.stringify([
    scope.proxy.namespace,
    usesSourceLabels(scope.virtualServices) ? Object.entries(scope.proxy.labels).sort() : undefined,
    scope.proxy.ipAddresses,
    addressText(scope.headlessAddresses),
    scope.sidecar && [scope.sidecar.origin.namespace, scope.sidecar.origin.name],
  ]);

/** The plans that stand for all equal ones of a kind of clients, so that a change that touches no listener stops here. */
const lastPlans = new WeakMap<ProxyScope['mesh'], Map<string, OutboundPlans>>();
const MAX_CLIENTS = 2000;

const outboundPlans = memoByInputs(
  (scope: PlanScope) => [
    scope.services,
    scope.serviceByHost,
    scope.virtualServices,
    scope.destinationRules,
    scope.mesh,
    scope.sidecar,
    clientOf(scope),
  ],
  (scope): OutboundPlans => {
    const made = makePlans(scope);
    const byClient = lastPlans.get(scope.mesh) ?? new Map<string, OutboundPlans>();
    lastPlans.set(scope.mesh, byClient);
    const client = clientOf(scope);
    const last = byClient.get(client);
    if (last?.signature === made.signature) {
      return last;
    }
    if (byClient.size >= MAX_CLIENTS) {
      byClient.clear();
    }
    byClient.set(client, made);
    return made;
  },
);

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
  ({ plans: { plans, restCluster, wildcard }, context, sidecar }): readonly Generated<Listener>[] => {
    const result: Generated<Listener>[] = [];
    if (context.proxy.interceptionMode !== 'NONE') {
      const origins = sidecar === undefined ? [] : [sidecar.origin];
      result.push({ resource: virtualOutbound({ context, cluster: restCluster }), origins });
    }
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
