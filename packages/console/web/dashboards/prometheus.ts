import type { Series } from '../../src/api.ts';
import { getJson } from '../state/request.ts';
import type { Window } from './interpolate.ts';
import type { Target } from './model.ts';

export type Labels = Readonly<Record<string, string>>;

/** A series of an answer: points `[milliseconds, value]`. */
export interface Answer {
  readonly labels: Labels;
  readonly points: readonly (readonly [number, number])[];
}

interface Result {
  readonly data?: {
    readonly resultType: 'matrix' | 'vector' | 'scalar' | 'string';
    readonly result: unknown;
  };
}

type Sample = readonly [number, string];
const point = ([time, value]: Sample): readonly [number, number] => [time * 1000, Number(value)];

function answers({ data }: Result): readonly Answer[] {
  if (!data) return [];
  if (data.resultType === 'scalar') return [{ labels: {}, points: [point(data.result as Sample)] }];
  if (!Array.isArray(data.result)) return [];
  return (
    data.result as readonly { readonly metric: Labels; readonly value?: Sample; readonly values?: readonly Sample[] }[]
  ).map(({ metric, value, values }) => ({
    labels: metric,
    points: (values ?? (value ? [value] : [])).map(point),
  }));
}

/** Raises RequestError. */
export async function askInstant(expr: string, time: number, signal: AbortSignal): Promise<readonly Answer[]> {
  return answers(
    await getJson<Result>(`query?${new URLSearchParams({ query: expr, time: String(time / 1000) })}`, { signal }),
  );
}

/** Raises RequestError. */
export async function askRange(
  expr: string,
  { from, to, step }: Window,
  signal: AbortSignal,
): Promise<readonly Answer[]> {
  // Times on multiples of the step: points do not wander between two readings.
  const end = Math.floor(to / 1000 / step) * step;
  const start = Math.ceil(from / 1000 / step) * step;
  return answers(
    await getJson<Result>(
      `query_range?${new URLSearchParams({ query: expr, start: String(start), end: String(Math.max(end, start)), step: String(step) })}`,
      { signal },
    ),
  );
}

/** The name of a series by a target's legend; without one its labels, or the query where it has none. */
export function legendOf({ legend, expr }: Pick<Target, 'legend' | 'expr'>, labels: Labels): string {
  if (legend !== '' && legend !== '__auto')
    return legend.replace(/\{\{\s*([\w.]+)\s*\}\}/g, (_, name: string) => labels[name] ?? '');
  const { __name__: name = '', ...rest } = labels;
  const pairs = Object.entries(rest);
  if (legend === '__auto' && pairs.length === 1) return pairs[0]?.[1] ?? '';
  if (pairs.length === 0) return name || expr;
  return `${name}{${pairs.map(([label, value]) => `${label}="${value}"`).join(', ')}}`;
}

/** One value of a series, as Grafana's calculations of the same names; undefined where it has none. */
export function reduced(points: readonly (readonly [number, number])[], how: string): number | undefined {
  const values = points.map(([, value]) => value).filter(Number.isFinite);
  if (values.length === 0) return undefined;
  switch (how) {
    case 'mean':
      return values.reduce((sum, value) => sum + value, 0) / values.length;
    case 'sum':
      return values.reduce((sum, value) => sum + value, 0);
    case 'max':
      return Math.max(...values);
    case 'min':
      return Math.min(...values);
    case 'first':
    case 'firstNotNull':
      return values[0];
    default:
      return values.at(-1);
  }
}

/** Series of the same name are told apart by a number. */
export function distinct(series: readonly Series[]): readonly Series[] {
  const seen = new Map<string, number>();
  return series.map((each) => {
    const count = (seen.get(each.label) ?? 0) + 1;
    seen.set(each.label, count);
    return count === 1 ? each : { ...each, label: `${each.label} (${count})` };
  });
}
