import { type CountQuery, type Labels, LogQueryError, type LogQuery, pass } from './logql.ts';
import { firstFrom, type LogStore, labelsKey } from './store.ts';

const MAX_STEPS = 11_000;
const NANO = 1_000_000n;

export interface Range {
  /** Nanoseconds since 1970; the start counts, the end does not. */
  readonly start: bigint;
  readonly end: bigint;
}

export interface FoundStream {
  readonly stream: Labels;
  readonly values: readonly (readonly [time: string, line: string])[];
}

/** The newest (`backward`) or oldest entries that a query lets through, by their labels. */
export function runLogQuery(
  store: LogStore,
  query: LogQuery,
  { start, end }: Range,
  limit: number,
  direction: 'backward' | 'forward',
): readonly FoundStream[] {
  const found: { readonly time: bigint; readonly line: string; readonly labels: Labels }[] = [];
  const sign = direction === 'forward' ? 1 : -1;
  for (const { labels, entries } of store.select(query.matchers)) {
    const [from, to] = [firstFrom(entries, start), firstFrom(entries, end)];
    // More than the limit of one stream cannot be in the answer.
    let taken = 0;
    for (let step = 0; step < to - from && taken < limit; step++) {
      const entry = entries[direction === 'forward' ? from + step : to - 1 - step];
      if (entry === undefined) continue;
      const after = pass(query, entry.line, { ...entry.metadata, ...labels });
      if (after === undefined) continue;
      taken++;
      found.push({ time: entry.time, line: entry.line, labels: after });
    }
  }
  found.sort((a, b) => (a.time < b.time ? -sign : a.time > b.time ? sign : 0));
  const streams = new Map<string, { stream: Labels; values: (readonly [string, string])[] }>();
  for (const { time, line, labels } of found.slice(0, limit)) {
    const key = labelsKey(labels);
    const stream = streams.get(key) ?? { stream: labels, values: [] };
    streams.set(key, stream);
    stream.values.push([String(time), line]);
  }
  return [...streams.values()];
}

export interface FoundSeries {
  readonly metric: Labels;
  /** Seconds since 1970, and the value. */
  readonly values: readonly (readonly [number, string])[];
}

/** Values of a query that counts, at `start`, every `stepMs` after it, and no later than `end`. Each looks back over the query's range. Raises LogQueryError. */
export function runCountQuery(
  store: LogStore,
  query: CountQuery,
  { start, end }: Range,
  stepMs: number,
): readonly FoundSeries[] {
  const [first, last] = [Number(start / NANO), Number(end / NANO)];
  const steps = Math.floor((last - first) / stepMs) + 1;
  if (steps > MAX_STEPS) throw new LogQueryError(`more than ${MAX_STEPS} points: make the step larger`);
  const series = new Map<string, { metric: Labels; sums: Float64Array }>();
  for (const { labels, entries } of store.select(query.of.matchers)) {
    const from = firstFrom(entries, BigInt(first - query.rangeMs) * NANO);
    for (let index = from; index < entries.length; index++) {
      const entry = entries[index];
      if (entry === undefined) break;
      const at = Number(entry.time / NANO);
      if (at > last) break;
      const after = pass(query.of, entry.line, { ...entry.metadata, ...labels });
      if (after === undefined) continue;
      const { by } = query;
      const metric =
        by === undefined
          ? after
          : Object.fromEntries(by.flatMap((name) => (after[name] === undefined ? [] : [[name, after[name]]])));
      const key = labelsKey(metric);
      const found = series.get(key) ?? { metric, sums: new Float64Array(steps) };
      series.set(key, found);
      const amount = query.what === 'bytes' ? Buffer.byteLength(entry.line) : 1;
      // In the windows of all points from the entry on, as long as the range reaches back to it.
      const begin = Math.max(0, Math.ceil((at - first) / stepMs));
      for (let step = begin; step < steps && first + step * stepMs - query.rangeMs < at; step++)
        found.sums[step] = (found.sums[step] ?? 0) + amount;
    }
  }
  const divisor = query.perSecond ? query.rangeMs / 1000 : 1;
  return [...series.values()].map(({ metric, sums }) => ({
    metric,
    values: [...sums].flatMap((sum, step) =>
      sum === 0 ? [] : [[(first + step * stepMs) / 1000, String(sum / divisor)] as const],
    ),
  }));
}
