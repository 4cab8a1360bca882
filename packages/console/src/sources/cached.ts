/** Remembers answers for a short time, and asks only once for what several want at the same time. Failures are not remembered. */
export class Cached<T> {
  readonly #entries = new Map<string, { readonly value: Promise<T>; readonly until: number }>();
  readonly #ttlMs: number;
  readonly #now: () => number;
  readonly #max: number;

  constructor(ttlMs: number, now: () => number, max = 500) {
    this.#ttlMs = ttlMs;
    this.#now = now;
    this.#max = max;
  }

  get(key: string, ask: () => Promise<T>): Promise<T> {
    const now = this.#now();
    const known = this.#entries.get(key);
    if (known && known.until > now) return known.value;
    for (const [old, { until }] of this.#entries) if (until <= now) this.#entries.delete(old);
    while (this.#entries.size >= this.#max) {
      const [oldest] = this.#entries.keys();
      if (oldest === undefined) break;
      this.#entries.delete(oldest);
    }
    const value = ask();
    const entry = { value, until: now + this.#ttlMs };
    this.#entries.set(key, entry);
    value.catch(() => {
      if (this.#entries.get(key) === entry) this.#entries.delete(key);
    });
    return value;
  }

  /** Forgets everything, because something has changed. */
  clear(): void {
    this.#entries.clear();
  }
}
