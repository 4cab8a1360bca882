import { ApiFailure } from './failure.ts';

/** Allows so many attempts per key in a time, and forgets keys when their time is over. */
export class RateLimit {
  readonly #limit: number;
  readonly #windowMs: number;
  readonly #seen = new Map<string, { count: number; until: number }>();
  /** More keys than this and the oldest are forgotten: an attacker with many addresses must not fill the memory. */
  static readonly maxKeys = 10_000;

  constructor(limit: number, windowMs: number) {
    this.#limit = limit;
    this.#windowMs = windowMs;
  }

  /** Counts an attempt; gives the milliseconds to wait when it is one too many, else 0. */
  attempt(key: string, now: number): number {
    const entry = this.#seen.get(key);
    if (!entry || entry.until <= now) {
      this.#seen.delete(key);
      this.#seen.set(key, { count: 1, until: now + this.#windowMs });
      if (this.#seen.size > RateLimit.maxKeys) {
        const [oldest] = this.#seen.keys();
        if (oldest !== undefined) this.#seen.delete(oldest);
      }
      return 0;
    }
    entry.count++;
    return entry.count > this.#limit ? entry.until - now : 0;
  }

  /** Milliseconds to wait for who has tried too often, without counting. */
  waiting(key: string, now: number): number {
    const entry = this.#seen.get(key);
    return entry && entry.until > now && entry.count >= this.#limit ? entry.until - now : 0;
  }

  /** Takes back what was counted: a right token is no attack. */
  succeeded(key: string): void {
    this.#seen.delete(key);
  }
}

/** Raises ApiFailure 429 where there is a time to wait (milliseconds). */
export function refuseTooMany(waitMs: number): void {
  const seconds = String(Math.ceil(waitMs / 1000));
  if (waitMs > 0)
    throw new ApiFailure(429, `too many wrong tokens from here: try again in ${seconds} seconds`, {
      headers: { 'retry-after': seconds },
    });
}
