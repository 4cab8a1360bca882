import type { Series } from '../api.ts';
import { Cached } from './cached.ts';
import { ask, type SourceAnswer, SourceError } from './http-get.ts';

/** A value of an instant query. */
export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Values of a range query: `[milliseconds, value]`. */
export interface RangeSample {
  readonly metric: Readonly<Record<string, string>>;
  readonly points: Series['points'];
}

/** Asks for metrics in PromQL. Raises SourceError when nobody answers or the query is refused. */
export interface Prometheus {
  /** `at` in milliseconds. */
  query(promql: string, at: number): Promise<readonly Sample[]>;
  /** Times in milliseconds, step in seconds. */
  range(promql: string, start: number, end: number, step: number): Promise<readonly RangeSample[]>;
  /** The answer as it is, for who speaks Prometheus' own interface. */
  raw(path: 'query' | 'query_range', fields: URLSearchParams): Promise<SourceAnswer>;
  /** How many queries were sent. */
  readonly asked: number;
}

interface Answer {
  readonly status?: string;
  readonly error?: string;
  readonly data?: { readonly resultType?: string; readonly result?: unknown };
}

const seconds = (ms: number): string => (ms / 1000).toFixed(3);

/** Reads the answer of an instant query (Prometheus, HTTP API). Raises SourceError. */
export function readVector(body: string, where: string): readonly Sample[] {
  const data = readAnswer(body, where);
  if (data.resultType === 'scalar' && Array.isArray(data.result))
    return [{ metric: {}, value: Number(data.result[1]) }];
  if (data.resultType !== 'vector' || !Array.isArray(data.result))
    throw new SourceError(`${where} answered with a ${String(data.resultType)} instead of a vector`);
  return (data.result as readonly { metric?: Record<string, string>; value?: readonly [number, string] }[]).map(
    ({ metric = {}, value }) => ({ metric, value: Number(value?.[1]) }),
  );
}

/** Reads the answer of a range query; what is not a number is a gap. Raises SourceError. */
export function readMatrix(body: string, where: string): readonly RangeSample[] {
  const data = readAnswer(body, where);
  if (data.resultType !== 'matrix' || !Array.isArray(data.result))
    throw new SourceError(`${where} answered with a ${String(data.resultType)} instead of a matrix`);
  return (data.result as readonly { metric?: Record<string, string>; values?: readonly [number, string][] }[]).map(
    ({ metric = {}, values = [] }) => ({
      metric,
      points: values
        .map(([time, value]) => [Math.round(time * 1000), Number(value)] as const)
        .filter(([, value]) => Number.isFinite(value)),
    }),
  );
}

function readAnswer(body: string, where: string): NonNullable<Answer['data']> {
  let answer: Answer;
  try {
    answer = JSON.parse(body) as Answer;
  } catch {
    throw new SourceError(`${where} is not Prometheus: its answer is no JSON (${body.slice(0, 80)})`);
  }
  if (answer.status !== 'success' || !answer.data)
    throw new SourceError(`${where} refused the query: ${answer.error ?? 'without saying why'}`);
  return answer.data;
}

/** A client of Prometheus' HTTP API. The same question within two seconds is asked once. */
export function createPrometheus(url: string, now: () => number): Prometheus {
  const answers = new Cached<SourceAnswer>(2_000, now, 64);
  let asked = 0;
  const raw = (path: string, fields: URLSearchParams): Promise<SourceAnswer> =>
    answers.get(`${path} ${fields}`, () => {
      asked++;
      return ask(`${url}/api/v1/${path}`, { form: fields, timeoutMs: 30_000 });
    });
  return {
    get asked() {
      return asked;
    },
    query: async (promql, at) => {
      const { body } = await raw('query', new URLSearchParams({ query: promql, time: seconds(at), timeout: '20s' }));
      return readVector(body, url);
    },
    range: async (promql, start, end, step) => {
      const fields = { query: promql, start: seconds(start), end: seconds(end), step: String(step), timeout: '20s' };
      const { body } = await raw('query_range', new URLSearchParams(fields));
      return readMatrix(body, url);
    },
    raw,
  };
}
