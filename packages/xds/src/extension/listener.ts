import type {
  ConfigListenerFilter,
  ConfigSource,
  FilterChain,
  HttpConnectionManager,
  HttpFilter,
  Listener,
} from '@istio-ts/envoy';
import type { ProxyScope } from '@istio-ts/mesh/model';
import { isNamed } from '../envoy-filter/names.ts';
import { type Generated, uniqueOrigins } from '../generated.ts';
import { memoByInputs } from '../memo.ts';
import { AGENT_SECRETS } from '../secret/agent-source.ts';
import { handles, isLocalFile, type Phase, type Plugin, pluginsOf, type Side } from './plugin.ts';

const MANAGER = 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
const CONTROL_PLANE: ConfigSource = { ads: {}, initialFetchTimeout: '0s', resourceApiVersion: 'V3' };

/**
 * Where a proxy gets the configuration of a plugin: from its agent where a module has to be fetched and the agent does that; else from the control
 * plane, for whatever stands between may fetch it on the way (as stock agents do).
 */
function sourceOf({ code }: Plugin, agentFetches: boolean): ConfigSource {
  return agentFetches && code.kind === 'wasm' && !isLocalFile(code.module.url) ? AGENT_SECRETS : CONTROL_PLANE;
}

function typeUrlsOf({ code, filter }: Plugin): readonly string[] {
  if (code.kind === 'lua') return ['type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua'];
  // What an agent puts in the place of a module that cannot be fetched: everything is admitted, or nothing.
  return [
    `type.googleapis.com/envoy.extensions.filters.${filter}.wasm.v3.Wasm`,
    `type.googleapis.com/envoy.extensions.filters.${filter}.rbac.v3.RBAC`,
  ];
}

interface FilterInput {
  readonly plugin: Plugin;
  readonly agentFetches: boolean;
}
const filterOf = memoByInputs(
  ({ plugin, agentFetches }: FilterInput) => [plugin, agentFetches],
  ({ plugin, agentFetches }): HttpFilter & ConfigListenerFilter => ({
    name: plugin.name,
    configDiscovery: { configSource: sourceOf(plugin, agentFetches), typeUrls: [...typeUrlsOf(plugin)] },
  }),
);

/** Filters before which each phase goes (WasmPlugin reference, PluginPhase); the last one ends the chain. */
const BEFORE: Readonly<Record<Phase, readonly string[]>> = {
  AUTHN: ['envoy.filters.http.jwt_authn', 'envoy.filters.http.rbac', 'envoy.filters.network.rbac'],
  AUTHZ: ['envoy.filters.http.rbac', 'envoy.filters.network.rbac'],
  STATS: ['envoy.filters.http.grpc_stats', 'istio.alpn', 'envoy.filters.http.fault'],
  UNSPECIFIED: [],
};
const PHASES = ['AUTHN', 'AUTHZ', 'STATS', 'UNSPECIFIED'] as const;
/** Where a chain has none of the filters of a phase, it goes before those of the next. */
const following = (phase: Phase): readonly string[] =>
  PHASES.slice(PHASES.indexOf(phase)).flatMap((one) => BEFORE[one]);

function inserted<F extends HttpFilter | ConfigListenerFilter>(
  filters: readonly F[],
  plugins: readonly Plugin[],
  make: (plugin: Plugin) => F,
): readonly F[] {
  let result = filters;
  for (const phase of PHASES) {
    const own = plugins.filter((plugin) => plugin.phase === phase).map(make);
    if (own.length === 0) continue;
    const names = following(phase);
    const found = result.findIndex((filter) => names.some((name) => isNamed(filter, name)));
    // The last filter of a chain ends it.
    const at = found < 0 ? Math.max(0, result.length - 1) : found;
    result = [...result.slice(0, at), ...own, ...result.slice(at)];
  }
  return result;
}

interface Input {
  readonly resource: Listener;
  readonly plugins: readonly Plugin[];
  readonly agentFetches: boolean;
}

const extended = memoByInputs(
  ({ resource, plugins, agentFetches }: Input) => [resource, plugins, agentFetches],
  ({ resource, plugins, agentFetches }): { readonly resource: Listener; readonly used: readonly Plugin[] } => {
    const side: Side = resource.trafficDirection === 'INBOUND' ? 'SERVER' : 'CLIENT';
    const used = new Set<Plugin>();
    const make = (plugin: Plugin): HttpFilter & ConfigListenerFilter => {
      used.add(plugin);
      return filterOf({ plugin, agentFetches });
    };
    const chainOf = (chain: FilterChain): FilterChain => {
      const port =
        side === 'SERVER' ? chain.filterChainMatch?.destinationPort : resource.address?.socketAddress?.portValue;
      const own = plugins.filter((plugin) => handles(plugin, side, port));
      // Connections to the capture port itself go nowhere.
      if (own.length === 0 || chain.name?.endsWith('-blackhole')) return chain;
      const http = own.filter(({ filter }) => filter === 'http');
      const network = own.filter(({ filter }) => filter === 'network');
      const filters = (chain.filters ?? []).map((filter) => {
        const config = filter.typedConfig;
        if (http.length === 0 || config?.['@type'] !== MANAGER) return filter;
        const manager = config as HttpConnectionManager & { readonly '@type': string };
        return { ...filter, typedConfig: { ...manager, httpFilters: inserted(manager.httpFilters ?? [], http, make) } };
      });
      return { ...chain, filters: inserted(filters as readonly ConfigListenerFilter[], network, make) };
    };
    const changed: Listener = {
      ...resource,
      ...(resource.filterChains && { filterChains: resource.filterChains.map(chainOf) }),
      ...(resource.defaultFilterChain && { defaultFilterChain: chainOf(resource.defaultFilterChain) }),
    };
    return { resource: used.size === 0 ? resource : changed, used: [...used] };
  },
);

/** Listeners with the filters of the proxy's WasmPlugins and TrafficExtensions; those without are the identical objects. */
export function withPlugins(
  listeners: readonly Generated<Listener>[],
  scope: Pick<ProxyScope, 'wasmPlugins' | 'trafficExtensions' | 'proxy'>,
): readonly Generated<Listener>[] {
  const plugins = pluginsOf(scope);
  if (plugins.length === 0) return listeners;
  const agentFetches = scope.proxy.metadata.EXTENSION_SOURCE === 'agent';
  return listeners.map((generated) => {
    const { resource, used } = extended({ resource: generated.resource, plugins, agentFetches });
    if (used.length === 0) return generated;
    return { resource, origins: uniqueOrigins([...generated.origins, ...used.map(({ origin }) => origin)]) };
  });
}
