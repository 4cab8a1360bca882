import type { EnvoyConfigObjectMatch, EnvoyConfigObjectPatch, EnvoyFilterSpec } from '@istio-ts/api';
import type { Config, Origin, ProxyType } from '@istio-ts/mesh/model';
import { RE2JS } from 're2js';
import { memoByInputs } from '../memo.ts';
import { canonical, type Message } from './merge.ts';

export type ApplyTo = Exclude<NonNullable<EnvoyConfigObjectPatch['applyTo']>, 'INVALID'>;
export type Operation = Exclude<NonNullable<NonNullable<EnvoyConfigObjectPatch['patch']>['operation']>, 'INVALID'>;
export type FilterClass = 'UNSPECIFIED' | 'AUTHN' | 'AUTHZ' | 'STATS';
/** Whose configuration, and in which direction. */
export type Context = 'SIDECAR_INBOUND' | 'SIDECAR_OUTBOUND' | 'GATEWAY' | 'WAYPOINT';

/** The message that each kind of patch is about. */
export const PATCHED_TYPES = {
  LISTENER: 'envoy.config.listener.v3.Listener',
  FILTER_CHAIN: 'envoy.config.listener.v3.FilterChain',
  NETWORK_FILTER: 'envoy.config.listener.v3.Filter',
  HTTP_FILTER: 'envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter',
  LISTENER_FILTER: 'envoy.config.listener.v3.ListenerFilter',
  ROUTE_CONFIGURATION: 'envoy.config.route.v3.RouteConfiguration',
  VIRTUAL_HOST: 'envoy.config.route.v3.VirtualHost',
  HTTP_ROUTE: 'envoy.config.route.v3.Route',
  CLUSTER: 'envoy.config.cluster.v3.Cluster',
  EXTENSION_CONFIG: 'envoy.config.core.v3.TypedExtensionConfig',
  BOOTSTRAP: 'envoy.config.bootstrap.v3.Bootstrap',
} as const satisfies Readonly<Record<ApplyTo, string>>;

/** One patch of an EnvoyFilter, checked and ready to be applied. */
export interface Patch {
  readonly origin: Origin;
  /** Field path within the EnvoyFilter. */
  readonly path: string;
  readonly applyTo: ApplyTo;
  readonly operation: Operation;
  readonly filterClass: FilterClass;
  readonly match: EnvoyConfigObjectMatch;
  /** Canonical message of the type of `applyTo`; empty for REMOVE. */
  readonly value: Message;
}

/** What is wrong with one patch; it is left out, the others of its EnvoyFilter stay. */
export interface PatchProblem {
  readonly path: string;
  readonly message: string;
}

export interface CompiledFilter {
  readonly patches: readonly Patch[];
  readonly problems: readonly PatchProblem[];
}

/** Operations that have no meaning for a kind are ignored (EnvoyFilter reference, Patch.Operation), and that is told. */
const MERGES: readonly Operation[] = ['MERGE', 'MERGE_AND_REPLACE_LIST'];
const INSERTS: readonly Operation[] = ['INSERT_BEFORE', 'INSERT_AFTER', 'INSERT_FIRST'];
const OPERATIONS: Readonly<Record<ApplyTo, readonly Operation[]>> = {
  LISTENER: [...MERGES, 'ADD', 'REMOVE', ...INSERTS],
  FILTER_CHAIN: [...MERGES, 'ADD', 'REMOVE', ...INSERTS],
  NETWORK_FILTER: [...MERGES, 'ADD', 'REMOVE', ...INSERTS, 'REPLACE'],
  HTTP_FILTER: [...MERGES, 'ADD', 'REMOVE', ...INSERTS, 'REPLACE'],
  LISTENER_FILTER: [...MERGES, 'ADD', 'REMOVE', ...INSERTS, 'REPLACE'],
  ROUTE_CONFIGURATION: MERGES,
  VIRTUAL_HOST: [...MERGES, 'ADD', 'REMOVE', ...INSERTS],
  HTTP_ROUTE: [...MERGES, 'ADD', 'REMOVE', ...INSERTS],
  CLUSTER: [...MERGES, 'ADD', 'REMOVE', ...INSERTS],
  EXTENSION_CONFIG: ['ADD', ...INSERTS],
  BOOTSTRAP: ['MERGE'],
};

/** The patches of one EnvoyFilter, each checked by encoding its value. The identical result as long as the object is the same. */
export const compileFilter = memoByInputs(
  (config: Config<EnvoyFilterSpec>) => [config],
  (config): CompiledFilter => {
    const patches: Patch[] = [];
    const problems: PatchProblem[] = [];
    for (const [i, one] of (config.spec.configPatches ?? []).entries()) {
      const path = `spec.configPatches[${i}]`;
      const { applyTo, match = {}, patch } = one;
      const operation = patch?.operation;
      if (applyTo === undefined || applyTo === 'INVALID' || operation === undefined || operation === 'INVALID')
        continue;
      const version = match.proxy?.proxyVersion;
      if (version && versionPattern(version) === undefined) {
        problems.push({ path: `${path}.match.proxy.proxyVersion`, message: 'is no RE2 regular expression' });
        continue;
      }
      if (!OPERATIONS[applyTo].includes(operation)) {
        problems.push({
          path: `${path}.patch.operation`,
          message: `${operation} has no effect on ${applyTo}; use ${OPERATIONS[applyTo].join(', ')}`,
        });
        continue;
      }
      if (operation !== 'REMOVE' && patch?.value === undefined) {
        problems.push({ path: `${path}.patch.value`, message: `is required for ${operation}` });
        continue;
      }
      try {
        patches.push({
          origin: config.origin,
          path,
          applyTo,
          operation,
          filterClass: patch?.filterClass ?? 'UNSPECIFIED',
          match,
          value: operation === 'REMOVE' ? {} : canonical(PATCHED_TYPES[applyTo], patch?.value ?? {}),
        });
      } catch (error) {
        problems.push({ path: `${path}.patch.value`, message: error instanceof Error ? error.message : String(error) });
      }
    }
    return { patches, problems };
  },
);

/** The same for the content of an EnvoyFilter alone. */
export const envoyPatchProblems = (spec: EnvoyFilterSpec): readonly PatchProblem[] =>
  compileFilter({
    origin: { kind: 'EnvoyFilter', namespace: '', name: '' },
    labels: {},
    annotations: {},
    createdAt: 0,
    spec,
  }).problems;

/** Why parts of an EnvoyFilter have no effect; for its status and for `istioctl analyze`. */
export const envoyFilterProblems = (config: Config<EnvoyFilterSpec>): readonly PatchProblem[] =>
  compileFilter(config).problems;

const patterns = new Map<string, RE2JS | undefined>();
const MAX_PATTERNS = 1000;

/** A user's expression never runs in JavaScript's own engine, which backtracks. */
function versionPattern(text: string): RE2JS | undefined {
  if (!patterns.has(text)) {
    if (patterns.size >= MAX_PATTERNS) patterns.clear();
    let compiled: RE2JS | undefined;
    try {
      compiled = RE2JS.compile(text);
    } catch {
      // An expression that does not compile matches no version.
      compiled = undefined;
    }
    patterns.set(text, compiled);
  }
  return patterns.get(text);
}

/** What a patch may ask of a proxy. */
export interface PatchedProxy {
  readonly type: ProxyType;
  readonly istioVersion: string;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** The contexts of a kind of proxy. */
export function contextsOf(type: ProxyType): readonly Context[] {
  switch (type) {
    case 'sidecar':
      return ['SIDECAR_INBOUND', 'SIDECAR_OUTBOUND'];
    case 'router':
      return ['GATEWAY'];
    case 'waypoint':
      return ['WAYPOINT'];
    case 'ztunnel':
      return [];
    default: {
      const unknown: never = type;
      return unknown;
    }
  }
}

export const inContext = ({ match }: Patch, context: Context): boolean =>
  match.context === undefined || match.context === 'ANY' || match.context === context;

/** Whether a patch is for a kind of proxy, its version and its metadata. */
export function isForProxy(patch: Patch, proxy: PatchedProxy): boolean {
  if (!contextsOf(proxy.type).some((context) => inContext(patch, context))) return false;
  const { proxyVersion = '', metadata = {} } = patch.match.proxy ?? {};
  if (proxyVersion !== '') {
    if (proxy.istioVersion === '') return false;
    if (versionPattern(proxyVersion)?.matcher(proxy.istioVersion).find() !== true) return false;
  }
  return Object.entries(metadata).every(([name, value]) => proxy.metadata[name] === value);
}
