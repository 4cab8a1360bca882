import type { Route, RouteConfiguration, VirtualHost } from '@istio-ts/envoy';
import type { Origin, ProxyScope, ScopedProxy, Service, VirtualService } from '@istio-ts/mesh/model';
import type { Generated } from '../generated.ts';
import { handlingOf } from '../protocol.ts';
import { followAlias, knownHosts } from './destination.ts';
import { alternateNames, domainsOf } from './domains.ts';
import { compareSpecificity, hostCovers, isWildcard, mostSpecific } from './host-name.ts';
import { catchAllHost, unknownTraffic } from './outbound-policy.ts';
import type { LeanRoutes } from './lean.ts';
import { serviceRoutes } from './service-route.ts';
import { noteOrigins, routeConfiguration, virtualHost } from './virtual-host.ts';
import { virtualServiceRoutes } from './virtual-service.ts';
import { indexVirtualServices, type VirtualServiceIndex, virtualServiceFor } from './virtual-service-index.ts';

/** Port whose route table also takes hosts that only a VirtualService knows. */
const UNKNOWN_HOST_PORT = 80;

/** Name of the route configuration of a service port whose protocol the proxy sniffs on the service's own address. */
export const sniffedRouteName = (service: Service, port: number): string => `${service.hostname}:${port}`;

/** Whether a port of a service may carry HTTP. */
export const mayBeHttp = (service: Service, port: number): boolean =>
  service.ports.some(
    (p) => p.number === port && (handlingOf(p.protocol) === 'http' || handlingOf(p.protocol) === 'sniff'),
  );

/** What the routes of a sidecar depend on. */
export type RouteScope = Pick<
  ProxyScope,
  'mesh' | 'services' | 'serviceByHost' | 'virtualServices' | 'destinationRules' | 'sidecar'
> & {
  readonly proxy: Pick<ScopedProxy, 'namespace' | 'labels' | 'dnsDomain'> &
    Partial<Pick<ScopedProxy, 'interceptionMode' | 'switches'>>;
  /** Without it routes say everything themselves. */
  readonly lean?: LeanRoutes;
};

export interface Routed {
  readonly routes: readonly Route[];
  readonly origins: readonly Origin[];
}

function fromVirtualService(scope: RouteScope, virtualService: VirtualService, port: number): Routed {
  const hosts = knownHosts(scope, virtualService);
  const routes = virtualServiceRoutes({
    virtualService,
    hosts,
    gateways: ['mesh'],
    port,
    sourceNamespace: scope.proxy.namespace,
    sourceLabels: scope.proxy.labels,
    defaultRetries: scope.mesh.defaultHttpRetryPolicy,
    shadowSuffix: scope.proxy.switches?.shadowSuffix,
    lean: scope.lean,
  });
  const rules = [...hosts.values()].flatMap((h) => h.rule?.origins ?? []);
  return { routes, origins: [virtualService.origin, ...(virtualService.delegates ?? []), ...rules] };
}

export function routesOfService(scope: RouteScope, index: VirtualServiceIndex, service: Service, port: number): Routed {
  const virtualService = virtualServiceFor(index, service.hostname);
  if (virtualService !== undefined) {
    const routed = fromVirtualService(scope, virtualService, port);
    // A VirtualService none of whose routes is for this workload leaves the service as it is.
    if (routed.routes.length > 0) {
      return { routes: routed.routes, origins: [service.origin, ...routed.origins] };
    }
  }
  const rule = mostSpecific(scope.destinationRules, service.hostname);
  return {
    routes: serviceRoutes({ service, port, rule, defaultRetries: scope.mesh.defaultHttpRetryPolicy, lean: scope.lean }),
    origins: [service.origin, ...(rule?.origins ?? [])],
  };
}

/** Domains of the aliases (Kubernetes ExternalName) of each service. */
function aliasesByTarget(scope: RouteScope): ReadonlyMap<Service, readonly string[]> {
  const aliases = new Map<Service, string[]>();
  for (const service of scope.services) {
    if (service.resolution === 'alias') {
      const target = followAlias(scope, service.hostname);
      if (target !== undefined && target !== service) {
        const names = aliases.get(target) ?? [];
        names.push(...domainsOf(service.hostname, undefined, scope.proxy.namespace, scope.proxy.dnsDomain));
        aliases.set(target, names);
      }
    }
  }
  return aliases;
}

/** Collects virtual hosts; a domain belongs to the first that claims it, because Envoy refuses a table with a repeated one. */
class HostTable {
  readonly hosts: VirtualHost[] = [];
  readonly origins: Origin[] = [];
  readonly #domains = new Set<string>();
  readonly #names = new Set<string>();

  add(name: string, domains: readonly string[], routed: Routed): void {
    const free = domains.filter((d) => !this.#domains.has(d.toLowerCase()));
    if (free.length === 0 || this.#names.has(name)) {
      return;
    }
    for (const domain of free) {
      this.#domains.add(domain.toLowerCase());
    }
    this.#names.add(name);
    const host = virtualHost({ name, domains: free, routes: routed.routes });
    noteOrigins(host, routed.origins);
    this.hosts.push(host);
    this.origins.push(...routed.origins);
  }
}

/** Hosts that only VirtualServices know: no visible service has or is covered by them. */
function unknownHosts(scope: RouteScope, index: VirtualServiceIndex): readonly (readonly [string, VirtualService])[] {
  const isKnown = (host: string): boolean =>
    isWildcard(host)
      ? scope.services.some((s) => hostCovers(host, s.hostname))
      : mostSpecific(scope.serviceByHost, host) !== undefined;
  return [...index].filter(([host]) => !isKnown(host)).sort(([a], [b]) => compareSpecificity(a, b));
}

function portTable(
  scope: RouteScope,
  index: VirtualServiceIndex,
  port: number,
  services: readonly Service[],
  aliases: ReturnType<typeof aliasesByTarget>,
) {
  const table = new HostTable();
  const { namespace, dnsDomain } = scope.proxy;
  // A VirtualService may name one host of a wildcard service; that host is more specific and comes first.
  for (const [host, virtualService] of index) {
    if (
      !isWildcard(host) &&
      !scope.serviceByHost.has(host) &&
      services.some((s) => isWildcard(s.hostname) && hostCovers(s.hostname, host))
    ) {
      const routed = fromVirtualService(scope, virtualService, port);
      if (routed.routes.length > 0) {
        table.add(`${host}:${port}`, [host, `${host}.`], routed);
      }
    }
  }
  const ordered = [...services].sort((a, b) => Number(isWildcard(a.hostname)) - Number(isWildcard(b.hostname)));
  for (const service of ordered) {
    const domains = [...domainsOf(service.hostname, service, namespace, dnsDomain), ...(aliases.get(service) ?? [])];
    table.add(`${service.hostname}:${port}`, domains, routesOfService(scope, index, service, port));
  }
  if (port === UNKNOWN_HOST_PORT) {
    for (const [host, virtualService] of unknownHosts(scope, index)) {
      const routed = fromVirtualService(scope, virtualService, port);
      if (routed.routes.length > 0) {
        table.add(
          `${host}:${port}`,
          isWildcard(host) ? [host] : [host, `${host}.`, ...alternateNames(host, namespace, dnsDomain)],
          routed,
        );
      }
    }
  }
  return table;
}

/** VirtualServices that route HTTP requests of sidecars, by host. */
export const httpIndex = (scope: RouteScope): VirtualServiceIndex =>
  indexVirtualServices(scope.virtualServices, 'mesh', (v) => (v.spec.http ?? []).length > 0);

/** Route configurations of a sidecar's outbound traffic: one for each HTTP port, and one for each sniffed port of a service with addresses of its own. */
export function allSidecarRoutes(scope: RouteScope): ReadonlyMap<string, Generated<RouteConfiguration>> {
  const index = httpIndex(scope);
  const aliases = aliasesByTarget(scope);
  const byPort = new Map<number, Service[]>();
  for (const service of scope.services) {
    if (service.resolution === 'alias' && followAlias(scope, service.hostname) !== service) {
      continue;
    }
    for (const port of new Set(service.ports.map((p) => p.number))) {
      if (mayBeHttp(service, port)) {
        const list = byPort.get(port);
        if (list === undefined) {
          byPort.set(port, [service]);
        } else {
          list.push(service);
        }
      }
    }
  }
  const policy = unknownTraffic(scope);
  const rest = catchAllHost(policy);
  const origins = scope.sidecar === undefined ? [] : [scope.sidecar.origin];
  const result = new Map<string, Generated<RouteConfiguration>>();
  for (const [port, services] of byPort) {
    const table = portTable(scope, index, port, services, aliases);
    const hosts = table.hosts.some((h) => h.domains?.includes('*')) ? table.hosts : [...table.hosts, rest];
    result.set(String(port), routeConfiguration(String(port), hosts, [...table.origins, ...origins]));
    for (const service of services) {
      const sniffed = service.ports.some((p) => p.number === port && handlingOf(p.protocol) === 'sniff');
      if (sniffed && service.addresses.length > 0) {
        const name = sniffedRouteName(service, port);
        const routed = routesOfService(scope, index, service, port);
        // The address says which service is meant; the Host header may be anything.
        result.set(
          name,
          routeConfiguration(name, [virtualHost({ name, domains: ['*'], routes: routed.routes })], routed.origins),
        );
      }
    }
  }
  return result;
}
