import type { Origin, ProxyScope } from '@istio-ts/mesh/model';
import { memoByInputs } from '../memo.ts';
import { uniqueOrigins } from '../generated.ts';
import { type ApplyTo, compileFilter, isForProxy, type Patch } from './patch.ts';

/** Patches that are applied together, in order. Equal sets are identical, so what is made with them is remembered by them. */
export interface PatchSet {
  readonly patches: readonly Patch[];
  of(...applyTo: readonly ApplyTo[]): readonly Patch[];
}

/** The patches of a proxy by what they change: a patch of routes must not touch listeners. */
export interface ProxyPatches {
  readonly listeners: PatchSet | undefined;
  readonly routes: PatchSet | undefined;
  readonly clusters: PatchSet | undefined;
  readonly extensions: PatchSet | undefined;
  readonly bootstrap: PatchSet | undefined;
}

const none: ProxyPatches = {
  listeners: undefined,
  routes: undefined,
  clusters: undefined,
  extensions: undefined,
  bootstrap: undefined,
};

const ROUTE_KINDS: readonly ApplyTo[] = ['ROUTE_CONFIGURATION', 'VIRTUAL_HOST', 'HTTP_ROUTE'];
/** Inbound routes are part of their listener. */
const LISTENER_KINDS: readonly ApplyTo[] = [
  'LISTENER',
  'FILTER_CHAIN',
  'NETWORK_FILTER',
  'HTTP_FILTER',
  'LISTENER_FILTER',
  ...ROUTE_KINDS,
];

const interned = memoByInputs(
  (patches: readonly Patch[]) => patches as unknown as readonly [object, ...unknown[]],
  (patches): PatchSet => {
    const byKind = new Map<string, readonly Patch[]>();
    return {
      patches,
      of: (...applyTo) => {
        const key = applyTo.join();
        let found = byKind.get(key);
        if (found === undefined) {
          found = patches.filter((patch) => applyTo.includes(patch.applyTo));
          byKind.set(key, found);
        }
        return found;
      },
    };
  },
);

function setOf(patches: readonly Patch[], kinds: readonly ApplyTo[]): PatchSet | undefined {
  const some = patches.filter((patch) => kinds.includes(patch.applyTo));
  return some.length === 0 ? undefined : interned(some);
}

/**
 * The patches for a proxy in the order in which they are applied: by priority, then those of the root namespace before its own, then the older first
 * (EnvoyFilter reference, priority).
 */
export const patchesOf = memoByInputs(
  ({ envoyFilters, proxy, mesh }: Pick<ProxyScope, 'envoyFilters' | 'proxy' | 'mesh'>) => [envoyFilters, proxy, mesh],
  ({ envoyFilters, proxy, mesh }): ProxyPatches => {
    if (envoyFilters.length === 0) return none;
    const root = mesh.rootNamespace || 'istio-system';
    const ownAfterRoot = (namespace: string): number => (namespace === root ? 0 : 1);
    // The scope has them by age, and sorting keeps that order among equals.
    const ordered = [...envoyFilters].sort(
      (a, b) =>
        (a.spec.priority ?? 0) - (b.spec.priority ?? 0) ||
        ownAfterRoot(a.origin.namespace) - ownAfterRoot(b.origin.namespace),
    );
    const patches = ordered.flatMap((config) =>
      compileFilter(config).patches.filter((patch) => isForProxy(patch, proxy)),
    );
    if (patches.length === 0) return none;
    const routes = setOf(patches, ROUTE_KINDS);
    return {
      listeners: setOf(patches, proxy.type === 'sidecar' ? LISTENER_KINDS : LISTENER_KINDS.slice(0, 5)),
      routes,
      clusters: setOf(patches, ['CLUSTER']),
      extensions: setOf(patches, ['EXTENSION_CONFIG']),
      bootstrap: setOf(patches, ['BOOTSTRAP']),
    };
  },
);

/** The objects that a patched resource comes from, those of its patches last. */
export const withOrigins = (origins: readonly Origin[], applied: Iterable<Patch>): readonly Origin[] =>
  uniqueOrigins([...origins, ...[...applied].map((patch) => patch.origin)]);
