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
  const mapped = new Set(targets.filter((t) => t.port.number === port).map((t) => t.targetPort));
  return mapped.size > 0 ? [...mapped] : [port];
}

const family = (kind: ServerKind): string => (kind === 'http' || kind === 'tcp' ? kind : 'inspected TLS');

/**
 * All servers of a router's Gateways, merged by the port on which the proxy listens. Servers of different families on one port cannot share it: the
 * oldest Gateway's stays.
 */
export function boundServers(
  scope: Pick<ProxyScope, 'gateways' | 'inbound'>,
): ReadonlyMap<string, readonly BoundServer[]> {
  const byListener = new Map<string, BoundServer[]>();
  for (const gateway of scope.gateways) {
    const { namespace, name } = gateway.origin;
    for (const server of gateway.spec.servers ?? []) {
      const port = server.port?.number;
      const kind = kindOf(server);
      if (port === undefined || kind === undefined) {
        continue;
      }
      const hosts = (server.hosts ?? []).map((h) => parseHost(h, namespace));
      for (const listenerPort of listenerPorts(gateway, port, scope.inbound)) {
        const key = `${server.bind ?? ''}_${listenerPort}`;
        const others = byListener.get(key) ?? [];
        const [first] = others;
        if (first !== undefined && family(first.kind) !== family(kind)) {
          continue;
        }
        const routeName =
          kind === 'http' ? `http.${listenerPort}` : `https.${port}.${server.port?.name ?? ''}.${name}.${namespace}`;
        const bind = server.bind === '' ? undefined : server.bind;
        byListener.set(key, [
          ...others,
          { gateway, gatewayName: `${namespace}/${name}`, server, kind, bind, port, listenerPort, hosts, routeName },
        ]);
      }
    }
  }
  return byListener;
}

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
