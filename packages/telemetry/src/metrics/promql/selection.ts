import type { Labels } from '../labels.ts';
import { STALE } from '../storage/chunk.ts';
import type { MetricsStore } from '../storage/store.ts';
import type { AtTime, Node, Shift, VectorSelectorNode } from './ast.ts';
import type { Budget } from './budget.ts';
import type { RangeSeries, Sample } from './values.ts';

/** The asked times in milliseconds: `start` is `end` for an instant. */
export interface QueryRange {
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

/** The time that a selector is about when it is evaluated at `time`. */
export function referenceTime({ at, offset }: Shift, time: number, range: QueryRange): number {
  const base = at === undefined ? time : border(at, range);
  return base - offset;
}

const border = (at: AtTime, range: QueryRange): number =>
  at === 'start' ? range.start : at === 'end' ? range.end : at;

/** From where to where each selector of a tree reads, in milliseconds, when the tree is evaluated from `start` to `end`. */
export function selectorRanges(
  node: Node,
  range: QueryRange,
  lookback: number,
): ReadonlyMap<VectorSelectorNode, readonly [from: number, to: number]> {
  const found = new Map<VectorSelectorNode, readonly [number, number]>();
  const visit = (inner: Node, start: number, end: number): void => {
    switch (inner.kind) {
      case 'number':
      case 'string':
        return;
      case 'vectorSelector':
        found.set(inner, [referenceTime(inner, start, range) - lookback, referenceTime(inner, end, range)]);
        return;
      case 'matrixSelector':
        found.set(inner.selector, [
          referenceTime(inner.selector, start, range) - inner.range,
          referenceTime(inner.selector, end, range),
        ]);
        return;
      case 'subquery':
        visit(inner.inner, referenceTime(inner, start, range) - inner.range, referenceTime(inner, end, range));
        return;
      case 'minus':
        visit(inner.inner, start, end);
        return;
      case 'call':
        for (const arg of inner.args) visit(arg, start, end);
        return;
      case 'aggregate':
        visit(inner.inner, start, end);
        if (inner.parameter) visit(inner.parameter, start, end);
        return;
      case 'binary':
        visit(inner.left, start, end);
        visit(inner.right, start, end);
        return;
      default:
        inner satisfies never;
    }
  };
  visit(node, range.start, range.end);
  return found;
}

interface Loaded {
  readonly labels: Labels;
  readonly times: Float64Array;
  readonly values: Float64Array;
  /** Without stale markers. */
  readonly live: RangeSeries;
}

/** Index of the last time <= `time`, or -1. */
function lastAt(times: Float64Array, time: number): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((times[middle] ?? 0) <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The samples that one selector of a query needs, read once. */
export class Selection {
  readonly #series: readonly Loaded[];

  constructor(store: MetricsStore, selector: VectorSelectorNode, from: number, to: number, budget: Budget) {
    this.#series = store.select(selector.matchers, from, to).map((series) => {
      const { times, values, length } = series.read(from, to);
      budget.samples(length);
      const [cutTimes, cutValues] = [times.subarray(0, length), values.subarray(0, length)];
      const base = { labels: series.labels, times: cutTimes, values: cutValues };
      if (!cutValues.includes(STALE)) return { ...base, live: base };
      const keep = [...cutValues.keys()].filter((index) => cutValues[index] !== STALE);
      const pick = (all: Float64Array): Float64Array => Float64Array.from(keep, (index) => all[index] ?? 0);
      return { ...base, live: { labels: series.labels, times: pick(cutTimes), values: pick(cutValues) } };
    });
  }

  /** The last sample of each series that has one within `lookback` before `time`. `stamp`: gives the time of the sample, in seconds, in place of its value. */
  at(time: number, lookback: number, stamp = false): Sample[] {
    const found: Sample[] = [];
    for (const { labels, times, values } of this.#series) {
      const index = lastAt(times, time);
      if (index < 0) continue;
      const sampleTime = times[index] ?? 0;
      const value = values[index] ?? 0;
      if (sampleTime < time - lookback || value === STALE) continue;
      found.push({ labels, value: stamp ? sampleTime / 1000 : value });
    }
    return found;
  }

  /** What each series has between two times, both included; series without samples are left out. */
  between(start: number, end: number): RangeSeries[] {
    const found: RangeSeries[] = [];
    for (const { live } of this.#series) {
      const to = lastAt(live.times, end) + 1;
      const from = lastAt(live.times, start - 0.5) + 1;
      if (from >= to) continue;
      found.push({ labels: live.labels, times: live.times.subarray(from, to), values: live.values.subarray(from, to) });
    }
    return found;
  }
}
