import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { KubeApiError, type KubeClient } from '@istio-ts/kube';
import type { LogLine } from '../api.ts';
import { ApiFailure } from '../http/failure.ts';
import { securityHeaders } from '../http/static-files.ts';
import { inBatches } from '../sources/in-batches.ts';
import { ContainerLog, type LogRange, type LogSource } from './container-log.ts';
import { Newest } from './newest.ts';

export interface LogQuery extends LogRange {
  /** The logs to read; asked again while they are followed, because pods come and go. An ApiFailure then ends the stream. */
  readonly sources: () => Promise<readonly LogSource[]>;
  /** Lines of all logs together, of what is there already. */
  readonly most: number;
  readonly follow: boolean;
  /** Only lines with this text, whatever its case; empty: all. */
  readonly contains: string;
  /** Lines name their pod. */
  readonly severalPods: boolean;
}

/** Logs that one browser reads at once: each is a connection to the API server. */
export const maxLogs = 100;
const heartbeatMs = 15_000;
const lookAgainMs = 5_000;
const atOnce = 10;

/** Waits; ends early, with an error, when the signal says so. */
export type Wait = (ms: number, signal: AbortSignal) => Promise<void>;
const wait: Wait = async (ms, signal) => void (await sleep(ms, undefined, { signal }));

/**
 * Sends the lines of containers as server-sent events (`data: LogLine`): those that are there in the order of their times, then, with `follow`, what is
 * added, until the browser goes. A log that cannot be read has one line that says why. Raises KubeApiError when none can be read.
 */
export async function streamLogs(
  client: KubeClient,
  query: LogQuery,
  response: ServerResponse,
  pause: Wait = wait,
): Promise<void> {
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  const { signal } = gone;
  const first = await query.sources();
  const present = await readPresent(client, query, first.slice(0, maxLogs), signal);
  const [failed] = present.failed;
  if (present.opened.length === 0 && failed) throw failed.error;
  response.writeHead(200, {
    ...securityHeaders,
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  const write = writer(response, signal);
  const send = (line: LogLine): Promise<void> => write(`data: ${JSON.stringify(line)}\n\n`);
  const heartbeat = setInterval(() => void write(': alive\n\n'), heartbeatMs);
  try {
    if (first.length > maxLogs) await send(leftOut(first.length - maxLogs));
    for (const { source, error } of present.failed) await send(unreadable(query, source, error));
    for (const line of present.lines) await send(line);
    if (query.follow) await new Followed(client, query, send, signal, pause).follow(present.opened, first);
  } finally {
    clearInterval(heartbeat);
    response.end();
  }
}

const wanted = ({ contains }: LogQuery): ((line: LogLine) => boolean) => {
  const part = contains.toLowerCase();
  return part === '' ? () => true : ({ text }) => text.toLowerCase().includes(part);
};

const named = ({ severalPods }: LogQuery, { pod }: LogSource, line: LogLine): LogLine =>
  severalPods ? { ...line, pod } : line;

const keyOf = ({ pod, container }: LogSource): string => `${pod}/${container}`;

const notice = (text: string, container = ''): LogLine => ({ container, text, notice: true });

const leftOut = (count: number): LogLine =>
  notice(`${count} more logs are left out: at most ${maxLogs} are read together. Choose a container or a pod.`);

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const unreadable = (query: LogQuery, source: LogSource, error: unknown): LogLine =>
  named(
    query,
    source,
    notice(
      `The log of ${query.severalPods ? keyOf(source) : source.container} cannot be read: ${messageOf(error)}`,
      source.container,
    ),
  );

/** What is there already, of all logs: those of a container that has not started yet may be missing. */
async function readPresent(
  client: KubeClient,
  query: LogQuery,
  sources: readonly LogSource[],
  signal: AbortSignal,
): Promise<{
  readonly lines: readonly LogLine[];
  readonly opened: readonly ContainerLog[];
  readonly failed: readonly { readonly source: LogSource; readonly error: unknown }[];
}> {
  const newest = new Newest(query.most);
  const opened: ContainerLog[] = [];
  const failed: { readonly source: LogSource; readonly error: unknown }[] = [];
  const isWanted = wanted(query);
  await inBatches(
    sources,
    async (source) => {
      const log = new ContainerLog(client, source, query, signal);
      try {
        await log.present((line) => {
          if (isWanted(line)) newest.add(keyOf(source), named(query, source, line));
        });
        opened.push(log);
      } catch (error) {
        failed.push({ source, error });
      }
    },
    atOnce,
  );
  return { lines: newest.lines(), opened, failed };
}

interface FollowedLog {
  readonly log: ContainerLog;
  /** The start of the container that was read last. */
  readonly start: string;
  state: 'reading' | 'ended' | 'refused';
}

/** Follows logs, and those that pods bring that start later. */
class Followed {
  readonly #client: KubeClient;
  readonly #query: LogQuery;
  readonly #send: (line: LogLine) => Promise<void>;
  readonly #signal: AbortSignal;
  readonly #pause: Wait;
  readonly #isWanted: (line: LogLine) => boolean;
  readonly #known = new Map<string, FollowedLog>();

  constructor(
    client: KubeClient,
    query: LogQuery,
    send: (line: LogLine) => Promise<void>,
    signal: AbortSignal,
    pause: Wait,
  ) {
    this.#client = client;
    this.#query = query;
    this.#send = send;
    this.#signal = signal;
    this.#pause = pause;
    this.#isWanted = wanted(query);
  }

  async follow(opened: readonly ContainerLog[], sources: readonly LogSource[]): Promise<void> {
    for (const log of opened) this.#read(log, log.source.start);
    // What could not be read yet is tried again: its container may start.
    for (const source of sources.slice(0, maxLogs))
      if (!this.#known.has(keyOf(source)))
        this.#known.set(keyOf(source), { log: this.#logOf(source), start: source.start, state: 'refused' });
    while (!this.#signal.aborted) {
      try {
        await this.#pause(lookAgainMs, this.#signal);
        if (!(await this.#lookAgain())) return;
      } catch (error) {
        if (!this.#signal.aborted) throw error;
      }
    }
  }

  readonly #logOf = (source: LogSource): ContainerLog =>
    new ContainerLog(this.#client, source, this.#query, this.#signal);

  /** False when there is nothing to follow any more. */
  async #lookAgain(): Promise<boolean> {
    let sources: readonly LogSource[];
    try {
      sources = await this.#query.sources();
    } catch (error) {
      const ends =
        error instanceof ApiFailure || (error instanceof KubeApiError && [401, 403, 404].includes(error.status));
      if (ends) await this.#send(notice(`The log ends here: ${messageOf(error)}`));
      return !ends;
    }
    const present = new Set(sources.map(keyOf));
    for (const [key, { state }] of this.#known) if (!present.has(key) && state !== 'reading') this.#known.delete(key);
    for (const source of sources) {
      const known = this.#known.get(keyOf(source));
      if (known?.state === 'reading' || (known?.state === 'ended' && known.start === source.start)) continue;
      if (!known && this.#known.size >= maxLogs) continue;
      if (!known)
        await this.#send(named(this.#query, source, notice(`Here begins ${keyOf(source)}`, source.container)));
      // A container that was started again goes on where its log ended; one that nobody knew begins with all it has.
      this.#read(known?.log ?? this.#logOf(source), source.start);
    }
    const reads = [...this.#known.values()].some(({ state }) => state === 'reading');
    return reads || sources.length === 0 || sources.some(({ ended }) => !ended);
  }

  #read(log: ContainerLog, start: string): void {
    const { source } = log;
    const entry: FollowedLog = { log, start, state: 'reading' };
    this.#known.set(keyOf(source), entry);
    const read = async (): Promise<void> => {
      try {
        for await (const line of log.added())
          if (this.#isWanted(line)) await this.#send(named(this.#query, source, line));
        entry.state = 'ended';
      } catch (error) {
        entry.state = 'refused';
        // A container that has not started is asked again, and says nothing until then.
        if (!this.#signal.aborted && !(error instanceof KubeApiError))
          await this.#send(unreadable(this.#query, source, error));
      }
    };
    void read();
  }
}

/** Writes, and waits where the browser reads slowly: what waits must not fill the memory. */
const writer =
  (response: ServerResponse, gone: AbortSignal) =>
  async (text: string): Promise<void> => {
    if (gone.aborted || response.write(text)) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        response.off('drain', done);
        response.off('close', done);
        resolve();
      };
      response.on('drain', done);
      response.on('close', done);
    });
  };
