import type { ConfigListenerFilter, FilterChain, FilterChainMatch, Listener } from '@istio-ts/envoy';
import { parseProtocol } from '@istio-ts/mesh';
import type { Origin, ProxyScope } from '@istio-ts/mesh/model';
import { dynamicHostsFilter, dynamicServerNameFilter } from '../cluster/dynamic-hosts.ts';
import { alpnFilters } from '../filter/alpn.ts';
import { httpConnectionManager } from '../filter/http-connection-manager.ts';
import { inboundPolicies } from '../filter/policies.ts';
import { tcpProxy } from '../filter/tcp-proxy.ts';
import { wireFilters, wireOf } from '../filter/wire-protocol.ts';
import { type Generated, uniqueOrigins } from '../generated.ts';
import { withoutEqualMatches } from '../listener/chain-match.ts';
import { accepting, type ListenerContext, listeningOn, wildcardAddress } from '../listener/context.ts';
import { proxyProtocol, tlsInspector } from '../listener/listener-filter.ts';
import { serverNames, type TcpRouting, tcpRoutings, tlsRoutings } from '../listener/tcp-route.ts';
import { BLACKHOLE_CLUSTER } from '../names.ts';
import { proxySettings } from '../proxy-settings/settings.ts';
import { listenerAccessLog, tcpAccessLog } from '../telemetry/access-log.ts';
import { httpMetrics, reportingInterval, tcpMetrics } from '../telemetry/metrics.ts';
import { quicFilterChains, quicListener } from './http3.ts';
import { type BoundServer, boundServers, hostsOn, socketPath } from './server.ts';
import { serverTls } from './tls.ts';

interface Building {
  readonly scope: ProxyScope;
  readonly context: ListenerContext;
  readonly address: string;
}

const names = (server: BoundServer): readonly string[] => server.hosts.map((h) => h.host);

function httpFilters({ scope, context, address }: Building, server: BoundServer): readonly ConfigListenerFilter[] {
  return [
    httpConnectionManager({
      ...context,
      role: 'gateway',
      // A server's own name is there to find it again in the statistics.
      statPrefix: server.server.name || `outbound_${address}_${server.listenerPort};`,
      routes: { kind: 'rds', name: server.routeName },
      metrics: httpMetrics(context, { side: 'source' }),
      // Any route of a gateway may lead to a port whose protocol is sniffed.
      filters: [
        ...inboundPolicies(scope).http,
        ...alpnFilters(context.proxy),
        ...(context.dynamicHosts ? [dynamicHostsFilter(context.mesh, context.proxy)] : []),
      ],
    }),
  ];
}

function tcpFilters(
  { scope, context }: Building,
  routing: Pick<TcpRouting, 'targets' | 'limits' | 'dynamicPort'>,
  server: BoundServer,
): readonly ConfigListenerFilter[] {
  const clusters = routing.targets.map(({ cluster }) => cluster);
  const protocol = parseProtocol(server.server.port?.protocol ?? '');
  return [
    ...inboundPolicies(scope).network,
    ...(routing.dynamicPort === undefined
      ? []
      : [dynamicServerNameFilter(context.mesh, context.proxy, routing.dynamicPort)]),
    ...wireFilters(
      wireOf(protocol, clusters[0] ?? 'unknown'),
      context.proxy,
      clusters,
      tcpProxy({
        targets: routing.targets,
        ...routing.limits,
        accessLog: [...tcpAccessLog(context, 'gateway'), ...tcpMetrics(context, { side: 'source' })],
        reportingInterval: reportingInterval(context, 'source'),
      }),
    ),
  ];
}

const HANDSHAKE_MS = 15_000;

/** A client that begins a TLS handshake and leaves it there must not keep its connection. */
function withinTime(one: FilterChain, { proxy }: ListenerContext): FilterChain {
  const milliseconds = proxy.switches?.handshakeMs ?? HANDSHAKE_MS;
  return one.transportSocket === undefined || milliseconds === 0
    ? one
    : { ...one, transportSocketConnectTimeout: `${milliseconds / 1000}s` };
}

interface Routed {
  readonly chains: readonly FilterChain[];
  readonly origins: readonly Origin[];
}

const chain = (match: FilterChainMatch, filters: readonly ConfigListenerFilter[]): FilterChain => ({
  ...(Object.keys(match).length > 0 ? { filterChainMatch: match } : {}),
  filters,
});

/** Routings of the VirtualServices bound to a server of bytes, oldest first. */
function routings(building: Building, server: BoundServer): readonly TcpRouting[] {
  const { scope } = building;
  const context = { scope, gateways: [server.gatewayName], port: server.port };
  return scope.virtualServices.flatMap((virtualService) => {
    const hosts = hostsOn(server, virtualService);
    if (hosts.length === 0) {
      return [];
    }
    if (server.kind === 'passthrough') {
      return tlsRoutings(virtualService, context, hosts);
    }
    const tcp = tcpRoutings(virtualService, context);
    return server.kind === 'tls' ? tcp.map((r) => ({ ...r, match: { ...serverNames(hosts), ...r.match } })) : tcp;
  });
}

function chainsOf(building: Building, server: BoundServer): Routed {
  const { context } = building;
  const { mesh, trustDomain } = context;
  const origin = server.gateway.origin;
  switch (server.kind) {
    case 'http':
      return { chains: [chain({}, httpFilters(building, server))], origins: [origin] };
    case 'https': {
      const tls = server.server.tls ?? {};
      return {
        chains: [
          {
            ...chain(serverNames(names(server)), httpFilters(building, server)),
            transportSocket: serverTls(tls, true, mesh, trustDomain),
          },
        ],
        origins: [origin],
      };
    }
    case 'tls': {
      const socket = serverTls(server.server.tls ?? {}, false, mesh, trustDomain);
      const found = routings(building, server);
      return {
        chains: found.map((r) => ({ ...chain(r.match, tcpFilters(building, r, server)), transportSocket: socket })),
        origins: [origin, ...found.flatMap((r) => r.origins)],
      };
    }
    case 'passthrough':
    case 'tcp': {
      const found = routings(building, server);
      return {
        chains: found.map((r) => chain(r.match, tcpFilters(building, r, server))),
        origins: [origin, ...found.flatMap((r) => r.origins)],
      };
    }
    case 'auto-passthrough':
      return {
        chains: [
          chain({ ...serverNames(names(server)), transportProtocol: 'tls' }, [
            // Picks the cluster named by the client; one that does not exist is refused.
            {
              name: 'envoy.filters.network.sni_cluster',
              typedConfig: {
                '@type': 'type.googleapis.com/envoy.extensions.filters.network.sni_cluster.v3.SniCluster',
              },
            },
            ...tcpFilters(building, { targets: [{ cluster: BLACKHOLE_CLUSTER, weight: 1 }], limits: {} }, server),
          ]),
        ],
        origins: [origin],
      };
    default: {
      const unknown: never = server.kind;
      return unknown;
    }
  }
}

/** Server names may stand in one chain only; a name that an older server has is taken out of a younger one's chain. */
function withoutRepeatedNames(chains: readonly FilterChain[]): readonly FilterChain[] {
  const taken = new Set<string>();
  return chains.flatMap((c) => {
    const match = c.filterChainMatch;
    const { serverNames: wanted, ...others } = match ?? {};
    if (wanted === undefined || Object.keys(others).some((k) => k !== 'transportProtocol')) {
      return [c];
    }
    const free = wanted.filter((n) => !taken.has(n));
    for (const name of free) {
      taken.add(name);
    }
    return free.length === 0 ? [] : [{ ...c, filterChainMatch: { ...match, serverNames: free } }];
  });
}

function build(
  scope: ProxyScope,
  context: ListenerContext,
  servers: readonly BoundServer[],
): Generated<Listener> | undefined {
  const [first] = servers;
  if (first === undefined) {
    return undefined;
  }
  const address = first.bind ?? wildcardAddress(scope.proxy);
  const building: Building = { scope, context, address };
  // All plain HTTP servers of a port share one route configuration and so one chain.
  const used = first.kind === 'http' ? [first] : servers;
  const routed = used.map((server) => chainsOf(building, server));
  const filterChains = withoutEqualMatches(withoutRepeatedNames(routed.flatMap((r) => r.chains)));
  if (filterChains.length === 0) {
    return undefined;
  }
  const inspects = first.kind !== 'http' && first.kind !== 'tcp';
  const listenerFilters = [
    // What a load balancer says of the client stands before everything else on the connection.
    ...(proxySettings(context).gatewayTopology?.proxyProtocol !== undefined ? [proxyProtocol()] : []),
    ...(inspects ? [tlsInspector()] : []),
  ];
  const path = socketPath(first.bind);
  return {
    resource: {
      name: `${address}_${first.listenerPort}`,
      ...(path === undefined
        ? listeningOn(address, first.listenerPort, first.bind === undefined ? scope.proxy : undefined)
        : listeningOn(path, 0)),
      trafficDirection: 'OUTBOUND',
      filterChains: filterChains.map((one) => withinTime(one, context)),
      ...(listenerFilters.length > 0 ? { listenerFilters } : {}),
      ...accepting(context.proxy),
      accessLog: listenerAccessLog(context, 'gateway'),
    },
    origins: uniqueOrigins([...servers.map((s) => s.gateway.origin), ...routed.flatMap((r) => r.origins)]),
  };
}

/** The listener for HTTP/3 beside the one for TCP, where one of its servers may offer it. */
function buildQuic(
  scope: ProxyScope,
  context: ListenerContext,
  servers: readonly BoundServer[],
): Generated<Listener> | undefined {
  const offering = servers.filter((server) => server.http3Port !== undefined);
  const [first] = offering;
  if (first === undefined) {
    return undefined;
  }
  const address = wildcardAddress(scope.proxy);
  const building: Building = { scope, context, address };
  const chains = offering.flatMap((server) =>
    quicFilterChains(chainsOf(building, server).chains, server.server.tls ?? {}, context.mesh),
  );
  return {
    resource: quicListener(
      address,
      first.listenerPort,
      listeningOn(address, first.listenerPort, scope.proxy),
      withoutEqualMatches(withoutRepeatedNames(chains)),
      listenerAccessLog(context, 'gateway'),
    ),
    origins: uniqueOrigins(offering.map((s) => s.gateway.origin)),
  };
}

/** A listener's inputs and the listener made of them last; see `reuse`. */
interface Remembered {
  readonly text: string;
  readonly generated: Generated<Listener>;
}

const remembered = new WeakMap<object, Map<string, Remembered>>();

/** Returns the earlier object when a listener came out equal: it depends on many VirtualServices, of which few matter. */
function reuse(proxy: object, generated: Generated<Listener>): Generated<Listener> {
  let byName = remembered.get(proxy);
  if (byName === undefined) {
    byName = new Map();
    remembered.set(proxy, byName);
  }
  const name = generated.resource.name ?? '';
  const text = JSON.stringify(generated);
  const before = byName.get(name);
  if (before?.text === text) {
    return before.generated;
  }
  byName.set(name, { text, generated });
  return generated;
}

/** Listeners of a router: one for each address and port of its Gateways' servers. */
export function gatewayListeners(scope: ProxyScope, context: ListenerContext): readonly Generated<Listener>[] {
  const result: Generated<Listener>[] = [];
  for (const servers of boundServers(scope).values()) {
    for (const generated of [build(scope, context, servers), buildQuic(scope, context, servers)]) {
      if (generated !== undefined) {
        result.push(reuse(scope.proxy, generated));
      }
    }
  }
  return result;
}
