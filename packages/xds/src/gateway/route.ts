import type { Route, RouteConfiguration, VirtualHost } from '@istio-ts/envoy';
import type { Origin, ProxyScope, VirtualService } from '@istio-ts/mesh/model';
import type { Generated } from '../generated.ts';
import { memoByInputs } from '../memo.ts';
import { knownHosts } from '../route/destination.ts';
import { leanRoutes } from '../route/lean.ts';
import { compareSpecificity } from '../route/host-name.ts';
import { matchesEverything } from '../route/match.ts';
import { routeConfiguration, virtualHost } from '../route/virtual-host.ts';
import { virtualServiceRoutes } from '../route/virtual-service.ts';
import { altSvc } from './http3.ts';
import { type BoundServer, boundServers, hostsOn } from './server.ts';

/** A virtual host of a gateway while it is put together. */
interface Draft {
  readonly parts: (readonly Route[])[];
  readonly virtualServices: Set<VirtualService>;
  port: number;
  /** Servers that redirect plain HTTP, and those that do not. */
  redirected: boolean;
  served: boolean;
}

const catchesAll = (route: Route): boolean => route.match !== undefined && matchesEverything(route.match);

/** Routes of several VirtualServices on one host, oldest first; those for every request go last, or they would hide the others. */
const joinRoutes = memoByInputs(
  (parts: readonly (readonly Route[])[]) => parts as unknown as readonly [object, ...unknown[]],
  (parts): readonly Route[] => {
    const all = parts.flat();
    return [...all.filter((r) => !catchesAll(r)), ...all.filter(catchesAll).slice(0, 1)];
  },
);

/** A client that reuses a connection of another host's certificate is told to open one of its own (RFC 9110, 421). */
const MISDIRECTED: readonly Route[] = [
  { name: 'misdirected', match: { prefix: '/' }, directResponse: { status: 421 } },
];
const NO_ROUTES: readonly Route[] = [];

function drafts(
  scope: ProxyScope,
  servers: readonly BoundServer[],
): { readonly byHost: ReadonlyMap<string, Draft>; readonly origins: readonly Origin[] } {
  const byHost = new Map<string, Draft>();
  const origins: Origin[] = [];
  const lean = leanRoutes(scope);
  const draftOf = (host: string, port: number): Draft => {
    let draft = byHost.get(host);
    if (draft === undefined) {
      draft = { parts: [], virtualServices: new Set(), port, redirected: false, served: false };
      byHost.set(host, draft);
    }
    return draft;
  };
  for (const server of servers) {
    const redirects = server.server.tls?.httpsRedirect === true;
    origins.push(server.gateway.origin);
    for (const virtualService of scope.virtualServices) {
      const hosts = hostsOn(server, virtualService);
      if (hosts.length === 0 || (virtualService.spec.http ?? []).length === 0) {
        continue;
      }
      const known = knownHosts(scope, virtualService);
      const routes = virtualServiceRoutes({
        virtualService,
        hosts: known,
        gateways: [server.gatewayName],
        port: server.port,
        overTls: server.kind === 'https',
        sourceNamespace: scope.proxy.namespace,
        sourceLabels: scope.proxy.labels,
        defaultRetries: scope.mesh.defaultHttpRetryPolicy,
        shadowSuffix: scope.proxy.switches?.shadowSuffix,
        lean,
      });
      if (routes.length === 0) {
        continue;
      }
      origins.push(
        virtualService.origin,
        ...(virtualService.delegates ?? []),
        ...[...known.values()].flatMap((k) => k.rule?.origins ?? []),
      );
      for (const host of hosts) {
        const draft = draftOf(host, server.port);
        draft.redirected ||= redirects;
        draft.served ||= !redirects;
        if (!draft.virtualServices.has(virtualService)) {
          draft.virtualServices.add(virtualService);
          draft.parts.push(routes);
        }
      }
    }
    if (redirects) {
      // The redirect does not need a VirtualService.
      for (const { host } of server.hosts) {
        draftOf(host, server.port).redirected = true;
      }
    }
  }
  return { byHost, origins };
}

function virtualHosts(servers: readonly BoundServer[], byHost: ReadonlyMap<string, Draft>): readonly VirtualHost[] {
  const hosts = [...byHost].sort(([a], [b]) => compareSpecificity(a, b));
  const result = hosts.map(([host, draft]) =>
    virtualHost({
      name: `${host}:${draft.port}`,
      domains: [host],
      routes: draft.parts.length === 0 ? NO_ROUTES : joinRoutes(draft.parts),
      requireTls: draft.redirected && !draft.served,
    }),
  );
  if (byHost.has('*')) {
    return result;
  }
  const port = servers[0]?.port ?? 0;
  const serverHosts = servers.flatMap((s) => s.hosts.map((h) => h.host));
  const terminatesTls = servers.every((s) => s.kind === 'https');
  if (!terminatesTls || serverHosts.includes('*')) {
    return [...result, virtualHost({ name: `blackhole:${port}`, domains: ['*'], routes: NO_ROUTES })];
  }
  // Hosts of the certificate without a route are unknown (404); all others belong to another connection (421).
  const unbound = serverHosts.filter((h, i) => !byHost.has(h) && serverHosts.indexOf(h) === i);
  return [
    ...result,
    ...unbound.map((h) => virtualHost({ name: `blackhole-${h}:${port}`, domains: [h], routes: NO_ROUTES })),
    virtualHost({ name: `misdirected:${port}`, domains: ['*'], routes: MISDIRECTED }),
  ];
}

/** The same routes, with every answer telling that they can be had by HTTP/3. */
const offeringHttp3 = memoByInputs(
  ({ generated, port }: { readonly generated: Generated<RouteConfiguration>; readonly port: number }) =>
    [generated, port] as [object, ...unknown[]],
  ({ generated, port }): Generated<RouteConfiguration> => ({
    ...generated,
    resource: {
      ...generated.resource,
      responseHeadersToAdd: [
        { header: { key: 'alt-svc', value: altSvc(port) }, appendAction: 'OVERWRITE_IF_EXISTS_OR_ADD' },
      ],
    },
  }),
);

/** Route configurations of a router: `http.PORT` for all plain HTTP servers of a port, one for each server that terminates TLS. */
export function gatewayRoutes(scope: ProxyScope): ReadonlyMap<string, Generated<RouteConfiguration>> {
  const byRoute = new Map<string, BoundServer[]>();
  for (const servers of boundServers(scope).values()) {
    for (const server of servers) {
      if (server.kind === 'http' || server.kind === 'https') {
        const list = byRoute.get(server.routeName);
        if (list === undefined) {
          byRoute.set(server.routeName, [server]);
        } else {
          list.push(server);
        }
      }
    }
  }
  const result = new Map<string, Generated<RouteConfiguration>>();
  for (const [name, servers] of byRoute) {
    const { byHost, origins } = drafts(scope, servers);
    const generated = routeConfiguration(name, virtualHosts(servers, byHost), origins);
    const port = servers.find((server) => server.http3Port !== undefined)?.http3Port;
    result.set(name, port === undefined ? generated : offeringHttp3({ generated, port }));
  }
  return result;
}
