import { encode } from '@istio-ts/envoy';
import { GrpcError } from '@istio-ts/envoy/grpc';
import { parseSpiffe, SpiffeError } from '@istio-ts/security';
import type { XdsResource } from '@istio-ts/xds';
import type { Connections } from './connections.ts';
import { clientConfig } from './sync-status.ts';

/** xDS types by which tools ask istiod about itself, so that they need no other port. */
const DEBUG = 'istio.io/debug';
const SYNCZ = `${DEBUG}/syncz`;
const CLIENT_CONFIG = 'type.googleapis.com/envoy.service.status.v3.ClientConfig';
/** What identities outside istiod's namespace may ask, about proxies of their own namespace. */
const OPEN_COMMANDS = new Set(['config_dump', 'ndsz', 'edsz']);

/** Who asks a debug question. */
export interface DebugCaller {
  readonly identities: readonly string[];
  /** From this machine (or through a port-forward, which the API server authorised). */
  readonly isLocal: boolean;
}

export function isDebugType(typeUrl: string): boolean {
  return typeUrl === DEBUG || typeUrl.startsWith(`${DEBUG}/`);
}

/** The namespaces that a caller has proved to be of. */
export function callerNamespaces(caller: DebugCaller): Set<string> {
  const namespaces = new Set<string>();
  for (const uri of caller.identities) {
    try {
      namespaces.add(parseSpiffe(uri).namespace);
    } catch (error) {
      if (!(error instanceof SpiffeError)) throw error;
    }
  }
  return namespaces;
}

/**
 * Whether the caller may run a debug command: everything from istiod's own namespace, those named in `debugNamespaces` or this machine, a few from other
 * namespaces about their own proxies (Istio, "ENABLE_DEBUG_ENDPOINT_AUTH"). `proxyId` is the proxy asked about.
 */
export function mayDebug(
  command: string,
  proxyId: string | undefined,
  caller: DebugCaller,
  context: {
    readonly connections: Connections;
    readonly systemNamespace: string;
    readonly debugNamespaces?: readonly string[] | undefined;
  },
): boolean {
  if (caller.isLocal) return true;
  const namespaces = callerNamespaces(caller);
  if ([context.systemNamespace, ...(context.debugNamespaces ?? [])].some((name) => namespaces.has(name))) return true;
  if (!OPEN_COMMANDS.has(command) || proxyId === undefined) return false;
  const proxy = context.connections.find(proxyId);
  return proxy !== undefined && namespaces.has(proxy.node.namespace);
}

/** Resources that answer a request of a debug type. Raises GrpcError. */
export function answerDebugRequest(
  typeUrl: string,
  names: readonly string[],
  caller: DebugCaller,
  context: {
    readonly connections: Connections;
    readonly systemNamespace: string;
    readonly debugNamespaces?: readonly string[] | undefined;
    readonly run: ((command: string, caller: DebugCaller) => string | undefined) | undefined;
  },
): XdsResource[] {
  const check = (command: string, proxyId: string | undefined): void => {
    if (!mayDebug(command, proxyId, caller, context))
      throw new GrpcError(
        'PERMISSION_DENIED',
        `${command}: only identities of ${context.systemNamespace} may ask this`,
      );
  };
  if (typeUrl === SYNCZ) {
    check('syncz', undefined);
    return context.connections.all().map((proxy) => {
      const json = clientConfig(proxy);
      return resource(CLIENT_CONFIG, proxy.node.id, encode('envoy.service.status.v3.ClientConfig', json), json);
    });
  }
  // `istio.io/debug` names commands; `istio.io/debug/config_dump` names proxies.
  const own = typeUrl === DEBUG ? undefined : typeUrl.slice(DEBUG.length + 1);
  const commands = own === undefined ? names : names.map((name) => `${own}?proxyID=${encodeURIComponent(name)}`);
  return (commands.length === 0 && own !== undefined ? [own] : commands).map((command) => {
    const url = URL.parse(`/${command.replace(/^\/+/, '')}`, 'http://localhost');
    if (url === null) throw new GrpcError('INVALID_ARGUMENT', 'the debug command is no path');
    check(url.pathname.slice(1), url.searchParams.get('proxyID') ?? undefined);
    const text = context.run?.(command, caller);
    if (text === undefined) throw new GrpcError('NOT_FOUND', `there is no debug command ${command}`);
    return resource(DEBUG, command, Buffer.from(text), undefined);
  });
}

function resource(typeUrl: string, name: string, value: Uint8Array, json: unknown): XdsResource {
  return { typeUrl, name, version: '', value, json: () => json, origins: [] };
}
