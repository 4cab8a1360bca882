import { QueryLimitError } from './errors.ts';

/** What a query may cost. */
export interface QueryLimits {
  /** Samples read and produced. */
  readonly maxSamples: number;
  /** Milliseconds. */
  readonly timeout: number;
}

export const defaultQueryLimits: QueryLimits = { maxSamples: 50_000_000, timeout: 120_000 };

/** Counts what one query costs and ends it with QueryLimitError where that is too much. */
export class Budget {
  readonly #limits: QueryLimits;
  readonly #now: () => number;
  readonly #until: number;
  #used = 0;
  #sinceCheck = 0;

  constructor(limits: QueryLimits, now: () => number) {
    this.#limits = limits;
    this.#now = now;
    this.#until = now() + limits.timeout;
  }

  samples(count: number): void {
    this.#used += count;
    if (this.#used > this.#limits.maxSamples)
      throw new QueryLimitError(
        'samples',
        `query processing would load too many samples into memory: more than ${this.#limits.maxSamples}`,
      );
    this.#sinceCheck += count + 1;
    if (this.#sinceCheck < 10_000) return;
    this.check();
  }

  check(): void {
    this.#sinceCheck = 0;
    if (this.#now() > this.#until)
      throw new QueryLimitError('timeout', `query timed out: it took longer than ${this.#limits.timeout / 1000} s`);
  }
}
