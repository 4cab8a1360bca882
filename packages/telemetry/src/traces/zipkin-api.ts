import { type Answer, integerField, json, QueryError, text } from './answer.ts';
import { dependencies } from './assemble.ts';
import { traceIdOf } from './span.ts';
import type { TraceQuery, TraceStore } from './store.ts';
import { writeZipkinV2 } from './zipkin.ts';

const DEFAULT_LOOKBACK_MS = 15 * 60_000;
const DEFAULT_LIMIT = 10;
const MAX_LIMIT = 10_000;

/** `error and http.method=GET`: tags that must be there or have a value. */
function annotationQuery(written: string): TraceQuery['tags'] {
  return Object.fromEntries(
    written
      .split(' and ')
      .map((part) => part.trim())
      .filter((part) => part !== '')
      .map((part) => {
        const equals = part.indexOf('=');
        return equals < 1 ? [part, null] : [part.slice(0, equals), part.slice(equals + 1)];
      }),
  );
}

const named = (query: URLSearchParams, name: string): string | undefined => {
  const value = query.get(name) ?? '';
  // Zipkin's pages write `all` for any.
  return value === '' || value === 'all' ? undefined : value;
};

const traceId = (written: string): string => {
  const id = traceIdOf(written);
  if (id === undefined) throw new QueryError(`${written} is no id of a trace in hexadecimal`);
  return id;
};

/** Answers a request of Zipkin's query API (https://zipkin.io/zipkin-api/); `path` begins with `/api/v2/`. Undefined: no such path. */
export function answerZipkin(
  store: TraceStore,
  path: string,
  query: URLSearchParams,
  nowMs: number,
): Answer | undefined {
  const [first = '', second] = path.split('/').slice(3);
  try {
    switch (first) {
      case 'services':
        return json(store.services());
      case 'spans': {
        const service = named(query, 'serviceName');
        return json(service === undefined ? [] : [...new Set(store.operations(service).map(({ name }) => name))]);
      }
      case 'remoteServices': {
        const service = named(query, 'serviceName');
        const links = dependencies(store.between(0, Number.MAX_SAFE_INTEGER));
        return json(links.filter(({ parent }) => parent === service).map(({ child }) => child));
      }
      case 'traces': {
        const service = named(query, 'serviceName');
        const operation = named(query, 'spanName');
        const end = integerField(query, 'endTs') ?? nowMs;
        const start = end - (integerField(query, 'lookback') ?? DEFAULT_LOOKBACK_MS);
        const minDuration = integerField(query, 'minDuration');
        const maxDuration = integerField(query, 'maxDuration');
        const found = store.find({
          ...(service !== undefined && { service }),
          ...(operation !== undefined && { operation }),
          tags: annotationQuery(query.get('annotationQuery') ?? ''),
          ...(minDuration !== undefined && { minDuration }),
          ...(maxDuration !== undefined && { maxDuration }),
          start: start * 1000,
          end: end * 1000 + 999,
          limit: Math.min(integerField(query, 'limit') || DEFAULT_LIMIT, MAX_LIMIT),
        });
        return json(found.map((spans) => spans.map(writeZipkinV2)));
      }
      case 'trace': {
        const spans = store.trace(traceId(second ?? ''));
        return spans === undefined ? text(`trace ${second} not found`, 404) : json(spans.map(writeZipkinV2));
      }
      case 'traceMany': {
        const ids = (query.get('traceIds') ?? '').split(',').filter((id) => id !== '');
        if (ids.length === 0) throw new QueryError("the parameter 'traceIds' is missing");
        return json(
          ids.flatMap((id) => [store.trace(traceId(id))?.map(writeZipkinV2) ?? []]).filter((t) => t.length > 0),
        );
      }
      case 'dependencies': {
        const end = integerField(query, 'endTs');
        if (end === undefined) throw new QueryError("the parameter 'endTs' is missing");
        const start = end - (integerField(query, 'lookback') ?? 24 * 3_600_000);
        return json(
          dependencies(store.between(start * 1000, end * 1000 + 999)).map(({ parent, child, calls, errors }) => ({
            parent,
            child,
            callCount: calls,
            ...(errors > 0 && { errorCount: errors }),
          })),
        );
      }
      case 'autocompleteKeys':
      case 'autocompleteValues':
        return json([]);
      default:
        return undefined;
    }
  } catch (error) {
    if (error instanceof QueryError) return text(error.message, error.status);
    throw error;
  }
}
