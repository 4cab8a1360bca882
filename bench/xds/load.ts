// Opens the streams of many proxies and measures: the initial load, and how fast one change reaches all of them.
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Crowd, type Kind, Sidecar } from './proxy.ts';
import { proxyIdentity, type Size } from './fixture.ts';

const now = (): number => performance.timeOrigin + performance.now();
const zeros = (): Record<Kind, number> => ({ cds: 0, eds: 0, lds: 0, rds: 0, vhds: 0 });
const total = (counts: Readonly<Record<Kind, number>>): number =>
  Object.values(counts).reduce((sum, value) => sum + value, 0);

export interface LoadOptions {
  readonly size: Size;
  readonly proxies: number;
  readonly address: { readonly host: string; readonly port: number };
  readonly incrementalRoutes: boolean;
}

export interface InitialLoad {
  readonly seconds: number;
  readonly bytes: number;
  readonly retries: number;
}

export interface Arrival {
  /** Milliseconds from the acknowledgement of the write to the arrival, by proxy; those that did not see it are left out. */
  readonly latencies: readonly number[];
  readonly missing: number;
  readonly bytes: number;
  readonly responses: number;
}

/** A crowd of simulated proxies. */
export class Load {
  readonly #options: LoadOptions;
  readonly #crowd: Crowd;
  readonly #proxies: Sidecar[] = [];
  #retries = 0;
  #readyCount = 0;
  readonly #allReady = Promise.withResolvers<void>();
  #over = false;
  #hindered = 0;
  lastReason = '';

  constructor(options: LoadOptions) {
    this.#options = options;
    const attempts = new Map<Sidecar, number>();
    this.#crowd = {
      bytes: zeros(),
      responses: zeros(),
      lastActivity: 0,
      watch: undefined,
      ready: () => {
        if (++this.#readyCount === options.proxies) this.#allReady.resolve();
      },
      ended: (proxy, reason) => {
        if (this.#over) return;
        this.lastReason = reason;
        this.#retries++;
        // Back-off of a client that was turned away: jittered, doubling from 0.5 s to 30 s.
        const attempt = (attempts.get(proxy) ?? 0) + 1;
        attempts.set(proxy, attempt);
        const wait = Math.min(30_000, 500 * 2 ** (attempt - 1)) * (0.5 + Math.random() / 2);
        setTimeout(() => !this.#over && proxy.reconnect(), wait);
      },
    };
  }

  async start(deadlineMs: number): Promise<InitialLoad> {
    const { size, proxies, address, incrementalRoutes } = this.#options;
    const started = now();
    for (let index = 0; index < proxies; index++) {
      const identity = proxyIdentity(size, index);
      const proxy = new Sidecar({ index, identity, address, incrementalRoutes }, this.#crowd);
      this.#proxies.push(proxy);
      proxy.connect();
    }
    const late = sleep(deadlineMs, 'late' as const, { ref: false });
    if ((await Promise.race([this.#allReady.promise, late])) === 'late')
      throw new Error(`${this.#readyCount} of ${proxies} proxies are configured in time; last end: ${this.lastReason}`);
    return { seconds: (now() - started) / 1000, bytes: total(this.#crowd.bytes), retries: this.#retries };
  }

  /** Waits until nothing has arrived for a while. */
  async settle(quietMs: number): Promise<void> {
    while (now() - this.#crowd.lastActivity < quietMs) await sleep(20);
  }

  /** Makes a change and waits until every proxy has heard of it (and the quiet after it). */
  async change(
    kinds: readonly Kind[],
    marker: string,
    write: () => Promise<unknown>,
    options: { readonly timeoutMs: number; readonly quietMs: number },
  ): Promise<Arrival> {
    const crowd = this.#crowd;
    const before = { bytes: total(crowd.bytes), responses: total(crowd.responses) };
    const at = new Float64Array(this.#options.proxies);
    // Those that are slow or stuck do not count.
    at.fill(-1, 0, this.#hindered);
    const seen = new Promise<void>((resolve) => {
      crowd.watch = { kinds, marker: Buffer.from(marker), at, left: at.length - this.#hindered, done: resolve };
    });
    await write();
    const written = now();
    await Promise.race([seen, sleep(options.timeoutMs, undefined, { ref: false })]);
    crowd.lastActivity = Math.max(crowd.lastActivity, now());
    await this.settle(options.quietMs);
    crowd.watch = undefined;
    const latencies = [...at].filter((time) => time > 0).map((time) => time - written);
    return {
      latencies,
      missing: at.length - this.#hindered - latencies.length,
      bytes: total(crowd.bytes) - before.bytes,
      responses: total(crowd.responses) - before.responses,
    };
  }

  /** From now on the first proxy acknowledges late and the second one reads nothing any more; what is measured is the others. */
  hinder(ackDelayMs: number): void {
    this.#proxies[0]?.slowDown(ackDelayMs);
    this.#proxies[1]?.stick();
    this.#hindered = 2;
  }

  close(): void {
    this.#over = true;
    for (const proxy of this.#proxies) proxy.close();
  }
}

/** Waits until somebody listens. */
export async function listening(host: string, port: number, timeoutMs: number): Promise<void> {
  const deadline = now() + timeoutMs;
  for (;;) {
    const socket = createConnection({ host, port });
    try {
      await once(socket, 'connect');
      return;
    } catch (error) {
      if (now() > deadline) throw error;
      await sleep(50);
    } finally {
      socket.destroy();
    }
  }
}
