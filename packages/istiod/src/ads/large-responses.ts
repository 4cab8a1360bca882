/** Responses of this size wait for their turn. */
const LARGE_BYTES = 128 * 1024;

/**
 * Lets only some large responses be on their way at a time: when a thousand proxies connect at once, the memory for their connections stays that of a
 * few, and the first ones are served sooner. A proxy that does not read gives its place back after a while, and goes on at its own pace.
 */
export class LargeResponses {
  readonly #waiting: (() => void)[] = [];
  readonly #patienceMs: number;
  #free: number;

  constructor(places = 12, patienceMs = 2000) {
    this.#free = places;
    this.#patienceMs = patienceMs;
  }

  /** How many responses wait for a place. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Runs `send`, when it is large as soon as there is a place for it. */
  send(bytes: number, send: () => Promise<void> | undefined): Promise<void> | undefined {
    return bytes < LARGE_BYTES ? send() : this.#sendInTurn(send);
  }

  async #sendInTurn(send: () => Promise<void> | undefined): Promise<void> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    let released = false;
    const release = (): void => {
      if (released) return;
      released = true;
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    };
    const timer = setTimeout(release, this.#patienceMs);
    timer.unref();
    try {
      await send();
    } finally {
      clearTimeout(timer);
      release();
    }
  }
}
