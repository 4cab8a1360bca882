import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { labelsKey, labelsOf } from '../labels.ts';
import { MetricsStore } from '../storage/store.ts';
import { consoleQueries, dashboardQueries, kialiQueries } from './asked.test-support.ts';
import { defaultQueryLimits } from './budget.ts';
import { fixedQueries, MINUTES, madeQueries, madeSeries, T0 } from './queries.test-support.ts';
import { instantQuery, rangeQuery } from './query.ts';
import { prometheusMissing, type RealPrometheus, startPrometheus } from './real-prometheus.test-support.ts';

type Answer =
  | { readonly error: string }
  | { readonly type: string; readonly series: ReadonlyMap<string, readonly (readonly [number, number | string])[]> };

const number = (text: string): number => (text === '+Inf' ? Infinity : text === '-Inf' ? -Infinity : Number(text));

interface RealAnswer {
  readonly status: string;
  readonly error?: string;
  readonly data: {
    readonly resultType: string;
    readonly result:
      | readonly {
          readonly metric: Record<string, string>;
          readonly value?: readonly [number, string];
          readonly values?: readonly (readonly [number, string])[];
        }[]
      | readonly [number, string];
  };
}

async function real(url: string, path: string, parameters: Record<string, string>): Promise<Answer> {
  const response = await fetch(`${url}/api/v1/${path}`, { method: 'POST', body: new URLSearchParams(parameters) });
  const { status, error, data } = (await response.json()) as RealAnswer;
  if (status !== 'success') return { error: error ?? '' };
  const { resultType: type, result } = data;
  if (type === 'scalar' || type === 'string') {
    const [time, text] = result as readonly [number, string];
    return { type, series: new Map([['', [[time * 1000, type === 'string' ? text : number(text)]]]]) };
  }
  const series = new Map(
    (result as Exclude<RealAnswer['data']['result'], readonly [number, string]>).map(({ metric, value, values }) => [
      labelsKey(labelsOf(metric)),
      (values ?? (value ? [value] : [])).map(([time, text]) => [Math.round(time * 1000), number(text)] as const),
    ]),
  );
  return { type, series };
}

function ours(store: MetricsStore, query: string, start: number, end: number, step: number | undefined): Answer {
  const context = { store, limits: defaultQueryLimits, now: Date.now };
  try {
    if (step !== undefined) {
      const found = rangeQuery(context, query, { start, end, step });
      return { type: 'matrix', series: new Map(found.map(({ labels, points }) => [labelsKey(labels), points])) };
    }
    const value = instantQuery(context, query, end);
    if (value.type === 'scalar' || value.type === 'string')
      return { type: value.type, series: new Map([['', [[end, value.value]]]]) };
    if (value.type === 'vector')
      return {
        type: 'vector',
        series: new Map(value.samples.map(({ labels, value: v }) => [labelsKey(labels), [[end, v]]])),
      };
    return {
      type: 'matrix',
      series: new Map(
        value.series.map(({ labels, times, values }) => [
          labelsKey(labels),
          [...times].map((time, index) => [time, values[index] as number] as const),
        ]),
      ),
    };
  } catch (error) {
    return { error: (error as Error).message };
  }
}

function close(a: number | string, b: number | string): boolean {
  if (typeof a === 'string' || typeof b === 'string') return a === b;
  if (Object.is(a, b) || a === b || (Number.isNaN(a) && Number.isNaN(b))) return true;
  return Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(a), Math.abs(b));
}

/** What differs, for people; undefined: nothing. */
function difference(mine: Answer, theirs: Answer): string | undefined {
  if ('error' in mine || 'error' in theirs) {
    if ('error' in mine && 'error' in theirs) return undefined;
    return 'error' in mine ? `ours fails: ${mine.error}` : `Prometheus fails: ${'error' in theirs ? theirs.error : ''}`;
  }
  if (mine.type !== theirs.type) return `type ${mine.type}, Prometheus: ${theirs.type}`;
  for (const [key, points] of theirs.series) {
    const found = mine.series.get(key);
    if (!found) return `no series ${key.replaceAll('\u{1}', ',')}`;
    if (found.length !== points.length) return `${found.length} points, Prometheus ${points.length} at ${key}`;
    for (const [index, [time, value]] of points.entries()) {
      const [ourTime, ourValue] = found[index] as readonly [number, number];
      if (Math.abs(ourTime - time) > 0.5 || !close(ourValue, value))
        return `${ourValue} at ${ourTime}, Prometheus ${value} at ${time}, series ${key.replaceAll('\u{1}', ',')}`;
    }
  }
  for (const key of mine.series.keys())
    if (!theirs.series.has(key)) return `a series that Prometheus has not: ${key.replaceAll('\u{1}', ',')}`;
  return undefined;
}

describe('the same samples and queries as the real Prometheus', { skip: prometheusMissing }, () => {
  const series = madeSeries();
  const store = new MetricsStore();
  let prometheus: RealPrometheus | undefined;

  before(async () => {
    for (const { labels, samples } of series) for (const [time, value] of samples) store.append(labels, time, value);
    prometheus = await startPrometheus(series);
  });
  after(() => prometheus?.close());

  async function compare(queries: readonly string[]): Promise<void> {
    const url = prometheus?.url ?? '';
    const differing: string[] = [];
    const end = T0 + (MINUTES - 7) * 60_000 + 3_217;
    const [start, step] = [T0 + 95_000, 37_000];
    for (const query of queries) {
      const instant = difference(
        ours(store, query, end, end, undefined),
        await real(url, 'query', { query, time: String(end / 1000) }),
      );
      if (instant) differing.push(`${query}\n    instant: ${instant}`);
      const range = difference(
        ours(store, query, start, end, step),
        await real(url, 'query_range', {
          query,
          start: String(start / 1000),
          end: String(end / 1000),
          step: String(step / 1000),
        }),
      );
      if (range) differing.push(`${query}\n    range: ${range}`);
    }
    assert.deepEqual(differing, []);
  }

  test('each operator, function, modifier and mistake', () => compare(fixedQueries));
  test('the queries of the dashboards', () => compare(dashboardQueries()));
  test('the queries of the console and of Kiali', () => compare([...consoleQueries(), ...kialiQueries]));
  test('expressions made at random', () => compare(madeQueries(150, 42)));
});
