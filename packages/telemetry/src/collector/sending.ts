import { setTimeout as wait } from 'node:timers/promises';
import { type Exporter, type Payload, Refused } from './exporters.ts';

const MAX_WAITING_BYTES = 64 * 1024 * 1024;
const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 30_000;
const GIVE_UP_AFTER_MS = 5 * 60_000;

export interface SendingOptions {
  readonly name: string;
  /** Milliseconds. */
  readonly now: () => number;
  readonly onError: (message: string) => void;
}

/**
 * Sends payloads one after the other, again where a receiver is away: for five minutes each, while up to 64 MiB wait. What there is no room for, and what
 * the receiver refuses, is lost, and said once until something is taken again.
 */
export class Sending {
  readonly #exporter: Exporter;
  readonly #options: SendingOptions;
  readonly #waiting: Payload[] = [];
  readonly #ended = new AbortController();
  #bytes = 0;
  #running: Promise<void> | undefined;
  #told = false;

  constructor(exporter: Exporter, options: SendingOptions) {
    this.#exporter = exporter;
    this.#options = options;
  }

  add(payload: Payload): void {
    if (this.#bytes + payload.bytes.length > MAX_WAITING_BYTES) {
      this.#tell(`${payload.signal} are lost: ${MAX_WAITING_BYTES} bytes wait already`);
      return;
    }
    this.#waiting.push(payload);
    this.#bytes += payload.bytes.length;
    this.#running ??= this.#run();
  }

  async close(): Promise<void> {
    this.#ended.abort();
    this.#exporter.close();
    await this.#running;
  }

  async #run(): Promise<void> {
    for (let next = this.#waiting[0]; next !== undefined && !this.#ended.signal.aborted; next = this.#waiting[0]) {
      await this.#send(next);
      this.#waiting.shift();
      this.#bytes -= next.bytes.length;
    }
    this.#running = undefined;
  }

  async #send(payload: Payload): Promise<void> {
    const { now } = this.#options;
    const begun = now();
    for (let pause = FIRST_RETRY_MS; !this.#ended.signal.aborted; pause = Math.min(MAX_RETRY_MS, pause * 2)) {
      try {
        await this.#exporter.send(payload);
        this.#told = false;
        return;
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        const reason =
          error instanceof Error && error.cause instanceof Error ? `${message}: ${error.cause.message}` : message;
        const isOver = error instanceof Refused || now() - begun > GIVE_UP_AFTER_MS;
        this.#tell(isOver ? `${payload.signal} are lost: ${reason}` : `${payload.signal} wait: ${reason}`);
        if (isOver) return;
      }
      await wait(pause, undefined, { signal: this.#ended.signal }).catch(() => undefined);
    }
  }

  #tell(message: string): void {
    if (this.#told || this.#ended.signal.aborted) return;
    this.#told = true;
    this.#options.onError(`${this.#options.name}: ${message}`);
  }
}
