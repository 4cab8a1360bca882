import { isIP } from 'node:net';
import type { Listener } from '@istio-ts/envoy';
import type { ProxyScope, ScopedProxy } from '@istio-ts/mesh/model';
import type { EffectiveTelemetry } from '@istio-ts/mesh/telemetry';
import { seesDynamicHosts } from '../cluster/dynamic-hosts.ts';
import { protoDuration } from '../duration.ts';
import { type AccessLogs, accessLogs } from '../telemetry/access-log.ts';
import { telemetryOf } from '../telemetry/effective.ts';
import { type ProxyTracing, tracing } from '../telemetry/tracing.ts';

/** What every listener of a proxy depends on; the parts keep their identity while they do not change. */
export interface ListenerContext {
  readonly proxy: ScopedProxy;
  readonly mesh: ProxyScope['mesh'];
  readonly tracing: ProxyTracing;
  /** What Telemetries say for this proxy, for each side of the traffic. */
  readonly telemetry: EffectiveTelemetry;
  readonly accessLogs: AccessLogs;
  readonly trustDomain: string;
  /** Some service's hosts are resolved when requests arrive (ServiceEntry, DYNAMIC_DNS). */
  readonly dynamicHosts: boolean;
}

export const listenerContext = (scope: ProxyScope): ListenerContext => ({
  proxy: scope.proxy,
  mesh: scope.mesh,
  tracing: tracing(scope),
  telemetry: telemetryOf(scope),
  accessLogs: accessLogs(scope),
  trustDomain: scope.trustDomain,
  dynamicHosts: seesDynamicHosts(scope),
});

/** The context as inputs of a memoised function. */
export const contextInputs = (context: ListenerContext): readonly [object, ...unknown[]] => [
  context.proxy,
  context.mesh,
  context.tracing,
  context.telemetry,
  context.accessLogs,
  context.trustDomain,
  context.dynamicHosts,
];

/** The address that stands for all: that of IPv6 for a proxy that has no IPv4 address. */
export function wildcardAddress(proxy: Pick<ScopedProxy, 'ipAddresses'>): string {
  return proxy.ipAddresses.length > 0 && proxy.ipAddresses.every((a) => isIP(a) === 6) ? '::' : '0.0.0.0';
}

/** Port of the listener that outgoing connections are redirected to, unless the mesh says otherwise. */
export const OUTBOUND_PORT = 15001;
/** The same for arriving connections. */
export const INBOUND_PORT = 15006;

/**
 * Where a listener listens: an IP address and a port, or (with port 0) the path of a Unix socket. A listener that is for all addresses of `proxy`
 * is for both families where the proxy has both.
 */
export function listeningOn(
  address: string,
  port: number,
  proxy?: ScopedProxy,
): Pick<Listener, 'address' | 'additionalAddresses'> {
  if (port === 0) {
    return { address: { pipe: { path: address } } };
  }
  const at = (ip: string) => ({ socketAddress: { address: ip, portValue: port } });
  const isDualStack = new Set(proxy?.ipAddresses.map(isIP)).size > 1;
  return {
    address: at(address),
    ...(isDualStack ? { additionalAddresses: [{ address: at(address === '::' ? '0.0.0.0' : '::') }] } : {}),
  };
}

/** How many connections a listener of the proxy accepts before other events of its thread have their turn. */
export function accepting({ switches }: ScopedProxy): Pick<Listener, 'maxConnectionsToAcceptPerSocketEvent'> {
  const count = switches?.acceptsAtOnce ?? 1;
  return count > 0 ? { maxConnectionsToAcceptPerSocketEvent: count } : {};
}

/** How long a connection may stay silent before it counts as one whose client does not speak first; Istio's default is to wait without limit. */
export const detectionTimeout = (mesh: ProxyScope['mesh']): string =>
  protoDuration(mesh.protocolDetectionTimeout) ?? '0s';

/** Application protocols of plain HTTP as the HTTP inspector reports them. HTTP/1.0 is passed through as bytes unless the proxy may answer it. */
export const plainHttpProtocols = (proxy: ScopedProxy): readonly string[] =>
  proxy.metadata.HTTP10 === '1' || proxy.metadata.HTTP10 === true
    ? ['http/1.0', 'http/1.1', 'h2c']
    : ['http/1.1', 'h2c'];
