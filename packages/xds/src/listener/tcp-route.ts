import { isIP } from 'node:net';
import type { FilterChainMatch } from '@istio-ts/envoy';
import type { Origin, ProxyScope, Service, VirtualService } from '@istio-ts/mesh/model';
import { effectivePolicy } from '../cluster/traffic-policy.ts';
import { protoDuration } from '../duration.ts';
import type { TcpProxyInput, TcpTargets } from '../filter/tcp-proxy.ts';
import {
  type KnownHosts,
  knownHost,
  knownHosts,
  type ResolvedDestination,
  resolveDestination,
} from '../route/destination.ts';
import { hostIntersection } from '../route/host-name.ts';
import { hasLabels } from '../route/match.ts';
import type { L4Destination, L4Match, TlsMatch } from '../route/spec.ts';
import { cidrs } from './chain-match.ts';

/** Where connections go, and for which of them. */
export interface TcpRouting {
  readonly match: FilterChainMatch;
  readonly targets: TcpTargets;
  readonly limits: Pick<TcpProxyInput, 'idleTimeout' | 'maxConnectionDuration' | 'hashPolicy' | 'tunnel'>;
  readonly origins: readonly Origin[];
  /** Port of a service whose hosts the proxy resolves by the server name of each handshake (ServiceEntry, DYNAMIC_DNS). */
  readonly dynamicPort?: number;
}

/** What routings of connections depend on. */
export type L4Scope = Pick<ProxyScope, 'mesh' | 'serviceByHost' | 'destinationRules'> & {
  readonly proxy: Pick<ProxyScope['proxy'], 'namespace' | 'labels'>;
};

/** Facts that a connection's match is decided by before Envoy sees it. */
export interface L4Context {
  readonly scope: L4Scope;
  readonly gateways: readonly string[];
  /** Port that the client dialled. */
  readonly port: number;
}

function applies(match: L4Match | TlsMatch, { scope, gateways, port }: L4Context): boolean {
  return (
    (match.port === undefined || match.port === 0 || match.port === port) &&
    (match.gateways === undefined || match.gateways.length === 0 || match.gateways.some((g) => gateways.includes(g))) &&
    (match.sourceNamespace === undefined ||
      match.sourceNamespace === '' ||
      match.sourceNamespace === scope.proxy.namespace) &&
    hasLabels(scope.proxy.labels, match.sourceLabels)
  );
}

function subnets(
  match: { readonly destinationSubnets?: readonly string[]; readonly sourceSubnet?: string } | undefined,
): FilterChainMatch {
  const to = cidrs(match?.destinationSubnets);
  const from = cidrs(match?.sourceSubnet === undefined || match.sourceSubnet === '' ? [] : [match.sourceSubnet]);
  return { ...(to.length > 0 ? { prefixRanges: to } : {}), ...(from.length > 0 ? { sourcePrefixRanges: from } : {}) };
}

/** Time limits, hash and tunnel of the DestinationRule for where a connection goes. */
function tcpLimits(to: ResolvedDestination | undefined, mesh: ProxyScope['mesh']): TcpRouting['limits'] {
  const rule = to?.known?.rule?.spec;
  const subset = rule?.subsets?.find(({ name }) => name === to?.subset);
  const policy = effectivePolicy(rule, subset, to?.port ?? 0, mesh);
  const tcp = policy.connectionPool?.tcp;
  const idleTimeout = protoDuration(tcp?.idleTimeout);
  const maxConnectionDuration = protoDuration(tcp?.maxConnectionDuration);
  const bySource = policy.loadBalancer?.consistentHash?.useSourceIp === true;
  const { tunnel } = policy;
  return {
    ...(idleTimeout !== undefined ? { idleTimeout } : {}),
    ...(maxConnectionDuration !== undefined ? { maxConnectionDuration } : {}),
    ...(bySource ? { hashPolicy: [{ sourceIp: {} }] } : {}),
    ...(tunnel !== undefined
      ? {
          tunnel: {
            hostname: `${isIP(tunnel.targetHost) === 6 ? `[${tunnel.targetHost}]` : tunnel.targetHost}:${tunnel.targetPort}`,
            usePost: tunnel.protocol?.toUpperCase() === 'POST',
          },
        }
      : {}),
  };
}

function dynamicPort(destinations: readonly ResolvedDestination[]): Pick<TcpRouting, 'dynamicPort'> {
  const dynamic = destinations.find(({ known }) => known?.service?.resolution === 'dynamic-dns');
  if (dynamic === undefined) return {};
  const port = dynamic.known?.service?.ports.find(({ number }) => number === dynamic.port);
  return { dynamicPort: typeof port?.targetPort === 'number' ? port.targetPort : dynamic.port };
}

function routing(
  match: FilterChainMatch,
  route: readonly L4Destination[] | undefined,
  virtualService: VirtualService,
  context: L4Context,
): TcpRouting {
  const hosts = knownHosts(context.scope, virtualService);
  const resolved = (route ?? []).map((to) => ({
    to: resolveDestination(to.destination, hosts, context.port),
    weight: to.weight ?? 0,
  }));
  const targets = resolved.map(({ to, weight }) => ({
    cluster: to.cluster,
    weight: resolved.length === 1 ? 1 : weight,
  }));
  return {
    match,
    targets,
    limits: tcpLimits(resolved[0]?.to, context.scope.mesh),
    ...dynamicPort(resolved.map(({ to }) => to)),
    origins: [virtualService.origin, ...resolved.flatMap(({ to }) => to.known?.rule?.origins ?? [])],
  };
}

/** Routings of a VirtualService's `tcp` part, in order; nothing after one that takes every connection. */
export function tcpRoutings(virtualService: VirtualService, context: L4Context): readonly TcpRouting[] {
  const result: TcpRouting[] = [];
  for (const route of virtualService.spec.tcp ?? []) {
    const matches =
      route.match !== undefined && route.match.length > 0
        ? route.match.filter((m) => applies(m, context))
        : [undefined];
    for (const match of matches) {
      const found = routing(subnets(match), route.route, virtualService, context);
      result.push(found);
      if (Object.keys(found.match).length === 0) {
        return result;
      }
    }
  }
  return result;
}

/** Server names of a filter chain; one that takes every name needs no match. */
export function serverNames(hosts: readonly string[]): FilterChainMatch {
  return hosts.length === 0 || hosts.includes('*') ? {} : { serverNames: [...new Set(hosts)] };
}

/** Routings of a VirtualService's `tls` part by server name; `within` limits the names to those of a listener (gateways). */
export function tlsRoutings(
  virtualService: VirtualService,
  context: L4Context,
  within: readonly string[] = ['*'],
): readonly TcpRouting[] {
  const result: TcpRouting[] = [];
  for (const route of virtualService.spec.tls ?? []) {
    for (const match of route.match ?? []) {
      if (!applies(match, context)) {
        continue;
      }
      const names = (match.sniHosts ?? []).flatMap((sni) =>
        within.flatMap((host) => hostIntersection(sni.toLowerCase(), host) ?? []),
      );
      if (names.length > 0) {
        result.push(routing({ ...serverNames(names), ...subnets(match) }, route.route, virtualService, context));
      }
    }
  }
  return result;
}

/** The routing of a service that no VirtualService speaks of. */
export function serviceRouting(service: Service, match: FilterChainMatch, context: L4Context): TcpRouting {
  const host = service.hostname;
  const hosts: KnownHosts = new Map([[host, knownHost(context.scope, host)]]);
  const to = resolveDestination({ host, port: { number: context.port } }, hosts, context.port);
  return {
    match,
    targets: [{ cluster: to.cluster, weight: 1 }],
    limits: tcpLimits(to, context.scope.mesh),
    ...dynamicPort([to]),
    origins: [service.origin, ...(to.known?.rule?.origins ?? [])],
  };
}
