import type { ConfigListenerFilter, FilterChain, Listener } from '@istio-ts/envoy';
import type { ProxyScope } from '@istio-ts/mesh/model';
import type { Generated } from '../generated.ts';
import { memoByInputs } from '../memo.ts';
import { typed } from '../typed.ts';
import { proxySettings } from './settings.ts';

interface Limits {
  readonly bufferBytes: number | undefined;
  readonly connections: number | undefined;
}

/** Closes connections beyond the limit at once. */
const connectionLimit = (name: string, maxConnections: number): ConfigListenerFilter => ({
  name: 'envoy.filters.network.connection_limit',
  typedConfig: typed('envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit', {
    statPrefix: name,
    maxConnections: String(maxConnections),
  }),
});

const limited = memoByInputs(
  ({ listener, bufferBytes, connections }: Limits & { readonly listener: Listener }) => [
    listener,
    bufferBytes,
    connections,
  ],
  ({ listener, bufferBytes, connections }): Listener => {
    const withLimit = (chain: FilterChain): FilterChain =>
      connections === undefined
        ? chain
        : { ...chain, filters: [connectionLimit(listener.name ?? '', connections), ...(chain.filters ?? [])] };
    return {
      ...listener,
      ...(bufferBytes !== undefined && { perConnectionBufferLimitBytes: bufferBytes }),
      // Of QUIC there are no connections of TCP to count.
      ...(listener.udpListenerConfig === undefined && {
        filterChains: (listener.filterChains ?? []).map(withLimit),
        ...(listener.defaultFilterChain && { defaultFilterChain: withLimit(listener.defaultFilterChain) }),
      }),
    };
  },
);

/**
 * Listeners with the limits of the proxy's `connectionSettings`; the identical ones where it has none. The limit of connections is one for each filter chain,
 * as stock Envoy has none that a listener itself could carry.
 */
export function limitListeners(
  listeners: readonly Generated<Listener>[],
  scope: Pick<ProxyScope, 'proxy' | 'mesh'>,
): readonly Generated<Listener>[] {
  const { listenerPerConnectionBufferLimitBytes: bufferBytes, listenerConnectionLimit: connections } =
    proxySettings(scope).connectionSettings ?? {};
  if (bufferBytes === undefined && connections === undefined) return listeners;
  return listeners.map(({ resource, origins }) => ({
    resource: limited({ listener: resource, bufferBytes, connections }),
    origins,
  }));
}
