import {
  Cell,
  type Change,
  Collection,
  type CollectionOptions,
  type Dependent,
  type Fetch,
  type Reader,
} from './collection.ts';
import type { Graph } from './graph.ts';

/** Runs a transformation for one key and remembers what it read. */
class Tracked implements Reader, Fetch {
  readonly #node: Collection<unknown>;
  readonly #stale: () => void;
  #ends: (() => void)[] = [];
  #seen = new Map<Collection<unknown>, Set<string | undefined>>();

  constructor(node: Collection<unknown>, stale: () => void) {
    this.#node = node;
    this.#stale = stale;
  }

  /** True when the last run read something beside its input. */
  get hasDependencies(): boolean {
    return this.#ends.length > 0;
  }

  get<T>(collection: Collection<T>, key: string): T | undefined {
    this.#depend(collection, key);
    return collection.get(key);
  }

  all<T>(collection: Collection<T>): ReadonlyMap<string, T> {
    this.#depend(collection, undefined);
    return collection.snapshot();
  }

  value<T>(cell: Cell<T>): T {
    this.#depend(cell, undefined);
    return cell.current;
  }

  invalidate(): void {
    this.#stale();
  }

  forget(): void {
    for (const end of this.#ends) end();
    this.#ends = [];
    this.#seen.clear();
  }

  #depend<T>(collection: Collection<T>, key: string | undefined): void {
    if (collection.graph !== this.#node.graph || collection.order >= this.#node.order) {
      throw new Error(
        `${this.#node.name} may not read ${collection.name}: it was made later, or belongs to another graph`,
      );
    }
    const keys = this.#seen.get(collection as Collection<unknown>) ?? new Set();
    if (keys.has(key)) return;
    this.#seen.set(collection as Collection<unknown>, keys.add(key));
    this.#ends.push(collection.track(this, key));
  }
}

/** What is common to the collections that run a transformation for every key of an input. */
abstract class PerKey<I, T> extends Collection<T> implements Dependent<I> {
  readonly #input: Collection<I>;
  readonly #tracked = new Map<string, Tracked>();
  readonly #stale = new Set<string>();
  readonly #detach: () => void;

  constructor(input: Collection<I>, options: CollectionOptions<T>) {
    super(input.graph, options);
    this.#input = input;
    this.#detach = input.attach(this);
    for (const key of input.keys()) this.#stale.add(key);
  }

  receive(changes: readonly Change<I>[]): void {
    for (const { key } of changes) this.#stale.add(key);
    this.graph.schedule(this);
  }

  override dispose(): void {
    this.#detach();
    for (const tracked of this.#tracked.values()) tracked.forget();
    this.#tracked.clear();
  }

  protected override recompute(): void {
    const stale = [...this.#stale];
    this.#stale.clear();
    for (const key of stale) this.#recomputeKey(key);
  }

  /** Computes and puts the output of one key. */
  protected abstract produce(value: I, key: string, fetch: Fetch): void;

  /** Removes the output of one key. */
  protected abstract remove(key: string): void;

  #recomputeKey(key: string): void {
    const tracked = this.#tracked.get(key) ?? new Tracked(this as Collection<unknown>, () => this.#invalidate(key));
    tracked.forget();
    const value = this.#input.get(key);
    if (value === undefined) {
      this.#tracked.delete(key);
      this.remove(key);
      return;
    }
    try {
      this.produce(value, key, tracked);
    } catch (error) {
      this.graph.report({ collection: this.name, key, error });
    }
    if (tracked.hasDependencies) this.#tracked.set(key, tracked);
    else this.#tracked.delete(key);
  }

  #invalidate(key: string): void {
    this.#stale.add(key);
    this.graph.schedule(this);
  }
}

class Mapped<I, T> extends PerKey<I, T> {
  readonly #transform: (value: I, key: string, fetch: Fetch) => T | undefined;

  constructor(
    input: Collection<I>,
    transform: (value: I, key: string, fetch: Fetch) => T | undefined,
    options: CollectionOptions<T>,
  ) {
    super(input, options);
    this.#transform = transform;
    this.update();
  }

  protected override produce(value: I, key: string, fetch: Fetch): void {
    this.put(key, this.#transform(value, key, fetch));
  }

  protected override remove(key: string): void {
    this.put(key, undefined);
  }
}

class MappedMany<I, T> extends PerKey<I, T> {
  readonly #transform: (value: I, key: string, fetch: Fetch) => Iterable<readonly [string, T]>;
  readonly #outputs = new Map<string, ReadonlyMap<string, T>>();
  /** Which inputs produce an output key, where more than one does. */
  readonly #producers = new Map<string, Set<string>>();

  constructor(
    input: Collection<I>,
    transform: (value: I, key: string, fetch: Fetch) => Iterable<readonly [string, T]>,
    options: CollectionOptions<T>,
  ) {
    super(input, options);
    this.#transform = transform;
    this.update();
  }

  protected override produce(value: I, key: string, fetch: Fetch): void {
    this.#replace(key, new Map(this.#transform(value, key, fetch)));
  }

  protected override remove(key: string): void {
    this.#replace(key, new Map());
  }

  #replace(input: string, next: ReadonlyMap<string, T>): void {
    const previous = this.#outputs.get(input);
    if (next.size === 0) this.#outputs.delete(input);
    else this.#outputs.set(input, next);
    for (const key of previous?.keys() ?? []) if (!next.has(key)) this.#withdraw(input, key);
    for (const key of next.keys()) {
      const producers = this.#producers.get(key) ?? new Set();
      this.#producers.set(key, producers.add(input));
      this.#settle(key, producers);
    }
  }

  #withdraw(input: string, key: string): void {
    const producers = this.#producers.get(key);
    if (!producers) return;
    producers.delete(input);
    if (producers.size === 0) this.#producers.delete(key);
    this.#settle(key, producers);
  }

  /** Of several inputs that produce the same key the one whose own key sorts first wins, whatever the order in which they came. */
  #settle(key: string, producers: ReadonlySet<string>): void {
    let winner: string | undefined;
    for (const producer of producers) if (winner === undefined || producer < winner) winner = producer;
    this.put(key, winner === undefined ? undefined : this.#outputs.get(winner)?.get(key));
  }
}

class Computed<T> extends Cell<T> {
  readonly #compute: (fetch: Fetch) => T;
  readonly #tracked: Tracked;

  constructor(graph: Graph, compute: (fetch: Fetch) => T, options: CollectionOptions<T>) {
    super(graph, options);
    this.#compute = compute;
    this.#tracked = new Tracked(this as Collection<unknown>, () => this.graph.schedule(this));
    this.update();
  }

  override dispose(): void {
    this.#tracked.forget();
  }

  protected override recompute(): void {
    this.#tracked.forget();
    try {
      this.put('', this.#compute(this.#tracked));
    } catch (error) {
      this.graph.report({ collection: this.name, key: '', error });
    }
  }
}

/** The output of `transform` for every key; `undefined` leaves the key out. Runs again for a key when its value or something that it fetched changed. */
export function map<I, T>(
  input: Collection<I>,
  transform: (value: I, key: string, fetch: Fetch) => T | undefined,
  options: CollectionOptions<T> = {},
): Collection<T> {
  return new Mapped(input, transform, options);
}

/** Any number of outputs, with keys of their own, for every key. Where two inputs produce the same key, the input whose key sorts first wins. */
export function mapMany<I, T>(
  input: Collection<I>,
  transform: (value: I, key: string, fetch: Fetch) => Iterable<readonly [string, T]>,
  options: CollectionOptions<T> = {},
): Collection<T> {
  return new MappedMany(input, transform, options);
}

/** The entries that `keep` accepts. */
export function filter<T>(
  input: Collection<T>,
  keep: (value: T, key: string, fetch: Fetch) => boolean,
  options: CollectionOptions<T> = {},
): Collection<T> {
  return map(input, (value, key, fetch) => (keep(value, key, fetch) ? value : undefined), options);
}

/** One value computed from whatever `compute` fetches. */
export function cell<T>(graph: Graph, compute: (fetch: Fetch) => T, options: CollectionOptions<T> = {}): Cell<T> {
  return new Computed(graph, compute, options);
}
