import type { GatewaySpec } from '@istio-ts/api';
import type { Config, InboundTarget, ProxyScope, VirtualService } from '@istio-ts/mesh/model';
import { hostIntersection } from '../route/host-name.ts';

export type Gateway = Config<GatewaySpec>;
export type Server = NonNullable<GatewaySpec['servers']>[number];

/** How a server treats what arrives. */
export type ServerKind =
  /** Plain HTTP. */
  | 'http'
  /** HTTP inside TLS that the gateway terminates. */
  | 'https'
  /** Bytes inside TLS that the gateway terminates. */
  | 'tls'
  /** TLS that the gateway passes on by its server name. */
  | 'passthrough'
  /** TLS between clusters, passed on by the cluster's name in its server name. */
  | 'auto-passthrough'
  | 'tcp';

/** A host of a server, and whose VirtualServices may bind to it. */
export interface ServerHost {
  /** '*' for every namespace. */
  readonly namespace: string;
  readonly host: string;
}

/** One server of one Gateway on the port on which the proxy listens for it. */
export interface BoundServer {
  readonly gateway: Gateway;
  /** `namespace/name` of the Gateway. */
  readonly gatewayName: string;
  readonly server: Server;
  readonly kind: ServerKind;
  readonly bind: string | undefined;
  /** Port of the Gateway resource: what clients dial at the Service. */
  readonly port: number;
  /** Port on which the proxy listens. */
  readonly listenerPort: number;
  readonly hosts: readonly ServerHost[];
  /** Name of the route configuration, for HTTP. */
  readonly routeName: string;
  /** Port at the Service on which clients may also speak HTTP/3; undefined where they may not. */
  readonly http3Port: number | undefined;
}

/** A server, or a host of one, that an older Gateway leaves no room for. */
export interface ServerConflict {
  readonly gateway: Gateway['origin'];
  /** Field path in the Gateway. */
  readonly path: string;
  readonly message: string;
}

/** What a router serves, by `BIND_PORT`, and what it cannot. */
export interface BoundServers {
  readonly byListener: ReadonlyMap<string, readonly BoundServer[]>;
  readonly conflicts: readonly ServerConflict[];
}

function kindOf(server: Server): ServerKind | undefined {
  const mode = server.tls?.mode ?? 'PASSTHROUGH';
  switch ((server.port?.protocol ?? '').toUpperCase()) {
    case 'HTTP':
    case 'HTTP2':
    case 'GRPC':
    case 'GRPC-WEB':
      return 'http';
    case 'HTTPS':
      return mode === 'PASSTHROUGH' ? 'passthrough' : mode === 'AUTO_PASSTHROUGH' ? 'auto-passthrough' : 'https';
    case 'TLS':
      return mode === 'PASSTHROUGH' ? 'passthrough' : mode === 'AUTO_PASSTHROUGH' ? 'auto-passthrough' : 'tls';
    case 'TCP':
    case 'MONGO':
    case 'MYSQL':
    case 'REDIS':
      return server.tls !== undefined && mode !== 'PASSTHROUGH' ? 'tls' : 'tcp';
    default:
      return undefined;
  }
}

/** `namespace/host`, `./host` for the own namespace, a star for any namespace, or just `host` (Gateway reference, Server.hosts). */
function parseHost(text: string, gatewayNamespace: string): ServerHost {
  const slash = text.indexOf('/');
  const namespace = slash === -1 ? '*' : text.slice(0, slash);
  return { namespace: namespace === '.' ? gatewayNamespace : namespace, host: text.slice(slash + 1).toLowerCase() };
}

/** Lets a Gateway's ports be those of the pod rather than of the Service. */
const NO_TRANSLATION = 'experimental.istio.io/disable-gateway-port-translation';

/** Ports on which the proxy's pod serves `port` of the Services that select it; the port itself when none of them has it. */
function listenerPorts(gateway: Gateway, port: number, targets: readonly InboundTarget[]): readonly number[] {
  if (gateway.labels[NO_TRANSLATION] === 'true' || gateway.annotations[NO_TRANSLATION] === 'true') {
    return [port];
  }
  const mapped = new Set(
    targets.filter((t) => t.port.number === port && t.port.protocol !== 'UDP').map((t) => t.targetPort),
  );
  return mapped.size > 0 ? [...mapped] : [port];
}

const family = (kind: ServerKind): string => (kind === 'http' || kind === 'tcp' ? kind : 'inspected TLS');

const described = (kind: ServerKind): string => (kind === 'http' ? 'plain HTTP' : kind === 'tcp' ? 'plain TCP' : 'TLS');

/** Kinds whose server names choose the filter chain before any VirtualService is looked at, so that each can belong to one server only. */
const ownsServerNames = (kind: ServerKind): boolean =>
  kind === 'https' || kind === 'tls' || kind === 'auto-passthrough';

const reference = ({ namespace, name }: Gateway['origin']): string => `${namespace}/${name}`;

/**
 * HTTP/3 is offered where the Service has the same port for UDP: otherwise clients would be told of a port that nothing reaches. The scope holds UDP
 * ports only where HTTP/3 is switched on (PILOT_ENABLE_QUIC_LISTENERS).
 */
function http3PortOf(
  kind: ServerKind,
  server: Server,
  port: number,
  listenerPort: number,
  targets: readonly InboundTarget[],
): number | undefined {
  const mode = server.tls?.mode ?? 'SIMPLE';
  const reachable = targets.some(
    (t) => t.port.protocol === 'UDP' && t.port.number === port && t.targetPort === listenerPort,
  );
  return kind === 'https' && mode === 'SIMPLE' && reachable ? port : undefined;
}

/** Path of the Unix domain socket that a server is bound to (`unix:///path` or `unix://@abstract`), if it is one. */
export const socketPath = (bind: string | undefined): string | undefined =>
  bind?.startsWith('unix://') === true ? bind.slice('unix://'.length) : undefined;

function plainRouteName(listenerPort: number, bind: string | undefined): string {
  return bind === undefined ? `http.${listenerPort}` : `http.${listenerPort}.${bind}`;
}

/**
 * All servers of a router's Gateways, merged by the address and port on which the proxy listens. Servers of different families on one port cannot share
 * it, nor can a server name belong to two servers: what the oldest Gateway has stays its own, the rest is a conflict.
 */
export function bindServers(scope: Pick<ProxyScope, 'gateways' | 'inbound'>): BoundServers {
  const byListener = new Map<string, BoundServer[]>();
  const conflicts: ServerConflict[] = [];
  const owners = new Map<string, Gateway>();
  for (const gateway of scope.gateways) {
    const { namespace, name } = gateway.origin;
    for (const [i, server] of (gateway.spec.servers ?? []).entries()) {
      const kind = kindOf(server);
      if (kind === undefined) {
        continue;
      }
      // A Unix domain socket has no port; it is written as 0.
      const port = server.port?.number ?? 0;
      const hosts = (server.hosts ?? []).map((h) => parseHost(h, namespace));
      const bind = server.bind === '' ? undefined : server.bind;
      const ports = socketPath(bind) === undefined ? listenerPorts(gateway, port, scope.inbound) : [port];
      for (const listenerPort of ports) {
        const key = `${bind ?? ''}_${listenerPort}`;
        const others = byListener.get(key) ?? [];
        const [first] = others;
        if (first !== undefined && family(first.kind) !== family(kind)) {
          conflicts.push({
            gateway: gateway.origin,
            path: `spec.servers[${i}].port`,
            message: `port ${port} is not served as ${described(kind)}: the older Gateway ${reference(first.gateway.origin)} has it for ${described(first.kind)}`,
          });
          continue;
        }
        for (const [h, { host }] of hosts.entries()) {
          const owner = ownsServerNames(kind) ? owners.get(`${key} ${host}`) : undefined;
          if (owner !== undefined) {
            conflicts.push({
              gateway: gateway.origin,
              path: `spec.servers[${i}].hosts[${h}]`,
              message: `${host} on port ${port} belongs to ${owner === gateway ? 'another server of the same Gateway' : `the older Gateway ${reference(owner.origin)}`}`,
            });
          } else if (ownsServerNames(kind)) {
            owners.set(`${key} ${host}`, gateway);
          }
        }
        const routeName =
          kind === 'http'
            ? plainRouteName(listenerPort, bind)
            : `https.${port}.${server.port?.name ?? ''}.${name}.${namespace}`;
        byListener.set(key, [
          ...others,
          {
            gateway,
            gatewayName: `${namespace}/${name}`,
            server,
            kind,
            bind,
            port,
            listenerPort,
            hosts,
            routeName,
            http3Port: bind === undefined ? http3PortOf(kind, server, port, listenerPort, scope.inbound) : undefined,
          },
        ]);
      }
    }
  }
  return { byListener, conflicts };
}

/** The servers of `bindServers`, without what is left out. */
export const boundServers = (scope: Pick<ProxyScope, 'gateways' | 'inbound'>): BoundServers['byListener'] =>
  bindServers(scope).byListener;

/** The hosts that a VirtualService has on a server: what both name, the more specific one of each pair. Empty when it is not bound to the server. */
export function hostsOn(server: BoundServer, virtualService: VirtualService): readonly string[] {
  if (!(virtualService.spec.gateways ?? []).includes(server.gatewayName)) {
    return [];
  }
  const result = new Set<string>();
  for (const { namespace, host } of server.hosts) {
    if (namespace !== '*' && namespace !== virtualService.origin.namespace) {
      continue;
    }
    for (const wanted of virtualService.spec.hosts ?? []) {
      const shared = hostIntersection(host, wanted.toLowerCase());
      if (shared !== undefined) {
        result.add(shared);
      }
    }
  }
  return [...result];
}
