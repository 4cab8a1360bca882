import { type Labels, labelsKey } from '../labels.ts';
import { remembered } from '../remembered.ts';
import type { MetricsStore } from '../storage/store.ts';
import { Budget, type QueryLimits } from './budget.ts';
import { EvaluationError, QueryError } from './errors.ts';
import { EVALUATION_INTERVAL, type EvaluationSettings, Evaluator, LOOKBACK } from './evaluate.ts';
import { parseQuery } from './parse.ts';
import type { QueryRange } from './selection.ts';
import { typeOf } from './types.ts';
import type { Value } from './values.ts';

/** What queries read, and what they may cost. */
export interface QueryContext extends Partial<EvaluationSettings> {
  readonly store: MetricsStore;
  readonly limits: QueryLimits;
  readonly now: () => number;
}

/** Values of one series at the steps of a range. Times in milliseconds. */
export interface SeriesValues {
  readonly labels: Labels;
  readonly points: readonly (readonly [time: number, value: number])[];
}

const settingsOf = ({ lookback = LOOKBACK, interval = EVALUATION_INTERVAL }: QueryContext): EvaluationSettings => ({
  lookback,
  interval,
});

/** The value of an expression at a time (milliseconds). Raises QueryError, EvaluationError and QueryLimitError. */
export function instantQuery(context: QueryContext, query: string, time: number): Value {
  const node = parseQuery(query);
  const range: QueryRange = { start: time, end: time, step: 1 };
  const budget = new Budget(context.limits, context.now);
  return new Evaluator(context.store, node, range, settingsOf(context), budget).at(node, time);
}

/** Steps that one range query may have, as in Prometheus. */
export const MAX_STEPS = 11_000;

/** Values at `start`, `start + step`, ... up to `end`, sorted by labels. Raises QueryError, EvaluationError and QueryLimitError. */
export function rangeQuery(context: QueryContext, query: string, range: QueryRange): SeriesValues[] {
  const node = parseQuery(query);
  const type = typeOf(node);
  if (type !== 'scalar' && type !== 'vector')
    throw new QueryError(
      `invalid expression type ${type === 'matrix' ? '"range vector"' : '"string"'} for range query, must be Scalar or instant Vector`,
    );
  const budget = new Budget(context.limits, context.now);
  const evaluator = new Evaluator(context.store, node, range, settingsOf(context), budget);
  const found = new Map<string, { readonly labels: Labels; readonly points: (readonly [number, number])[] }>();
  const keys = new Map<Labels, string>();
  for (let time = range.start; time <= range.end; time += range.step) {
    budget.check();
    const value = evaluator.at(node, time);
    const samples =
      value.type === 'scalar' ? [{ labels: [], value: value.value }] : value.type === 'vector' ? value.samples : [];
    for (const { labels, value: number } of samples) {
      const key = remembered(keys, labels, () => labelsKey(labels));
      const series = found.get(key);
      if (!series) found.set(key, { labels, points: [[time, number]] });
      else {
        if (series.points.at(-1)?.[0] === time)
          throw new EvaluationError('vector cannot contain metrics with the same labelset');
        series.points.push([time, number]);
      }
    }
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, series]) => series);
}
