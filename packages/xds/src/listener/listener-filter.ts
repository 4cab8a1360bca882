import type { ListenerFilter, ListenerFilterChainMatchPredicate } from '@istio-ts/envoy';
import { typed } from '../typed.ts';

/** Learns where the client wanted to go before the connection was redirected. */
export const ORIGINAL_DST: ListenerFilter = {
  name: 'envoy.filters.listener.original_dst',
  typedConfig: typed('envoy.extensions.filters.listener.original_dst.v3.OriginalDst', {}),
};

/** Mark by which the interception rules know connections that Envoy opens to its own application with the client's address (TPROXY). */
const OWN_MARK = 1337;

/** Lets the application see the address of its client: connections to it are opened from there. */
export const ORIGINAL_SRC: ListenerFilter = {
  name: 'envoy.filters.listener.original_src',
  typedConfig: typed('envoy.extensions.filters.listener.original_src.v3.OriginalSrc', { mark: OWN_MARK }),
};

/** Holds for connections to one of these ports. */
function toPorts(ports: readonly number[]): ListenerFilterChainMatchPredicate | undefined {
  const rules = ports.map(
    (port): ListenerFilterChainMatchPredicate => ({ destinationPortRange: { start: port, end: port + 1 } }),
  );
  const [first] = rules;
  return rules.length > 1 ? { orMatch: { rules } } : first;
}

const disabledFor = (ports: readonly number[]): Pick<ListenerFilter, 'filterDisabled'> => {
  const predicate = toPorts(ports);
  return predicate === undefined ? {} : { filterDisabled: predicate };
};

/** Sees whether a connection starts with TLS, its server name and its protocols; not on the ports in `except`, where the server may speak first. */
export const tlsInspector = (except: readonly number[] = []): ListenerFilter => ({
  name: 'envoy.filters.listener.tls_inspector',
  typedConfig: typed('envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector', {}),
  ...disabledFor(except),
});

/** Sees whether a plain connection starts with HTTP. */
export const httpInspector = (except: readonly number[] = []): ListenerFilter => ({
  name: 'envoy.filters.listener.http_inspector',
  typedConfig: typed('envoy.extensions.filters.listener.http_inspector.v3.HttpInspector', {}),
  ...disabledFor(except),
});

/** Reads who the client is from the header that a load balancer puts before its connection (PROXY protocol, version 1 or 2). */
export const proxyProtocol = (): ListenerFilter => ({
  name: 'envoy.filters.listener.proxy_protocol',
  typedConfig: typed('envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol', {}),
});
