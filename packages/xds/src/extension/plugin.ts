import type { TrafficExtensionSpec, WasmPluginSpec } from '@istio-ts/api';
import type { Origin, ProxyScope } from '@istio-ts/mesh/model';
import { memoByInputs } from '../memo.ts';

/** The fields of a WebAssembly module, as both kinds of objects have them. */
export type WasmModule = Pick<
  WasmPluginSpec,
  | 'url'
  | 'sha256'
  | 'imagePullPolicy'
  | 'imagePullSecret'
  | 'pluginConfig'
  | 'pluginName'
  | 'failStrategy'
  | 'vmConfig'
  | 'type'
>;

export type Phase = 'AUTHN' | 'AUTHZ' | 'STATS' | 'UNSPECIFIED';
export type Side = 'CLIENT' | 'SERVER';
type Match = NonNullable<WasmPluginSpec['match']>[number];

/** A filter that a WasmPlugin or TrafficExtension puts into the proxies. */
export interface Plugin {
  readonly origin: Origin;
  /** Name of its filter and of its configuration; part of Istio's interface (EnvoyFilters name it). */
  readonly name: string;
  readonly phase: Phase;
  readonly priority: number;
  readonly match: readonly Match[];
  readonly filter: 'http' | 'network';
  readonly code:
    | { readonly kind: 'wasm'; readonly module: WasmModule }
    | { readonly kind: 'lua'; readonly script: string };
}

const PREFIX = 'extenstions.istio.io';

const phaseOf = (phase: WasmPluginSpec['phase'] | TrafficExtensionSpec['phase']): Phase =>
  phase === 'AUTHN' || phase === 'AUTHZ' || phase === 'STATS' ? phase : 'UNSPECIFIED';

type Scope = Pick<ProxyScope, 'wasmPlugins' | 'trafficExtensions'>;

/** The plugins of a proxy, in the order in which requests meet those of a phase: higher priority first, then the older one. */
export const pluginsOf = memoByInputs(
  ({ wasmPlugins, trafficExtensions }: Scope) => [wasmPlugins, trafficExtensions],
  ({ wasmPlugins, trafficExtensions }): readonly Plugin[] => {
    const modules = wasmPlugins.map(
      ({ origin, spec }): Plugin => ({
        origin,
        name: `${PREFIX}/wasmplugin/${origin.namespace}.${origin.name}`,
        phase: phaseOf(spec.phase),
        priority: spec.priority ?? 0,
        match: spec.match ?? [],
        filter: spec.type === 'NETWORK' ? 'network' : 'http',
        code: { kind: 'wasm', module: spec },
      }),
    );
    const extensions = trafficExtensions.flatMap(({ origin, spec }): Plugin[] => {
      const { wasm, lua } = spec;
      const code: Plugin['code'] | undefined = wasm
        ? { kind: 'wasm', module: wasm }
        : lua
          ? { kind: 'lua', script: lua.inlineCode }
          : undefined;
      return code === undefined
        ? []
        : [
            {
              origin,
              name: `${PREFIX}/trafficextension/${origin.namespace}.${origin.name}`,
              phase: phaseOf(spec.phase),
              priority: spec.priority ?? 0,
              match: spec.match ?? [],
              filter: wasm?.type === 'NETWORK' ? 'network' : 'http',
              code,
            },
          ];
    });
    return [...modules, ...extensions].sort((a, b) => b.priority - a.priority);
  },
);

/** Whether a plugin is for traffic of a side on a port; without a port only what asks for none matches. */
export function handles({ match }: Plugin, side: Side, port: number | undefined): boolean {
  if (match.length === 0) return true;
  return match.some(({ mode, ports = [] }) => {
    if ((mode === 'CLIENT' || mode === 'SERVER') && mode !== side) return false;
    return ports.length === 0 || ports.some(({ number }) => number === port);
  });
}

/** Where a module is: a file of the proxy's, or something that has to be fetched. An address without a scheme is an image. */
export function isLocalFile(url: string): boolean {
  return url.startsWith('file://');
}
