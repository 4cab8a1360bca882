import { labelsRecord } from '../labels.ts';
import { EvaluationError, QueryError, QueryLimitError } from '../promql/errors.ts';
import { instantQuery, MAX_STEPS, type QueryContext, rangeQuery } from '../promql/query.ts';
import { numberText, type Value } from '../promql/values.ts';
import { PatternError } from '../storage/matcher.ts';
import { ApiFailure } from './failure.ts';
import type { Parameters } from './parameters.ts';

/** Errors of queries as the API answers them. */
export function queryFailure(error: unknown, query: string): unknown {
  if (error instanceof QueryError) {
    const before = query.slice(0, error.offset ?? 0);
    const line = before.split('\n').length;
    const column = before.length - before.lastIndexOf('\n');
    return new ApiFailure(
      'bad_data',
      `invalid parameter "query": ${error.offset === undefined ? '' : `${line}:${column}: `}parse error: ${error.message}`,
    );
  }
  if (error instanceof PatternError) return new ApiFailure('bad_data', error.message);
  if (error instanceof EvaluationError) return new ApiFailure('execution', error.message);
  if (error instanceof QueryLimitError)
    return new ApiFailure(error.kind === 'timeout' ? 'timeout' : 'execution', error.message);
  return error;
}

const point = (time: number, value: number): readonly [number, string] => [time / 1000, numberText(value)];

function shown(value: Value, time: number): { resultType: string; result: unknown } {
  switch (value.type) {
    case 'scalar':
      return { resultType: 'scalar', result: point(time, value.value) };
    case 'string':
      return { resultType: 'string', result: [time / 1000, value.value] };
    case 'vector':
      return {
        resultType: 'vector',
        result: value.samples.map((sample) => ({
          metric: labelsRecord(sample.labels),
          value: point(time, sample.value),
        })),
      };
    case 'matrix':
      return {
        resultType: 'matrix',
        result: value.series.map(({ labels, times, values }) => ({
          metric: labelsRecord(labels),
          values: [...times].map((at, index) => point(at, values[index] ?? Number.NaN)),
        })),
      };
    default:
      return value satisfies never;
  }
}

/** The context with the time that the request allows, which is not more than the store's. */
function limited(context: QueryContext, parameters: Parameters): QueryContext {
  const timeout = Math.min(context.limits.timeout, Math.max(1, parameters.duration('timeout', context.limits.timeout)));
  return { ...context, limits: { ...context.limits, timeout } };
}

function answered<T>(query: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw queryFailure(error, query);
  }
}

/** `/api/v1/query`. Raises ApiFailure. */
export function answerInstant(context: QueryContext, parameters: Parameters): unknown {
  const query = parameters.text('query');
  const time = parameters.time('time', context.now());
  return answered(query, () => shown(instantQuery(limited(context, parameters), query, time), time));
}

/** `/api/v1/query_range`. Raises ApiFailure. */
export function answerRange(context: QueryContext, parameters: Parameters): unknown {
  const query = parameters.text('query');
  const start = parameters.time('start');
  const end = parameters.time('end');
  const step = parameters.duration('step');
  if (end < start)
    throw new ApiFailure('bad_data', 'invalid parameter "end": end timestamp must not be before start time');
  if (step <= 0)
    throw new ApiFailure(
      'bad_data',
      'invalid parameter "step": zero or negative query resolution step widths are not accepted. Try a positive integer',
    );
  if ((end - start) / step > MAX_STEPS)
    throw new ApiFailure(
      'bad_data',
      `exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)`,
    );
  return answered(query, () => ({
    resultType: 'matrix',
    result: rangeQuery(limited(context, parameters), query, { start, end, step }).map(({ labels, points }) => ({
      metric: labelsRecord(labels),
      values: points.map(([time, value]) => point(time, value)),
    })),
  }));
}
