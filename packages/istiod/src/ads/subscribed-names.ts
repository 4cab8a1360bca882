/** Sets of names that several clients have asked for at once; proxies of one namespace mostly ask for the same ones. */
const shared = new Map<number, WeakRef<ReadonlySet<string>>[]>();
/** Fewer names are cheaper kept than compared. */
const WORTH_SHARING = 64;
const MAX_CANDIDATES = 32;

function share(names: ReadonlySet<string>): ReadonlySet<string> {
  const alive = (shared.get(names.size) ?? []).filter((ref) => ref.deref() !== undefined);
  for (const ref of alive) {
    const candidate = ref.deref();
    if (candidate !== undefined && isSubset(names, candidate)) return candidate;
  }
  shared.set(names.size, [new WeakRef(names), ...alive.slice(0, MAX_CANDIDATES - 1)]);
  return names;
}

function isSubset(names: ReadonlySet<string>, of: ReadonlySet<string>): boolean {
  for (const name of names) if (!of.has(name)) return false;
  return true;
}

const none: ReadonlySet<string> = new Set();

/** The names that one client has asked for: a set that it shares with other clients, and where it deviates from that. */
export class SubscribedNames {
  #base = none;
  readonly #added = new Set<string>();
  readonly #dropped = new Set<string>();

  get size(): number {
    return this.#base.size - this.#dropped.size + this.#added.size;
  }

  has(name: string): boolean {
    return this.#added.has(name) || (this.#base.has(name) && !this.#dropped.has(name));
  }

  add(name: string): void {
    if (this.#dropped.delete(name) || this.#base.has(name)) return;
    this.#added.add(name);
  }

  /** Returns whether it was there. */
  delete(name: string): boolean {
    if (this.#added.delete(name)) return true;
    if (!this.#base.has(name) || this.#dropped.has(name)) return false;
    this.#dropped.add(name);
    return true;
  }

  /** Call after a request was taken in: many deviations become a new base. */
  settle(): void {
    const deviations = this.#added.size + this.#dropped.size;
    if (deviations < Math.max(WORTH_SHARING, this.#base.size / 4)) return;
    const all = new Set(this);
    this.#base = share(all);
    this.#added.clear();
    this.#dropped.clear();
  }

  *[Symbol.iterator](): Iterator<string> {
    for (const name of this.#base) if (!this.#dropped.has(name)) yield name;
    yield* this.#added;
  }
}
