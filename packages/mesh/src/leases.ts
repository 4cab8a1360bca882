/** Something shared by everybody who asks for the same key; it ends when the last of them has let go. */
export interface Lease<T> {
  readonly value: T;
  release(): void;
}

/** Things by key that are made when first asked for and disposed of when nobody needs them any more. */
export class Leases<T extends { dispose(): void }> {
  readonly #held = new Map<string, { readonly value: T; holders: number }>();

  get size(): number {
    return this.#held.size;
  }

  values(): T[] {
    return [...this.#held.values()].map(({ value }) => value);
  }

  acquire(key: string, make: () => T): Lease<T> {
    const entry = this.#held.get(key) ?? { value: make(), holders: 0 };
    this.#held.set(key, entry);
    entry.holders++;
    let released = false;
    return {
      value: entry.value,
      release: () => {
        if (released) return;
        released = true;
        entry.holders--;
        if (entry.holders > 0 || this.#held.get(key) !== entry) return;
        this.#held.delete(key);
        entry.value.dispose();
      },
    };
  }
}
