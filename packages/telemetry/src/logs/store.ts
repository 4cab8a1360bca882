import type { Matcher } from '../metrics/storage/matcher.ts';
import type { Labels } from './logql.ts';

export interface LogLimits {
  /** Of lines, labels and what surrounds them, estimated. */
  readonly maxBytes: number;
  readonly maxStreams: number;
  readonly maxLineBytes: number;
  /** Entries that are older are refused, and forgotten. */
  readonly maxAgeMs: number;
}

export const DEFAULT_LOG_LIMITS: LogLimits = {
  maxBytes: 128 * 1024 * 1024,
  maxStreams: 5000,
  maxLineBytes: 256 * 1024,
  maxAgeMs: 168 * 3_600_000,
};

export interface Entry {
  /** Nanoseconds since 1970. */
  readonly time: bigint;
  readonly line: string;
  /** Labels of this entry alone. */
  readonly metadata: Labels;
}

export interface Stream {
  readonly labels: Labels;
  /** By time. */
  readonly entries: Entry[];
}

/** Entries that are not taken. */
export class LogRefused extends Error {
  readonly status: 400 | 429;
  constructor(message: string, status: 400 | 429 = 400) {
    super(message);
    this.status = status;
  }
}

const ENTRY_BYTES = 96;
/** How much of the room is left when old entries had to go, so that this is seldom. */
const KEPT_SHARE = 0.9;

const costOf = ({ line, metadata }: Entry): number =>
  ENTRY_BYTES +
  line.length +
  Object.entries(metadata).reduce((sum, [name, value]) => sum + name.length + value.length, 0);

export const labelsKey = (labels: Labels): string =>
  JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));

/** Lines of logs by their labels, in memory: the oldest go where there is no room. */
export class LogStore {
  readonly #limits: LogLimits;
  readonly #now: () => number;
  readonly #streams = new Map<string, Stream>();
  #bytes = 0;
  #received = 0;
  #evicted = 0;

  /** `now` in milliseconds since 1970. */
  constructor(now: () => number, limits: LogLimits = DEFAULT_LOG_LIMITS) {
    this.#now = now;
    this.#limits = limits;
  }

  /** Raises LogRefused; what came before in the same call is kept. */
  add(labels: Labels, entries: readonly Entry[]): void {
    if (Object.keys(labels).length === 0) throw new LogRefused('a stream needs at least one label');
    for (const name of Object.keys(labels))
      if (!/^[a-zA-Z_]\w*$/.test(name)) throw new LogRefused(`${JSON.stringify(name)} is no name of a label`);
    const { maxAgeMs, maxLineBytes, maxStreams, maxBytes } = this.#limits;
    const oldest = BigInt(this.#now() - maxAgeMs) * 1_000_000n;
    const key = labelsKey(labels);
    let stream = this.#streams.get(key);
    for (const entry of entries) {
      if (entry.time < oldest)
        throw new LogRefused(`the entry of ${entry.time} is older than ${maxAgeMs / 3_600_000} h`);
      if (entry.line.length > maxLineBytes) throw new LogRefused(`a line has more than ${maxLineBytes} bytes`);
      if (stream === undefined) {
        if (this.#streams.size >= maxStreams) throw new LogRefused(`there are ${maxStreams} streams already`, 429);
        stream = { labels, entries: [] };
        this.#streams.set(key, stream);
      }
      insert(stream.entries, entry);
      this.#received++;
      this.#bytes += costOf(entry);
    }
    if (this.#bytes > maxBytes) this.#makeRoom(maxBytes * KEPT_SHARE);
  }

  /** Streams that all matchers match. */
  select(matchers: readonly Matcher[]): readonly Stream[] {
    this.expire();
    return [...this.#streams.values()].filter(({ labels }) =>
      matchers.every(({ name, matches }) => matches(labels[name] ?? '')),
    );
  }

  streams(): readonly Stream[] {
    return this.select([]);
  }

  /** Forgets what is too old. */
  expire(): void {
    this.#dropBefore(BigInt(this.#now() - this.#limits.maxAgeMs) * 1_000_000n);
  }

  get counts(): {
    readonly streams: number;
    readonly bytes: number;
    readonly received: number;
    readonly evicted: number;
  } {
    return { streams: this.#streams.size, bytes: this.#bytes, received: this.#received, evicted: this.#evicted };
  }

  #makeRoom(bytes: number): void {
    const all = [...this.#streams.values()].flatMap(({ entries }) => entries);
    all.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
    let left = this.#bytes;
    for (const entry of all) {
      if (left <= bytes) {
        this.#dropBefore(entry.time);
        return;
      }
      left -= costOf(entry);
    }
    this.#dropBefore((all.at(-1)?.time ?? 0n) + 1n);
  }

  #dropBefore(time: bigint): void {
    for (const [key, { entries }] of this.#streams) {
      const kept = firstFrom(entries, time);
      if (kept === 0) continue;
      for (const entry of entries.splice(0, kept)) {
        this.#bytes -= costOf(entry);
        this.#evicted++;
      }
      if (entries.length === 0) this.#streams.delete(key);
    }
  }
}

/** Index of the first entry at a time or later. */
export function firstFrom(entries: readonly Entry[], time: bigint): number {
  let [low, high] = [0, entries.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((entries[middle]?.time ?? 0n) < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

function insert(entries: Entry[], entry: Entry): void {
  const last = entries.at(-1);
  if (last === undefined || last.time <= entry.time) entries.push(entry);
  else entries.splice(firstFrom(entries, entry.time + 1n), 0, entry);
}
