import { type Equality, structurallyEqual } from './equal.ts';
import type { Graph, GraphNode } from './graph.ts';

/** What happened to one key: added (`before` undefined), removed (`after` undefined) or replaced. */
export interface Change<T> {
  readonly key: string;
  readonly before: T | undefined;
  readonly after: T | undefined;
}

/** A callback that hears of changes. (Declared as a method so that a collection of a type is also one of its supertypes.) */
export type ChangeListener<T> = { hear(changes: readonly Change<T>[]): void }['hear'];

/** Read access for a transformation: what it reads through this is a dependency, and a change of it runs the transformation again. */
export interface Fetch {
  /** One key of a collection, present or not. */
  get<T>(collection: Collection<T>, key: string): T | undefined;
  /** A whole collection: any change of it counts. The map is immutable and the same instance until something changes. */
  all<T>(collection: Collection<T>): ReadonlyMap<string, T>;
  /** The content of a collection of one, for example of `cell` or `ordered`. */
  value<T>(cell: Cell<T>): T;
}

/** Something that wants to hear when what it read has changed. */
export interface Reader {
  invalidate(): void;
}

/** A collection that takes the changes of another one as they come. */
export interface Dependent<T> {
  receive(changes: readonly Change<T>[]): void;
}

export interface CollectionOptions<T> {
  /** For messages and dumps. */
  readonly name?: string;
  /** Decides whether an output is new; structural equality by default. An output equal to the old one stops there and the old instance stays. */
  readonly equal?: Equality<T>;
}

/**
 * Values by key, kept up to date. Read it at any time outside a batch; `subscribe` to hear of changes after each propagation. Values are
 * immutable and none is `undefined`.
 */
export abstract class Collection<T> implements GraphNode {
  readonly graph: Graph;
  readonly name: string;
  readonly order: number;
  readonly #equal: Equality<T>;
  readonly #entries = new Map<string, T>();
  // There are many cells for every class of proxies, and most have only one kind of these: they are made when they are needed.
  #dependents: Set<Dependent<T>> | undefined;
  #readers: Map<string, Set<Reader>> | undefined;
  #readersOfAll: Set<Reader> | undefined;
  #listeners: Set<ChangeListener<T>> | undefined;
  #changes: Change<T>[] = [];
  #snapshot: ReadonlyMap<string, T> | undefined;
  /** The snapshot from before the pending changes. */
  #snapshotBefore: ReadonlyMap<string, T> | undefined;

  constructor(graph: Graph, options: CollectionOptions<T> = {}) {
    this.graph = graph;
    this.order = graph.takeOrder();
    this.name = options.name ?? `collection ${this.order}`;
    this.#equal = options.equal ?? structurallyEqual;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): T | undefined {
    return this.#entries.get(key);
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  keys(): IterableIterator<string> {
    return this.#entries.keys();
  }

  values(): IterableIterator<T> {
    return this.#entries.values();
  }

  entries(): IterableIterator<[string, T]> {
    return this.#entries.entries();
  }

  /** All entries as an immutable map; the same instance until something changes. */
  snapshot(): ReadonlyMap<string, T> {
    this.#snapshot ??= new Map(this.#entries);
    return this.#snapshot;
  }

  /** Calls back after every propagation that changed something here, once, each key at most once. Returns the function that ends it. */
  subscribe(listener: ChangeListener<T>): () => void {
    const listeners = this.#listeners ?? new Set();
    this.#listeners = listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** Recomputes; called by the graph. */
  update(): void {
    this.recompute();
    this.#commit();
  }

  /** Detaches it from what it reads. Its content stays as it is from then on. */
  dispose(): void {}

  /** For derived collections: passes every change on to `dependent`. */
  attach(dependent: Dependent<T>): () => void {
    const dependents = this.#dependents ?? new Set();
    this.#dependents = dependents.add(dependent);
    return () => dependents.delete(dependent);
  }

  /** For transformations: `reader` depends on `key`, or on everything. Returns the function that ends it. */
  track(reader: Reader, key: string | undefined): () => void {
    if (key === undefined) {
      const all = this.#readersOfAll ?? new Set();
      this.#readersOfAll = all.add(reader);
      return () => all.delete(reader);
    }
    const byKey = this.#readers ?? new Map<string, Set<Reader>>();
    this.#readers = byKey;
    const readers = byKey.get(key) ?? new Set();
    byKey.set(key, readers.add(reader));
    return () => {
      readers.delete(reader);
      if (readers.size === 0 && byKey.get(key) === readers) byKey.delete(key);
    };
  }

  /** Brings the entries up to date by `put`; runs once per propagation. */
  protected abstract recompute(): void;

  /** Sets or (with `undefined`) removes an entry. An equal value changes nothing and keeps the old instance. */
  protected put(key: string, after: T | undefined): void {
    const before = this.#entries.get(key);
    if (before === after || (before !== undefined && after !== undefined && this.#equal(before, after))) return;
    if (after === undefined) this.#entries.delete(key);
    else this.#entries.set(key, after);
    if (this.#changes.length === 0) this.#snapshotBefore = this.#snapshot;
    this.#changes.push({ key, before, after });
    this.#snapshot = undefined;
  }

  #commit(): void {
    if (this.#changes.length === 0) return;
    const changes = this.#netChanges();
    this.#changes = [];
    if (changes.length === 0) this.#snapshot = this.#snapshotBefore;
    this.#snapshotBefore = undefined;
    if (changes.length === 0) return;
    for (const dependent of this.#dependents ?? []) dependent.receive(changes);
    for (const reader of [...(this.#readersOfAll ?? [])]) reader.invalidate();
    const byKey = this.#readers;
    if (byKey !== undefined && byKey.size > 0) {
      for (const { key } of changes) for (const reader of [...(byKey.get(key) ?? [])]) reader.invalidate();
    }
    const listeners = this.#listeners;
    if (listeners !== undefined && listeners.size > 0) {
      // One entry each, so that one that fails does not keep the others from hearing it. Who has left meanwhile hears nothing.
      for (const listener of listeners)
        this.graph.afterPropagation(() => {
          if (listeners.has(listener)) listener(changes);
        });
    }
  }

  /** A key that was changed several times in a batch counts once; one that came back to what it was does not count. */
  #netChanges(): readonly Change<T>[] {
    if (this.#changes.length === 1) return this.#changes;
    const net = new Map<string, Change<T>>();
    for (const change of this.#changes) {
      const first = net.get(change.key);
      net.set(change.key, first ? { key: change.key, before: first.before, after: change.after } : change);
    }
    return [...net.values()].filter(({ key, before, after }) => {
      if (before === undefined || after === undefined) return before !== after;
      if (!this.#equal(before, after)) return true;
      this.#entries.set(key, before);
      return false;
    });
  }
}

/** A collection of one value, under the key ''. */
export abstract class Cell<T> extends Collection<T> {
  /** The value now. */
  get current(): T {
    const value = this.get('');
    if (value === undefined)
      throw new Error(`${this.name} has no value: its transformation failed before it ever succeeded`);
    return value;
  }
}
