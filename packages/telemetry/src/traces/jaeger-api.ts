import { type Answer, integerField, json, QueryError } from './answer.ts';
import { dependencies } from './assemble.ts';
import { jaegerTrace } from './jaeger.ts';
import { objectOf } from './json.ts';
import { SPAN_KINDS, type Span, traceIdOf } from './span.ts';
import type { TraceStore } from './store.ts';

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 10_000;
/** Without `start`: two days back. */
const DEFAULT_LOOKBACK_US = 2 * 86_400 * 1_000_000;

const UNITS: Readonly<Record<string, number>> = { ns: 1e-3, us: 1, µs: 1, μs: 1, ms: 1e3, s: 1e6, m: 60e6, h: 3600e6 };

/** Microseconds of a duration as Go writes it (`1.5s`, `100ms`, `1m30s`). Raises QueryError. */
export function durationOf(written: string, name: string): number {
  const parts = [...written.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|μs|ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([all]) => all).join('') !== written)
    throw new QueryError(`the parameter '${name}' is no duration such as 1.5s or 100ms: ${written}`);
  return parts.reduce((sum, [, number, unit]) => sum + Number(number) * (UNITS[unit ?? ''] ?? 0), 0);
}

const success = (data: readonly unknown[] | null, total: number, isPretty: boolean): Answer =>
  json({ data, total, limit: 0, offset: 0, errors: null }, 200, isPretty);

const failure = (status: number, message: string, traceID?: string): Answer =>
  json(
    {
      data: null,
      total: 0,
      limit: 0,
      offset: 0,
      errors: [{ code: status, msg: message, ...(traceID !== undefined && { traceID }) }],
    },
    status,
  );

/** `tag=key:value`, as often as wanted, and `tags={"key":"value"}`. Raises QueryError. */
function tagsOf(query: URLSearchParams): Readonly<Record<string, string>> {
  const single = query.getAll('tag').map((written) => {
    const colon = written.indexOf(':');
    if (colon < 1) throw new QueryError(`the parameter 'tag' is not written as key:value: ${written}`);
    return [written.slice(0, colon), written.slice(colon + 1)] as const;
  });
  const several = query.getAll('tags').flatMap((written) => {
    let parsed: unknown;
    try {
      parsed = JSON.parse(written);
    } catch {
      throw new QueryError(`the parameter 'tags' is no JSON: ${written}`);
    }
    const tags = objectOf(parsed);
    if (tags === undefined || Object.values(tags).some((value) => typeof value !== 'string'))
      throw new QueryError(`the parameter 'tags' is no object of texts: ${written}`);
    return Object.entries(tags) as [string, string][];
  });
  return Object.fromEntries([...single, ...several]);
}

function find(store: TraceStore, query: URLSearchParams, nowMs: number): readonly (readonly Span[])[] {
  const ids = query.getAll('traceID').filter((id) => id !== '');
  if (ids.length > 0)
    return ids.flatMap((written) => {
      const id = traceIdOf(written);
      if (id === undefined) throw new QueryError(`the parameter 'traceID' is no id of a trace: ${written}`);
      const spans = store.trace(id);
      return spans === undefined ? [] : [spans];
    });
  const service = query.get('service') ?? '';
  if (service === '') throw new QueryError("the parameter 'service' is missing");
  const duration = (name: string): number | undefined => {
    const written = query.get(name);
    return written === null || written === '' ? undefined : durationOf(written, name);
  };
  const minDuration = duration('minDuration');
  const maxDuration = duration('maxDuration');
  if (minDuration !== undefined && maxDuration !== undefined && minDuration > maxDuration)
    throw new QueryError("'maxDuration' is less than 'minDuration'");
  const end = integerField(query, 'end') ?? nowMs * 1000;
  const operation = query.get('operation') ?? '';
  const kind = SPAN_KINDS.find((each) => each === query.get('spanKind')?.toLowerCase());
  return store.find({
    service,
    ...(operation !== '' && { operation }),
    ...(kind && { kind }),
    tags: tagsOf(query),
    ...(minDuration !== undefined && { minDuration }),
    ...(maxDuration !== undefined && { maxDuration }),
    start: integerField(query, 'start') ?? end - DEFAULT_LOOKBACK_US,
    end,
    limit: Math.min(integerField(query, 'limit') || DEFAULT_LIMIT, MAX_LIMIT),
  });
}

/**
 * Answers a request of Jaeger's HTTP query API; `path` begins with `/api/`. Undefined: no such path.
 * (https://www.jaegertracing.io/docs/1.76/architecture/apis/ and what Jaeger's own pages and Kiali ask.)
 */
export function answerJaeger(
  store: TraceStore,
  path: string,
  query: URLSearchParams,
  nowMs: number,
): Answer | undefined {
  const isPretty = ['true', '1'].includes(query.get('prettyPrint') ?? '');
  const parts = path.split('/').slice(2).map(decodePart);
  try {
    const [first = '', second, third] = parts;
    const count = parts.length;
    if (first === 'services' && count === 1) {
      const names = store.services();
      return success(names, names.length, isPretty);
    }
    if (first === 'services' && second !== undefined && third === 'operations' && count === 3) {
      const names = [...new Set(store.operations(second).map(({ name }) => name))];
      return success(names, names.length, isPretty);
    }
    if (first === 'operations' && count === 1) {
      const service = query.get('service') ?? '';
      if (service === '') throw new QueryError("the parameter 'service' is missing");
      const wanted = query.get('spanKind')?.toLowerCase() ?? '';
      const found = store
        .operations(service)
        .filter(({ kind }) => wanted === '' || kind === wanted)
        .map(({ name, kind }) => ({ name, spanKind: kind }));
      return success(found, found.length, isPretty);
    }
    if (first === 'traces' && count === 1) {
      const traces = find(store, query, nowMs).map((spans) => jaegerTrace(spans[0]?.traceId ?? '', spans));
      return success(traces, traces.length, isPretty);
    }
    if (first === 'traces' && second !== undefined && count === 2) {
      const id = traceIdOf(second);
      if (id === undefined) throw new QueryError(`this is no id of a trace: ${second}`);
      const spans = store.trace(id);
      if (spans === undefined) return failure(404, 'trace not found', second);
      return success([jaegerTrace(id, spans)], 1, isPretty);
    }
    if (first === 'dependencies' && count === 1) {
      const end = integerField(query, 'endTs') ?? nowMs;
      const start = end - (integerField(query, 'lookback') ?? 24 * 3_600_000);
      const links = dependencies(store.between(start * 1000, end * 1000));
      return success(
        links.map(({ parent, child, calls }) => ({ parent, child, callCount: calls })),
        links.length,
        isPretty,
      );
    }
    if (['archive', 'metrics', 'transform', 'sampling'].includes(first))
      return failure(501, `/api/${first} is not built: this store keeps traces in memory and answers searches`);
    return undefined;
  } catch (error) {
    if (error instanceof QueryError) return failure(error.status, error.message);
    throw error;
  }
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
