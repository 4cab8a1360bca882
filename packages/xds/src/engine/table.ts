import type { XdsResource } from '../source.ts';

/** Resources of one type by name. Immutable: a change makes another table. */
export type Table = ReadonlyMap<string, XdsResource>;

/**
 * Tables laid over each other: what most proxies share stands in one table for all of them, what is a class's own in another. Of a name in
 * several layers the first counts.
 */
export class LayeredTable implements ReadonlyMap<string, XdsResource> {
  readonly layers: readonly Table[];
  #size: number | undefined;

  constructor(layers: readonly Table[]) {
    this.layers = layers;
  }

  get size(): number {
    this.#size ??= this.layers.reduce((sum, layer, i) => {
      const earlier = this.layers.slice(0, i);
      let hidden = 0;
      for (const before of earlier) for (const name of before.keys()) if (layer.has(name)) hidden++;
      return sum + layer.size - hidden;
    }, 0);
    return this.#size;
  }

  get(name: string): XdsResource | undefined {
    for (const layer of this.layers) {
      const found = layer.get(name);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  has(name: string): boolean {
    return this.layers.some((layer) => layer.has(name));
  }

  *entries(): MapIterator<[string, XdsResource]> {
    for (const [i, layer] of this.layers.entries())
      for (const entry of layer) if (!this.layers.slice(0, i).some((earlier) => earlier.has(entry[0]))) yield entry;
  }

  *keys(): MapIterator<string> {
    for (const [name] of this.entries()) yield name;
  }

  *values(): MapIterator<XdsResource> {
    for (const [, resource] of this.entries()) yield resource;
  }

  forEach(see: (resource: XdsResource, name: string, table: Table) => void): void {
    for (const [name, resource] of this.entries()) see(resource, name, this);
  }

  [Symbol.iterator](): MapIterator<[string, XdsResource]> {
    return this.entries();
  }
}

/** A table of which few names are others than in the table that it was made from: a change costs what it changes, not a copy of the table. */
class PatchedTable implements ReadonlyMap<string, XdsResource> {
  readonly base: Table;
  /** Undefined for names that the base has and this table has not. */
  readonly changes: ReadonlyMap<string, XdsResource | undefined>;
  readonly size: number;

  constructor(base: Table, changes: ReadonlyMap<string, XdsResource | undefined>) {
    this.base = base;
    this.changes = changes;
    let size = base.size;
    for (const [name, resource] of changes) size += Number(resource !== undefined) - Number(base.has(name));
    this.size = size;
  }

  get(name: string): XdsResource | undefined {
    return this.changes.has(name) ? this.changes.get(name) : this.base.get(name);
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  *entries(): MapIterator<[string, XdsResource]> {
    for (const entry of this.base) {
      if (!this.changes.has(entry[0])) yield entry;
      else {
        const changed = this.changes.get(entry[0]);
        if (changed !== undefined) yield [entry[0], changed];
      }
    }
    for (const [name, resource] of this.changes)
      if (resource !== undefined && !this.base.has(name)) yield [name, resource];
  }

  *keys(): MapIterator<string> {
    for (const [name] of this.entries()) yield name;
  }

  *values(): MapIterator<XdsResource> {
    for (const [, resource] of this.entries()) yield resource;
  }

  forEach(see: (resource: XdsResource, name: string, table: Table) => void): void {
    for (const [name, resource] of this.entries()) see(resource, name, this);
  }

  [Symbol.iterator](): MapIterator<[string, XdsResource]> {
    return this.entries();
  }
}

/** More changes than this, and than this share of the names, become a table of their own. */
const MAX_CHANGES = 64;
const MAX_SHARE = 1 / 16;

/** The table with some names changed, or (with undefined) left out. */
export function patched(table: Table, changes: ReadonlyMap<string, XdsResource | undefined>): Table {
  if (changes.size === 0) return table;
  const isPatched = table instanceof PatchedTable;
  const base = isPatched ? table.base : table;
  const made = new PatchedTable(base, isPatched ? new Map([...table.changes, ...changes]) : changes);
  return made.changes.size > Math.max(MAX_CHANGES, base.size * MAX_SHARE) ? new Map(made) : made;
}

/** The layers as one table: the same instance as `last` where they are the same. */
export function layered(last: Table | undefined, layers: readonly Table[]): Table {
  if (last instanceof LayeredTable && last.layers.length === layers.length)
    if (layers.every((layer, i) => layer === last.layers[i])) return last;
  return new LayeredTable(layers);
}

const nothing: readonly string[] = [];
const remembered = new WeakMap<Table, WeakMap<Table, readonly string[]>>();

/**
 * Names of which two tables may hold different content, present or not. Many proxies go from one shared table to the next one, so what differs is
 * found once for all of them; for the rest of the tables nothing but their identity is looked at.
 */
export function differences(before: Table, after: Table): readonly string[] {
  if (before === after) return nothing;
  if (before instanceof LayeredTable && after instanceof LayeredTable && before.layers.length === after.layers.length) {
    const names = new Set<string>();
    for (const [i, layer] of after.layers.entries())
      for (const name of differences(before.layers[i] ?? layer, layer)) names.add(name);
    return [...names];
  }
  // A new client: the table itself says it.
  if (before.size === 0) return [...after.keys()];
  let byBefore = remembered.get(after);
  if (byBefore === undefined) {
    byBefore = new WeakMap();
    remembered.set(after, byBefore);
  }
  let names = byBefore.get(before);
  if (names === undefined) {
    names = compare(before, after);
    byBefore.set(before, names);
  }
  return names;
}

/** Names of which tables with a common base may hold different content; undefined where they have none. */
function patchedNames(before: Table, after: Table): ReadonlySet<string> | undefined {
  const changes: Iterable<string>[] = [];
  for (const table of [before, after]) if (table instanceof PatchedTable) changes.push(table.changes.keys());
  const baseOf = (table: Table): Table => (table instanceof PatchedTable ? table.base : table);
  return changes.length > 0 && baseOf(before) === baseOf(after)
    ? new Set(changes.flatMap((names) => [...names]))
    : undefined;
}

function compare(before: Table, after: Table): readonly string[] {
  const few = patchedNames(before, after);
  if (few !== undefined)
    return [...few].filter((name) => {
      const [old, now] = [before.get(name), after.get(name)];
      return old !== now && old?.version !== now?.version;
    });
  const names: string[] = [];
  for (const [name, resource] of after) {
    const old = before.get(name);
    if (old !== resource && old?.version !== resource.version) names.push(name);
  }
  for (const name of before.keys()) if (!after.has(name)) names.push(name);
  return names;
}
