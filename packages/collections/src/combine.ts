import { Cell, type Change, Collection, type CollectionOptions, type Dependent } from './collection.ts';

class Joined<T> extends Collection<T> implements Dependent<T> {
  readonly #inputs: readonly Collection<T>[];
  readonly #stale = new Set<string>();
  readonly #detach: readonly (() => void)[];

  constructor(inputs: readonly [Collection<T>, ...Collection<T>[]], options: CollectionOptions<T>) {
    super(inputs[0].graph, options);
    this.#inputs = inputs;
    this.#detach = inputs.map((input) => input.attach(this));
    for (const input of inputs) for (const key of input.keys()) this.#stale.add(key);
    this.update();
  }

  receive(changes: readonly Change<T>[]): void {
    for (const { key } of changes) this.#stale.add(key);
    this.graph.schedule(this);
  }

  override dispose(): void {
    for (const detach of this.#detach) detach();
  }

  protected override recompute(): void {
    for (const key of this.#stale) {
      let value: T | undefined;
      for (const input of this.#inputs) {
        value = input.get(key);
        if (value !== undefined) break;
      }
      this.put(key, value);
    }
    this.#stale.clear();
  }
}

/** Entries of a sorted list, by binary search on `compare`. */
function position<T>(sorted: readonly T[], item: T, compare: (a: T, b: T) => number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compare(sorted[middle] as T, item) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

class Indexed<T> extends Collection<readonly T[]> implements Dependent<T> {
  readonly #input: Collection<T>;
  readonly #groupsOf: (value: T, key: string) => readonly string[];
  readonly #groups = new Map<string, Map<string, T>>();
  readonly #memberships = new Map<string, readonly string[]>();
  readonly #stale = new Set<string>();
  readonly #detach: () => void;

  constructor(
    input: Collection<T>,
    groupsOf: (value: T, key: string) => readonly string[],
    options: CollectionOptions<readonly T[]>,
  ) {
    super(input.graph, options);
    this.#input = input;
    this.#groupsOf = groupsOf;
    this.#detach = input.attach(this);
    for (const key of input.keys()) this.#stale.add(key);
    this.update();
  }

  receive(changes: readonly Change<T>[]): void {
    for (const { key } of changes) this.#stale.add(key);
    this.graph.schedule(this);
  }

  override dispose(): void {
    this.#detach();
  }

  protected override recompute(): void {
    const touched = new Set<string>();
    for (const key of this.#stale) {
      for (const group of this.#memberships.get(key) ?? []) {
        touched.add(group);
        this.#groups.get(group)?.delete(key);
      }
      const value = this.#input.get(key);
      const groups = value === undefined ? [] : this.#groupsOf(value, key);
      if (value === undefined || groups.length === 0) this.#memberships.delete(key);
      else this.#memberships.set(key, groups);
      for (const group of value === undefined ? [] : groups) {
        touched.add(group);
        const members = this.#groups.get(group) ?? new Map<string, T>();
        this.#groups.set(group, members.set(key, value as T));
      }
    }
    this.#stale.clear();
    for (const group of touched) {
      const members = this.#groups.get(group);
      if (members?.size) {
        const keys = [...members.keys()].sort();
        this.put(
          group,
          keys.map((key) => members.get(key) as T),
        );
      } else {
        this.#groups.delete(group);
        this.put(group, undefined);
      }
    }
  }
}

class Ordered<T> extends Cell<readonly T[]> implements Dependent<T> {
  readonly #compare: (a: readonly [string, T], b: readonly [string, T]) => number;
  readonly #detach: () => void;
  #pending: Change<T>[] = [];
  #sorted: (readonly [string, T])[];

  constructor(input: Collection<T>, compare: (a: T, b: T) => number, options: CollectionOptions<readonly T[]>) {
    super(input.graph, options);
    this.#compare = ([keyA, a], [keyB, b]) => compare(a, b) || (keyA < keyB ? -1 : keyA > keyB ? 1 : 0);
    this.#detach = input.attach(this);
    this.#sorted = [...input.entries()].sort(this.#compare);
    this.update();
  }

  receive(changes: readonly Change<T>[]): void {
    this.#pending.push(...changes);
    this.graph.schedule(this);
  }

  override dispose(): void {
    this.#detach();
  }

  protected override recompute(): void {
    for (const { key, before, after } of this.#pending) {
      if (before !== undefined) this.#remove([key, before]);
      if (after !== undefined) this.#insert([key, after]);
    }
    this.#pending = [];
    this.put(
      '',
      this.#sorted.map(([, value]) => value),
    );
  }

  #remove(entry: readonly [string, T]): void {
    const at = position(this.#sorted, entry, this.#compare);
    if (this.#sorted[at]?.[0] === entry[0]) this.#sorted.splice(at, 1);
  }

  #insert(entry: readonly [string, T]): void {
    this.#sorted.splice(position(this.#sorted, entry, this.#compare), 0, entry);
  }
}

/** The union of collections; where several have a key, the first one in the list wins. */
export function join<T>(
  inputs: readonly [Collection<T>, ...Collection<T>[]],
  options: CollectionOptions<T> = {},
): Collection<T> {
  return new Joined(inputs, options);
}

/** Values by the groups that `groupsOf` puts them into, each list in the order of the values' keys. A group without values does not exist. */
export function index<T>(
  input: Collection<T>,
  groupsOf: (value: T, key: string) => readonly string[],
  options: CollectionOptions<readonly T[]> = {},
): Collection<readonly T[]> {
  return new Indexed(input, groupsOf, options);
}

/** All values in the order of `compare`, then of their keys. */
export function ordered<T>(
  input: Collection<T>,
  compare: (a: T, b: T) => number,
  options: CollectionOptions<readonly T[]> = {},
): Cell<readonly T[]> {
  return new Ordered(input, compare, options);
}
