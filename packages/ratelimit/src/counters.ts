/** One counter that a request asks for. */
export interface Hit {
  /** Domain and descriptor; the same in every window. */
  readonly key: string;
  readonly windowSeconds: number;
  /** Seconds since 1970. */
  readonly windowStart: number;
  /** How much to add; negative gives back; 0 only looks. */
  readonly hits: number;
  /** What the counter may reach. */
  readonly limit: number;
}

/** Where requests are counted. */
export interface Counters {
  /** Adds the hits and gives each counter's value after it. Rejects with {@link CountersUnavailable}. */
  add(hits: readonly Hit[]): readonly number[] | Promise<readonly number[]>;
  /** Whether it can count now. */
  readonly healthy: boolean;
  close(): void;
}

/** The store of the counters does not answer. */
export class CountersUnavailable extends Error {
  constructor(reason: string) {
    super(`the store of the counters cannot be asked: ${reason}`);
    this.name = 'CountersUnavailable';
  }
}
