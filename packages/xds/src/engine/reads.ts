/** Remembers the result of a function of one immutable object together with the fields that it read; runs again only when one of these is another. */
export class ReadTracker<S extends object, R> {
  readonly #compute: (source: S) => R;
  #last: { readonly source: S; readonly reads: ReadonlyMap<string | symbol, unknown>; readonly result: R } | undefined;

  constructor(compute: (source: S) => R) {
    this.#compute = compute;
  }

  of(source: S): R {
    const last = this.#last;
    if (last !== undefined) {
      if (last.source === source) return last.result;
      if ([...last.reads].every(([field, value]) => Reflect.get(source, field) === value)) return last.result;
    }
    const reads = new Map<string | symbol, unknown>();
    const note = (field: string | symbol): unknown => {
      const value = Reflect.get(source, field);
      reads.set(field, value);
      return value;
    };
    const watched = new Proxy(source, {
      get: (_source, field) => note(field),
      has: (_source, field) => note(field) !== undefined || Reflect.has(source, field),
      ownKeys: () => {
        const keys = Reflect.ownKeys(source);
        for (const key of keys) note(key);
        return keys;
      },
    });
    const result = this.#compute(watched);
    this.#last = { source, reads, result };
    return result;
  }
}
