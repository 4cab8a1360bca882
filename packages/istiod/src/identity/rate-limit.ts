/** How often something may be done: `burst` at once, then `perSecond`. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

interface Bucket {
  tokens: number;
  at: number;
}

/** Callers that are remembered; the ones that were seen longest ago are forgotten, which does them a favour. */
const MOST_CALLERS = 50_000;

/** A token bucket for each caller. `now` in milliseconds. */
export class RateLimit {
  readonly #rate: Rate;
  readonly #now: () => number;
  readonly #buckets = new Map<string, Bucket>();

  constructor(rate: Rate, now: () => number) {
    this.#rate = rate;
    this.#now = now;
  }

  /** Counts one; false when the caller has had its share. */
  take(caller: string): boolean {
    const now = this.#now();
    const { perSecond, burst } = this.#rate;
    const known = this.#buckets.get(caller);
    const tokens = known === undefined ? burst : Math.min(burst, known.tokens + ((now - known.at) / 1000) * perSecond);
    const isAdmitted = tokens >= 1;
    this.#buckets.delete(caller);
    this.#buckets.set(caller, { tokens: isAdmitted ? tokens - 1 : tokens, at: now });
    if (this.#buckets.size > MOST_CALLERS) {
      const oldest = this.#buckets.keys().next().value;
      if (oldest !== undefined) this.#buckets.delete(oldest);
    }
    return isAdmitted;
  }
}
