import type { RouteConfiguration, VirtualHost } from '@istio-ts/envoy';
import { type EgressPort, hasOwnPort, splitEgress } from '@istio-ts/mesh';
import type { Service } from '@istio-ts/mesh/model';
import type { Generated } from '../generated.ts';
import { memoByInputs } from '../memo.ts';
import { handlingOf } from '../protocol.ts';
import { catchAllHost, unknownTraffic } from './outbound-policy.ts';
import { allSidecarRoutes, httpIndex, mayBeHttp, type RouteScope, routesOfService } from './sidecar.ts';
import { domainsOf } from './domains.ts';
import { routeConfiguration, virtualHost } from './virtual-host.ts';

type Routes = ReadonlyMap<string, Generated<RouteConfiguration>>;

/** Whether clients connect to the proxy's own address: where they meant to go is not known, and what nobody claims cannot be passed on. */
const isBound = (scope: RouteScope, { bind, captureMode }: EgressPort['listener']): boolean =>
  scope.proxy.interceptionMode === 'NONE' || captureMode === 'NONE' || bind?.startsWith('unix://') === true;

/** The scope with unknown traffic refused, unless an egress proxy takes it. */
function withoutUnknown(scope: RouteScope): RouteScope {
  const { sidecar } = scope;
  if (sidecar?.spec.outboundTrafficPolicy?.egressProxy !== undefined) return scope;
  const refused = { mode: 'REGISTRY_ONLY' } as const;
  return sidecar === undefined
    ? { ...scope, mesh: { ...scope.mesh, outboundTrafficPolicy: refused } }
    : { ...scope, sidecar: { ...sidecar, spec: { ...sidecar.spec, outboundTrafficPolicy: refused } } };
}

const byHost = (services: readonly Service[]): ReadonlyMap<string, Service> =>
  new Map(services.map((service) => [service.hostname, service]));

/** Routes to all HTTP ports of the services, told apart by the port in the Host header; without one the first port is meant. */
export function routesToAllPorts(scope: RouteScope, name: string, rest: VirtualHost): Generated<RouteConfiguration> {
  const index = httpIndex(scope);
  const { namespace, dnsDomain } = scope.proxy;
  const origins = scope.sidecar === undefined ? [] : [scope.sidecar.origin];
  const hosts = scope.services.flatMap((service) =>
    service.ports
      .filter((port) => mayBeHttp(service, port.number))
      .map((port, i) => {
        const routed = routesOfService(scope, index, service, port.number);
        const names = domainsOf(service.hostname, service, namespace, dnsDomain);
        origins.push(...routed.origins);
        return virtualHost({
          name: `${service.hostname}:${port.number}`,
          domains: [...names.map((domain) => `${domain}:${port.number}`), ...(i === 0 ? names : [])],
          routes: routed.routes,
        });
      }),
  );
  const { resource, origins: from } = routeConfiguration(name, [...hosts, rest], origins);
  return { resource: { ...resource, ignorePortInHostMatching: false }, origins: from };
}

function routesOfPort(
  whole: RouteScope,
  port: EgressPort,
): readonly [string, Generated<RouteConfiguration>] | undefined {
  const { listener, services, virtualServices } = port;
  const limited: RouteScope = { ...whole, services, serviceByHost: byHost(services), virtualServices };
  const scope = isBound(whole, listener) ? withoutUnknown(limited) : limited;
  if (listener.bind?.startsWith('unix://') === true) {
    const path = listener.bind.slice('unix://'.length);
    return [path, routesToAllPorts(scope, path, catchAllHost(unknownTraffic(scope)))];
  }
  const name = String(listener.port?.number ?? 0);
  const found = allSidecarRoutes(scope).get(name);
  const handling = services.some((service) => service.ports.some((p) => handlingOf(p.protocol) !== 'tcp'));
  if (found === undefined && !handling) return undefined;
  return [name, found ?? routeConfiguration(name, [catchAllHost(unknownTraffic(scope))], [])];
}

/**
 * Route configurations of a sidecar that gives some services ports or sockets of their own (Sidecar reference, egress), or whose connections are not
 * redirected. A port that an egress listener speaks of leads to nothing but the services that it lets in.
 */
export const egressRoutes = memoByInputs(
  (scope: RouteScope) => [
    scope.services,
    scope.serviceByHost,
    scope.virtualServices,
    scope.destinationRules,
    scope.mesh,
    scope.sidecar,
    JSON.stringify([
      scope.proxy.namespace,
      scope.proxy.dnsDomain,
      scope.proxy.interceptionMode,
      Object.entries(scope.proxy.labels).sort(),
    ]),
  ],
  (scope): Routes => {
    const { ports, rest } = splitEgress(scope.sidecar, scope.proxy.namespace, scope);
    const result = new Map<string, Generated<RouteConfiguration>>();
    for (const port of ports) {
      const [name, routes] = routesOfPort(scope, port) ?? [];
      if (name !== undefined && routes !== undefined && !result.has(name)) result.set(name, routes);
    }
    const taken = new Set(ports.map(({ listener }) => listener.port?.number ?? 0));
    const others = { ...scope, ...rest, serviceByHost: byHost(rest.services) };
    const scopeOfRest = scope.proxy.interceptionMode === 'NONE' ? withoutUnknown(others) : others;
    for (const [name, routes] of allSidecarRoutes(scopeOfRest)) {
      // `PORT`, or `HOST:PORT` of a port whose protocol is sniffed.
      const number = Number(name.slice(name.lastIndexOf(':') + 1));
      if (!taken.has(number)) result.set(name, routes);
    }
    return result;
  },
);

/** Whether the routes of a sidecar have to be made listener by listener. */
export const hasEgressPorts = ({ sidecar, proxy }: RouteScope): boolean =>
  proxy.interceptionMode === 'NONE' || (sidecar?.spec.egress ?? []).some(hasOwnPort);
