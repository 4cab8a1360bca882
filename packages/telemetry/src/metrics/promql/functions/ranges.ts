import type { RangeSeries } from '../values.ts';
import { PreciseSum, quantileOf, RunningMean, sortedNumbers, varianceOf } from './arithmetic.ts';

/** The asked range, in milliseconds. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** A number of the samples of one series in a range; undefined where they do not give one. There is at least one sample. */
export type RangeFunction = (series: RangeSeries, range: Range) => number | undefined;

const at = (values: Float64Array, index: number): number => values[index] ?? Number.NaN;

/**
 * How much a series rises over the range, as far as its samples tell: to the borders of the range it is taken to go on as between the samples, but not
 * further than half of their distance where it begins or ends within the range, and a counter not below zero. (Prometheus' `extrapolatedRate`.)
 */
function extrapolated(
  { times, values }: RangeSeries,
  range: Range,
  counter: boolean,
  perSecond: boolean,
): number | undefined {
  const last = times.length - 1;
  if (last < 1) return undefined;
  const first = at(values, 0);
  let rise = at(values, last) - first;
  if (counter) {
    for (let index = 1; index <= last; index++) {
      const before = at(values, index - 1);
      if (at(values, index) < before) rise += before;
    }
  }
  let toStart = (at(times, 0) - range.start) / 1000;
  const toEnd = (range.end - at(times, last)) / 1000;
  const covered = (at(times, last) - at(times, 0)) / 1000;
  const distance = covered / last;
  if (counter && rise > 0 && first >= 0) toStart = Math.min(toStart, covered * (first / rise));
  const threshold = distance * 1.1;
  const whole = covered + (toStart < threshold ? toStart : distance / 2) + (toEnd < threshold ? toEnd : distance / 2);
  const factor = whole / covered;
  return rise * (perSecond ? factor / ((range.end - range.start) / 1000) : factor);
}

function lastTwo({ times, values }: RangeSeries, perSecond: boolean): number | undefined {
  const last = times.length - 1;
  if (last < 1) return undefined;
  const interval = at(times, last) - at(times, last - 1);
  if (interval === 0) return undefined;
  const [before, after] = [at(values, last - 1), at(values, last)];
  if (!perSecond) return after - before;
  // After a reset the counter has counted from zero.
  return (after < before ? after : after - before) / (interval / 1000);
}

/** The straight line closest to the samples: per second, and where it is at time `origin` (milliseconds). */
export function regression({ times, values }: RangeSeries, origin: number): { slope: number; intercept: number } {
  const n = times.length;
  const first = at(values, 0);
  if (values.every((value) => value === first))
    return Number.isFinite(first) ? { slope: 0, intercept: first } : { slope: Number.NaN, intercept: Number.NaN };
  const sums = Array.from({ length: 4 }, () => new PreciseSum());
  for (let index = 0; index < n; index++) {
    const x = (at(times, index) - origin) / 1000;
    const y = at(values, index);
    for (const [which, value] of [x, y, x * y, x * x].entries()) sums[which]?.add(value);
  }
  const [x = 0, y = 0, xy = 0, xx = 0] = sums.map(({ value }) => value);
  const slope = (xy - (x * y) / n) / (xx - (x * x) / n);
  return { slope, intercept: y / n - (slope * x) / n };
}

const countWhere = ({ values }: RangeSeries, is: (before: number, after: number) => boolean): number => {
  let count = 0;
  for (let index = 1; index < values.length; index++) if (is(at(values, index - 1), at(values, index))) count++;
  return count;
};

const extreme = ({ values }: RangeSeries, better: (a: number, b: number) => boolean): number => {
  let best = at(values, 0);
  for (const value of values) if (better(value, best) || Number.isNaN(best)) best = value;
  return best;
};

function mean({ values }: RangeSeries): number {
  const sum = new PreciseSum();
  for (const value of values) sum.add(value);
  if (Number.isFinite(sum.value)) return sum.value / values.length;
  const running = new RunningMean();
  for (const value of values) running.add(value);
  return running.value;
}

export const rangeFunctions: Readonly<Record<string, RangeFunction>> = {
  rate: (series, range) => extrapolated(series, range, true, true),
  increase: (series, range) => extrapolated(series, range, true, false),
  delta: (series, range) => extrapolated(series, range, false, false),
  irate: (series) => lastTwo(series, true),
  idelta: (series) => lastTwo(series, false),
  deriv: (series) => (series.times.length < 2 ? undefined : regression(series, at(series.times, 0)).slope),
  changes: (series) => countWhere(series, (a, b) => a !== b && !(Number.isNaN(a) && Number.isNaN(b))),
  resets: (series) => countWhere(series, (a, b) => b < a),
  avg_over_time: mean,
  sum_over_time: ({ values }) => {
    const sum = new PreciseSum();
    for (const value of values) sum.add(value);
    return sum.value;
  },
  min_over_time: (series) => extreme(series, (a, b) => a < b),
  max_over_time: (series) => extreme(series, (a, b) => a > b),
  count_over_time: ({ values }) => values.length,
  first_over_time: ({ values }) => at(values, 0),
  last_over_time: ({ values }) => at(values, values.length - 1),
  present_over_time: () => 1,
  stdvar_over_time: ({ values }) => varianceOf(values),
  stddev_over_time: ({ values }) => Math.sqrt(varianceOf(values)),
  mad_over_time: ({ values }) => {
    const median = quantileOf(0.5, sortedNumbers(values));
    return quantileOf(0.5, sortedNumbers(values.map((value) => Math.abs(value - median))));
  },
};
