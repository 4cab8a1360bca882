import { isIP } from 'node:net';
import type { FilterChainMatch } from '@istio-ts/envoy';
import { type EgressPort, parseProtocol } from '@istio-ts/mesh';
import type { Origin, ProxyScope, Service, ServicePort } from '@istio-ts/mesh/model';
import { type Wire, wireOf } from '../filter/wire-protocol.ts';
import { outboundCluster } from '../names.ts';
import { handlingOf, isTls } from '../protocol.ts';
import { sniffedRouteName } from '../route/sidecar.ts';
import { type VirtualServiceIndex, virtualServiceFor } from '../route/virtual-service-index.ts';
import { cidr } from './chain-match.ts';
import { type L4Context, serverNames, serviceRouting, type TcpRouting, tcpRoutings, tlsRoutings } from './tcp-route.ts';

/** What is known about one address and port that the proxy's workload may dial. */
export interface Plan {
  /** IP address, or the path of a Unix socket. */
  readonly address: string;
  readonly port: number;
  /** Clients connect to it as it is: nothing is redirected here, and where a connection was meant to go is not known. */
  readonly bound: boolean;
  /** Route configuration for HTTP, if HTTP may arrive. */
  http: string | undefined;
  /** The protocol of some service here is not declared, so that upstream connections may have to follow the client's protocol. */
  sniffed: boolean;
  /** The protocol of a database, where a service here declares one. */
  wire: Wire | undefined;
  /** For everything that is not HTTP, in order; one with an empty match takes the rest. */
  readonly tcp: TcpRouting[];
  readonly origins: Origin[];
}

/** What the plans depend on: the same for many classes of proxies, unlike the listeners, which name the proxy in their metrics. */
export type PlanScope = Pick<
  ProxyScope,
  'mesh' | 'services' | 'serviceByHost' | 'headlessAddresses' | 'virtualServices' | 'destinationRules' | 'sidecar'
> & {
  readonly proxy: Pick<ProxyScope['proxy'], 'namespace' | 'labels' | 'ipAddresses' | 'interceptionMode' | 'metadata'>;
};

/** The plans of a proxy by address and port. */
export class Plans {
  readonly #plans = new Map<string, Plan>();

  at(address: string, port: number, bound = false): Plan {
    const key = `${address}_${port}`;
    let plan = this.#plans.get(key);
    if (plan === undefined) {
      plan = { address, port, bound, http: undefined, sniffed: false, wire: undefined, tcp: [], origins: [] };
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
  // An application dials only families that its pod has.
  const families = new Set(scope.proxy.ipAddresses.map(isIP));
  const own = service.addresses.filter((a) => families.has(isIP(a)) && a !== '0.0.0.0' && a !== '::');
  if (own.length > 0 || !service.headless) {
    return own;
  }
  // The workload's own address stays out: what it sends to itself does not leave the pod.
  return (scope.headlessAddresses?.get(service.hostname) ?? []).filter((a) => !scope.proxy.ipAddresses.includes(a));
}

/** What all plans of a proxy depend on. */
export interface Planning {
  readonly scope: PlanScope;
  readonly plans: Plans;
  readonly tcp: VirtualServiceIndex;
  readonly tls: VirtualServiceIndex;
  /** The address that stands for all that connections are redirected from. */
  readonly wildcard: string;
  /** Where listeners are bound to when nothing is redirected. */
  readonly loopback: string;
}

const wireOfPort = (service: Service, port: ServicePort): Wire | undefined =>
  wireOf(port.protocol, outboundCluster(port.number, '', service.hostname));

/** A port of a service that connections are redirected from, whatever else its address and port are used for. */
export function addCapturedPort(
  { plans, scope, tcp, tls, wildcard }: Planning,
  service: Service,
  port: ServicePort,
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
    plan.wire ??= wireOfPort(service, port);
    plan.origins.push(service.origin);
  }
  if (ips.length > 0 && ranges.length === 0) {
    return;
  }
  onAll.origins.push(service.origin);
  onAll.wire ??= wireOfPort(service, port);
  if (handling === 'sniff') {
    onAll.http = String(port.number);
    onAll.sniffed = true;
  }
  const prefixRanges = ranges.map(cidr).filter((c) => c !== undefined);
  onAll.tcp.push(...routings(prefixRanges.length > 0 ? { prefixRanges } : {}, true));
}

/** Ports that a process without privileges cannot listen on. */
const PRIVILEGED_PORTS = 1024;

/** Whether the proxy may not listen on privileged ports (node metadata UNPRIVILEGED_POD). */
export const isUnprivileged = ({ proxy: { metadata } }: PlanScope): boolean =>
  metadata.UNPRIVILEGED_POD === 'true' || metadata.UNPRIVILEGED_POD === true;

/** A port of a service of which the proxy itself listens on the loopback address: applications name the service in their requests, or it is the only one. */
export function addBoundPort(planning: Planning, service: Service, port: ServicePort, at?: BoundAddress): void {
  const { plans, scope, tcp, tls, loopback } = planning;
  const handling = handlingOf(port.protocol);
  const listened = at?.port ?? port.number;
  if (handling === 'ignore' || (isUnprivileged(scope) && listened > 0 && listened < PRIVILEGED_PORTS)) {
    return;
  }
  const plan = plans.at(at?.address ?? loopback, listened, true);
  const takesRest = plan.tcp.some((r) => Object.keys(r.match).length === 0);
  // HTTP and bytes of different services cannot be told apart where the address says nothing: the older wins.
  if (handling === 'http' ? takesRest : plan.http !== undefined && !plan.sniffed) {
    return;
  }
  plan.origins.push(service.origin);
  if (handling !== 'tcp') {
    plan.http ??= at?.routes ?? String(port.number);
    plan.sniffed ||= handling === 'sniff';
  }
  if (handling !== 'http' && !takesRest) {
    plan.tcp.push(...tcpRoutingsOf(scope, tcp, tls, service, port, {}, isTls(port.protocol)));
  }
}

/** Where an egress listener of a Sidecar listens. */
interface BoundAddress {
  readonly address: string;
  /** 0 for a Unix socket. */
  readonly port: number;
  readonly routes: string;
}

/** Name of the route configuration of an egress listener. */
export const egressRouteName = (listener: EgressPort['listener']): string =>
  listener.bind?.startsWith('unix://') === true
    ? listener.bind.slice('unix://'.length)
    : String(listener.port?.number ?? 0);

/** The port of a service that an egress listener leads to: that of the same number, or the only one. */
function portBehind(service: Service, number: number): ServicePort | undefined {
  return service.ports.find((p) => p.number === number) ?? (service.ports.length === 1 ? service.ports[0] : undefined);
}

/**
 * An egress listener with a port or socket of its own. Its protocol says how connections are handled; what is redirected there keeps its address, else
 * it is bound (Sidecar reference, IstioEgressListener).
 */
export function addEgressPort(planning: Planning, { listener, services }: EgressPort): void {
  const number = listener.port?.number ?? 0;
  const declared = parseProtocol(listener.port?.protocol ?? '') ?? 'Auto';
  const socket = listener.bind?.startsWith('unix://') === true;
  const isBound = socket || listener.captureMode === 'NONE' || planning.scope.proxy.interceptionMode === 'NONE';
  const routes = egressRouteName(listener);
  const bind = listener.bind ?? '';
  for (const service of services) {
    const behind = socket && number === 0 ? service.ports[0] : portBehind(service, number);
    if (behind === undefined) {
      continue;
    }
    const port: ServicePort = { ...behind, protocol: declared === 'Auto' ? behind.protocol : declared };
    if (isBound || bind !== '') {
      const address = socket ? routes : bind !== '' ? bind : planning.loopback;
      const at = { address, port: socket ? 0 : number, routes };
      if (isBound) {
        addBoundPort(planning, service, port, at);
      } else {
        // Redirected connections to one address of the user's choice.
        addRedirectedAddress(planning, service, port, at);
      }
    } else if (behind.number === number) {
      addCapturedPort(planning, service, port);
    }
  }
}

function addRedirectedAddress(planning: Planning, service: Service, port: ServicePort, at: BoundAddress): void {
  const plan = planning.plans.at(at.address, at.port);
  const handling = handlingOf(port.protocol);
  plan.origins.push(service.origin);
  if (handling === 'http' || handling === 'sniff') {
    plan.http ??= at.routes;
    plan.sniffed ||= handling === 'sniff';
  }
  if (handling === 'tcp' || handling === 'sniff') {
    plan.tcp.push(
      ...tcpRoutingsOf(planning.scope, planning.tcp, planning.tls, service, port, {}, isTls(port.protocol)),
    );
  }
}
