import type { Cluster } from '@istio-ts/envoy';
import type { ProxyType } from '@istio-ts/mesh/model';
import { encodeResource } from '../engine/resource.ts';
import type { Table } from '../engine/table.ts';
import { clusterType } from '../engine/type-urls.ts';
import { memoByInputs } from '../memo.ts';
import type { XdsResource } from '../source.ts';
import { mergePatch } from './list.ts';
import { canonical, type Message } from './merge.ts';
import { parseClusterName } from './names.ts';
import { type Context, contextsOf, inContext, type Patch, PATCHED_TYPES } from './patch.ts';
import { type PatchSet, withOrigins } from './patch-set.ts';

function contextOf(name: string, type: ProxyType): Context {
  if (type === 'router') return 'GATEWAY';
  if (type !== 'sidecar') return 'WAYPOINT';
  return /^inbound/i.test(name) ? 'SIDECAR_INBOUND' : 'SIDECAR_OUTBOUND';
}

/** Hosts that an inbound cluster serves: one cluster for a port, whatever number of services lead to it. */
function servedHosts(resource: XdsResource): readonly string[] {
  const { metadata } = resource.json() as Cluster;
  const services = (
    metadata?.filterMetadata?.istio as { readonly services?: readonly { readonly host?: string }[] } | undefined
  )?.services;
  return (services ?? []).flatMap(({ host }) => host ?? []);
}

function matches({ match }: Patch, resource: XdsResource): boolean {
  if (match.listener || match.routeConfiguration || match.waypoint) return false;
  const wanted = match.cluster;
  if (wanted === undefined) return true;
  if (wanted.name) return wanted.name === resource.name;
  if (!wanted.portNumber && !wanted.service && !wanted.subset) return true;
  const name = parseClusterName(resource.name);
  if (name === undefined) return false;
  if (wanted.portNumber && wanted.portNumber !== name.port) return false;
  if (wanted.subset && wanted.subset !== name.subset) return false;
  if (!wanted.service) return true;
  return (
    name.host === wanted.service || (name.direction === 'inbound' && servedHosts(resource).includes(wanted.service))
  );
}

/** A cluster after the patches that are for it, 'removed', or the identical one; remembered by both. */
const patched = memoByInputs(
  ({
    resource,
    patches,
    context,
  }: {
    readonly resource: XdsResource;
    readonly patches: PatchSet;
    readonly context: Context;
  }) => [resource, patches, context] as const,
  ({ resource, patches, context }): XdsResource | 'removed' => {
    const own = patches.patches.filter((patch) => inContext(patch, context) && matches(patch, resource));
    if (own.length === 0) return resource;
    if (own.some((patch) => patch.operation === 'REMOVE')) return 'removed';
    const applied: Patch[] = [];
    let cluster: Message = {};
    for (const patch of own) {
      if (patch.operation !== 'MERGE' && patch.operation !== 'MERGE_AND_REPLACE_LIST') continue;
      try {
        if (applied.length === 0) cluster = canonical(PATCHED_TYPES.CLUSTER, resource.json());
        // A renamed cluster would leave routes without their target.
        cluster = { ...mergePatch(cluster, patch), name: resource.name };
        applied.push(patch);
      } catch {
        // The cluster stays as it is.
      }
    }
    if (applied.length === 0) return resource;
    return encodeResource(clusterType, resource.name, {
      resource: cluster,
      origins: withOrigins(resource.origins, applied),
    });
  },
);

const added = memoByInputs(
  (patch: Patch) => [patch],
  (patch) =>
    encodeResource(clusterType, String(patch.value.name ?? ''), { resource: patch.value, origins: [patch.origin] }),
);

/**
 * What patches make of tables of clusters: the tables with clusters missing that are removed, and before them one of those that are changed or added.
 * The tables themselves where there are no patches. Remembered by the tables and the patches.
 */
export const patchClusters = memoByInputs(
  ({
    tables,
    patches,
    type,
  }: {
    readonly tables: readonly Table[];
    readonly patches: PatchSet;
    readonly type: ProxyType;
  }) => [patches, type, ...tables] as [object, ...unknown[]],
  ({ tables, patches, type }): readonly Table[] => {
    const changes = new Map<string, XdsResource>();
    const kept = tables.map((table) => {
      let without: Map<string, XdsResource> | undefined;
      for (const [name, resource] of table) {
        const after = patched({ resource, patches, context: contextOf(name, type) });
        if (after === 'removed') {
          without ??= new Map(table);
          without.delete(name);
        } else if (after !== resource) changes.set(name, after);
      }
      return without ?? table;
    });
    for (const patch of patches.patches) {
      if (patch.operation !== 'ADD' && !patch.operation.startsWith('INSERT')) continue;
      const name = String(patch.value.name ?? '');
      if (name === '' || changes.has(name) || kept.some((table) => table.has(name))) continue;
      if (contextsOf(type).some((context) => inContext(patch, context))) changes.set(name, added(patch));
    }
    return [changes, ...kept];
  },
);
