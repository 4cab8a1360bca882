import type { RouteConfiguration, VirtualHost } from '@istio-ts/envoy';
import type { Origin, ProxyScope, Service, VirtualService } from '@istio-ts/mesh/model';
import type { Generated } from '../generated.ts';
import { memoByInputs } from '../memo.ts';
import { handlingOf } from '../protocol.ts';
import { destinationHosts } from './destination.ts';
import { domainsOf } from './domains.ts';
import { egressRoutes, hasEgressPorts } from './egress.ts';
import { isWildcard } from './host-name.ts';
import { type LeanRoutes, leanRoutes } from './lean.ts';
import { catchAllHost, unknownTraffic } from './outbound-policy.ts';
import {
  allSidecarRoutes,
  httpIndex,
  mayBeHttp,
  type RouteScope,
  routesOfService,
  sniffedRouteName,
} from './sidecar.ts';
import { lazyRouteConfiguration, noteOrigins, virtualHost } from './virtual-host.ts';
import type { VirtualServiceIndex } from './virtual-service-index.ts';

type Routes = ReadonlyMap<string, Generated<RouteConfiguration>>;

/** The services with HTTP on one port. */
interface PortServices {
  readonly services: readonly Service[];
  readonly byHost: ReadonlyMap<string, Service>;
  /** Those of them that have a route configuration of their own. */
  readonly sniffed: readonly Service[];
}

interface ServiceFacts {
  /** No wildcards and aliases, which make hosts depend on each other. */
  readonly plain: boolean;
  readonly byPort: ReadonlyMap<number, PortServices>;
}

/** Found once for all who see the same services. */
const factsOf = memoByInputs(
  (services: readonly Service[]) => [services],
  (services): ServiceFacts => {
    const byPort = new Map<number, { services: Service[]; byHost: Map<string, Service>; sniffed: Service[] }>();
    let plain = true;
    for (const service of services) {
      if (isWildcard(service.hostname) || service.resolution === 'alias') plain = false;
      for (const number of new Set(service.ports.map((port) => port.number))) {
        if (!mayBeHttp(service, number)) continue;
        let port = byPort.get(number);
        if (port === undefined) {
          port = { services: [], byHost: new Map(), sniffed: [] };
          byPort.set(number, port);
        }
        port.services.push(service);
        port.byHost.set(service.hostname, service);
        const sniffed = service.ports.some((p) => p.number === number && handlingOf(p.protocol) === 'sniff');
        if (sniffed && service.addresses.length > 0) port.sniffed.push(service);
      }
    }
    return { plain, byPort };
  },
);

/** What of one list is not in another. */
const missingFrom = memoByInputs(
  ({ of, from }: { readonly of: readonly Service[]; readonly from: readonly Service[] }) => [of, from],
  ({ of, from }): readonly Service[] => {
    const present = new Set(from);
    return of.filter((service) => !present.has(service));
  },
);

interface Host {
  readonly domains: readonly string[];
  readonly host: VirtualHost;
  readonly origins: readonly Origin[];
}

interface PortTable {
  readonly hosts: Map<Service, Host>;
  readonly domains: Set<string>;
  services: readonly Service[];
  routes: Generated<RouteConfiguration>;
  readonly sniffed: Map<Service, Generated<RouteConfiguration>>;
}

/** Keys of a map whose values are not the identical ones in the other. */
function* changedKeys<T>(before: ReadonlyMap<string, T>, after: ReadonlyMap<string, T>): Iterable<string> {
  if (before === after) return;
  for (const [key, value] of after) if (before.get(key) !== value) yield key;
  for (const key of before.keys()) if (!after.has(key)) yield key;
}

/** Two hosts claim a domain or depend on each other otherwise: the tables have to be made as a whole. */
class NotPlain extends Error {}

/**
 * The route tables of one kind of clients, brought from one state of the mesh to the next: a change costs the hosts that it touches. What it gives is
 * what `allSidecarRoutes` would give.
 */
class SidecarTables {
  scope: RouteScope;
  result: Routes;
  #index: VirtualServiceIndex;
  #rest: VirtualHost;
  /** Undefined while hosts depend on each other. */
  #ports: Map<number, PortTable> | undefined;

  constructor(scope: RouteScope) {
    this.scope = scope;
    this.#index = httpIndex(scope);
    this.#rest = catchAllHost(unknownTraffic(scope));
    this.result = this.#fromScratch();
  }

  isAt(scope: RouteScope): boolean {
    return similarity(this.scope, scope) === inputs.length;
  }

  moveTo(scope: RouteScope): void {
    const before = { scope: this.scope, index: this.#index, rest: this.#rest };
    this.scope = scope;
    this.#index = before.scope.virtualServices === scope.virtualServices ? before.index : httpIndex(scope);
    this.#rest = catchAllHost(unknownTraffic(scope));
    if (
      this.#ports === undefined ||
      before.rest !== this.#rest ||
      before.scope.sidecar !== scope.sidecar ||
      !sameKind(before.scope.lean, scope.lean)
    ) {
      this.result = this.#fromScratch();
      return;
    }
    try {
      this.#checkPlain();
      this.result = this.#advance(before);
    } catch (error) {
      if (!(error instanceof NotPlain)) {
        this.#ports = undefined;
        throw error;
      }
      this.result = this.#fromScratch();
    }
  }

  #checkPlain(): void {
    const { scope } = this;
    if (!factsOf(scope.services).plain || this.#rest.domains?.includes('*') !== true) throw new NotPlain();
    for (const host of this.#index.keys()) if (!scope.serviceByHost.has(host)) throw new NotPlain();
    for (const host of scope.destinationRules.keys()) if (isWildcard(host)) throw new NotPlain();
  }

  #fromScratch(): Routes {
    const ports = new Map<number, PortTable>();
    try {
      this.#checkPlain();
      this.#ports = ports;
      return this.#build(undefined);
    } catch (error) {
      this.#ports = undefined;
      if (!(error instanceof NotPlain)) throw error;
      return allSidecarRoutes(this.scope);
    }
  }

  #advance(before: { readonly scope: RouteScope; readonly index: VirtualServiceIndex }): Routes {
    const { scope } = this;
    // Hosts whose services or rules are others now, and then the hosts whose VirtualServices lead to them.
    const changed = new Set(changedKeys(before.scope.destinationRules, scope.destinationRules));
    if (before.scope.services !== scope.services) {
      for (const { hostname } of missingFrom({ of: before.scope.services, from: scope.services }))
        changed.add(hostname);
      for (const { hostname } of missingFrom({ of: scope.services, from: before.scope.services }))
        changed.add(hostname);
    }
    for (const host of differing(before.scope.lean?.keptInRoutes, scope.lean?.keptInRoutes)) changed.add(host);
    const touched = new Set(changed);
    for (const host of changedKeys(before.index, this.#index)) touched.add(host);
    if (changed.size > 0) {
      const leads = new Map<VirtualService, boolean>();
      for (const [host, virtualService] of this.#index) {
        let leadsThere = leads.get(virtualService);
        if (leadsThere === undefined) {
          leadsThere = destinationHosts(virtualService).some((to) => changed.has(to) || changed.has(to.toLowerCase()));
          leads.set(virtualService, leadsThere);
        }
        if (leadsThere) touched.add(host);
      }
    }
    return this.#build(touched);
  }

  /** Makes the hosts of the touched services anew (all where undefined), and what contains them. */
  #build(touched: ReadonlySet<string> | undefined): Routes {
    const ports = this.#ports;
    if (ports === undefined) throw new NotPlain();
    const facts = factsOf(this.scope.services);
    const result = new Map<string, Generated<RouteConfiguration>>();
    for (const number of ports.keys()) if (!facts.byPort.has(number)) ports.delete(number);
    for (const [number, now] of facts.byPort) {
      const table = this.#buildPort(number, now, ports.get(number), touched);
      ports.set(number, table);
      result.set(String(number), table.routes);
      for (const [service, routes] of table.sniffed) result.set(sniffedRouteName(service, number), routes);
    }
    return result;
  }

  #buildPort(
    number: number,
    now: PortServices,
    last: PortTable | undefined,
    touched: ReadonlySet<string> | undefined,
  ): PortTable {
    const isTouched = (service: Service): boolean => touched === undefined || touched.has(service.hostname);
    const hosts = last?.hosts ?? new Map<Service, Host>();
    const domains = last?.domains ?? new Set<string>();
    const sniffed = last?.sniffed ?? new Map<Service, Generated<RouteConfiguration>>();
    let same = last !== undefined && last.services === now.services;
    if (last !== undefined && !same) {
      for (const service of missingFrom({ of: last.services, from: now.services })) {
        for (const domain of hosts.get(service)?.domains ?? []) domains.delete(domain.toLowerCase());
        hosts.delete(service);
        sniffed.delete(service);
      }
    }
    // Of the same services nothing but the touched ones is looked at.
    const candidates =
      same && touched !== undefined ? [...touched].flatMap((host) => now.byHost.get(host) ?? []) : now.services;
    for (const service of candidates) {
      const known = hosts.get(service);
      if (known !== undefined && !isTouched(service)) continue;
      const made = this.#hostOf(service, number, known);
      if (known === undefined)
        for (const domain of made.domains) {
          const name = domain.toLowerCase();
          if (domains.has(name)) throw new NotPlain();
          domains.add(name);
        }
      if (known?.host !== made.host) same = false;
      hosts.set(service, made);
    }
    for (const service of candidates === now.services ? now.sniffed : candidates.filter((one) => sniffed.has(one))) {
      if (sniffed.has(service) && !isTouched(service)) continue;
      sniffed.set(service, this.#sniffedRoutes(service, number));
    }
    if (same && last !== undefined) return { ...last, services: now.services };
    const inOrder = now.services.map((service) => hosts.get(service)).filter((host) => host !== undefined);
    const { sidecar } = this.scope;
    const routes = lazyRouteConfiguration(String(number), [...inOrder.map(({ host }) => host), this.#rest], () => [
      ...inOrder.flatMap(({ origins }) => origins),
      ...(sidecar === undefined ? [] : [sidecar.origin]),
    ]);
    return { hosts, domains, services: now.services, routes, sniffed };
  }

  #hostOf(service: Service, port: number, known: Host | undefined): Host {
    const { namespace, dnsDomain } = this.scope.proxy;
    const domains = known?.domains ?? domainsOf(service.hostname, service, namespace, dnsDomain);
    const { routes, origins } = routesOfService(this.scope, this.#index, service, port);
    const host = virtualHost({ name: `${service.hostname}:${port}`, domains, routes });
    noteOrigins(host, origins);
    return { domains, host, origins };
  }

  #sniffedRoutes(service: Service, port: number): Generated<RouteConfiguration> {
    const name = sniffedRouteName(service, port);
    const { routes, origins } = routesOfService(this.scope, this.#index, service, port);
    // The address says which service is meant; the Host header may be anything.
    return lazyRouteConfiguration(name, [virtualHost({ name, domains: ['*'], routes })], () => origins);
  }
}

const inputs = [
  'mesh',
  'services',
  'serviceByHost',
  'virtualServices',
  'destinationRules',
  'sidecar',
  'proxy',
  'lean',
] as const satisfies readonly (keyof RouteScope)[];

/** Whether at most the hosts differ that keep their policies in the routes. */
const sameKind = (a: LeanRoutes | undefined, b: LeanRoutes | undefined): boolean =>
  a?.untraced === b?.untraced && (a?.keptInRoutes === undefined) === (b?.keptInRoutes === undefined);

const empty: ReadonlySet<string> = new Set();

/** What is in one of two sets only. */
const differing = (a: ReadonlySet<string> = empty, b: ReadonlySet<string> = empty): readonly string[] =>
  a === b ? [] : [...[...a].filter((host) => !b.has(host)), ...[...b].filter((host) => !a.has(host))];

const similarity = (a: RouteScope, b: RouteScope): number => inputs.filter((name) => a[name] === b[name]).length;

const readLabels = memoByInputs(
  (virtualServices: readonly VirtualService[]) => [virtualServices],
  (virtualServices) =>
    virtualServices.some(({ spec }) =>
      (spec.http ?? []).some((route) =>
        (route.match ?? []).some((match) => Object.keys(match.sourceLabels ?? {}).length > 0),
      ),
    ),
);

/** Kinds of clients that are kept at hand; others are made from scratch. */
const MAX_KINDS = 2000;
/** Views of the mesh of one kind of clients, for example with and without automatic addresses. */
const MAX_VIEWS = 4;
const clients = new Map<string, RouteScope['proxy']>();
const tables = new WeakMap<ProxyScope['mesh'], Map<string, SidecarTables[]>>();

/** Route configurations of a sidecar's outbound traffic; the identical map for all sidecars whose routes depend on the same. */
export function sidecarRoutes(scope: ProxyScope): Routes {
  if (hasEgressPorts(scope)) return egressRoutes(scope);
  const { mesh, services, serviceByHost, virtualServices, destinationRules, sidecar } = scope;
  const { namespace, dnsDomain } = scope.proxy;
  const labels = readLabels(virtualServices) ? scope.proxy.labels : {};
  // Of the switches one alone is about routes.
  const switches = scope.proxy.switches?.shadowSuffix === true ? { shadowSuffix: true } : undefined;
  const client = JSON.stringify([namespace, dnsDomain, Object.entries(labels).sort(), switches]);
  const proxy = clients.get(client) ?? { namespace, dnsDomain, labels, ...(switches && { switches }) };
  if (clients.size >= MAX_KINDS) clients.clear();
  clients.set(client, proxy);
  const lean = leanRoutes(scope);
  const narrow: RouteScope = { mesh, services, serviceByHost, virtualServices, destinationRules, sidecar, proxy, lean };

  const byKind = tables.get(mesh) ?? new Map<string, SidecarTables[]>();
  tables.set(mesh, byKind);
  const kind = `${client} ${sidecar === undefined ? '' : `${sidecar.origin.namespace}/${sidecar.origin.name}`}`;
  const views = byKind.get(kind) ?? [];
  const found = views.find((view) => view.isAt(narrow));
  if (found !== undefined) return found.result;
  const nearest = views.reduce<SidecarTables | undefined>(
    (best, view) =>
      best === undefined || similarity(view.scope, narrow) > similarity(best.scope, narrow) ? view : best,
    undefined,
  );
  if (nearest !== undefined && (views.length >= MAX_VIEWS || similarity(nearest.scope, narrow) >= 3)) {
    nearest.moveTo(narrow);
    return nearest.result;
  }
  if (byKind.size >= MAX_KINDS) byKind.clear();
  const made = new SidecarTables(narrow);
  byKind.set(kind, [...views, made]);
  return made.result;
}
