import type { Span, Trace, TraceSummary } from '../api.ts';
import { fields, list, number, text } from '../mesh/read.ts';
import { ask, SourceError } from '../sources/http-get.ts';

/** What may be asked of traces (Jaeger, query API). Times in milliseconds. */
export interface TraceQuery {
  readonly service: string;
  readonly operation: string;
  readonly tags: Readonly<Record<string, string>>;
  /** With a unit: `100ms`. */
  readonly minDuration: string;
  readonly maxDuration: string;
  readonly start: number;
  readonly end: number;
  readonly limit: number;
}

const spanKinds = ['server', 'client', 'internal', 'producer', 'consumer'] as const satisfies readonly Span['kind'][];

/** Reads a trace of Jaeger's query API; undefined for one without spans. Pure. */
export function readTrace(value: unknown): Trace | undefined {
  const trace = fields(value);
  const processes = fields(trace.processes);
  const spans = list(trace.spans)
    .map((span): Span => readSpan(span, text(fields(processes[text(span.processID)]).serviceName)))
    .sort((a, b) => a.start - b.start || (a.id < b.id ? -1 : 1));
  if (spans.length === 0) return undefined;
  return { ...summarize(text(trace.traceID), spans), all: spans };
}

function readSpan(span: ReturnType<typeof fields>, service: string): Span {
  const tags = Object.fromEntries(list(span.tags).map(({ key, value }) => [text(key), text(value)]));
  const parent = list(span.references).find(({ refType }) => refType === 'CHILD_OF');
  const kind = spanKinds.find((each) => each === tags['span.kind']?.toLowerCase()) ?? 'internal';
  const status = Number(tags['http.status_code'] ?? tags['http.response.status_code'] ?? '0');
  const grpc = tags['grpc.status_code'] ?? tags['rpc.grpc.status_code'] ?? '0';
  return {
    id: text(span.spanID),
    ...(parent && { parent: text(parent.spanID) }),
    service,
    operation: text(span.operationName),
    kind,
    // Jaeger counts microseconds.
    start: number(span.startTime) / 1000,
    duration: number(span.duration) / 1000,
    error:
      tags.error === 'true' ||
      tags['otel.status_code'] === 'ERROR' ||
      status >= 500 ||
      (grpc !== '0' && grpc !== 'OK' && grpc !== ''),
    tags,
    logs: list(span.logs).map((log) => ({
      time: number(log.timestamp) / 1000,
      message: list(log.fields)
        .map(({ key, value }) => (key === 'event' || key === 'message' ? text(value) : `${text(key)}=${text(value)}`))
        .join(' '),
    })),
  };
}

/** What a list shows of a trace. `spans` are sorted by time and not empty. */
export function summarize(id: string, spans: readonly Span[]): TraceSummary {
  const ids = new Set(spans.map((span) => span.id));
  const root = spans.find(({ parent }) => parent === undefined || !ids.has(parent)) ?? spans[0];
  const start = Math.min(...spans.map((span) => span.start));
  const end = Math.max(...spans.map((span) => span.start + span.duration));
  const services = Map.groupBy(spans, ({ service }) => service);
  return {
    id,
    root: root?.service ?? '',
    operation: root?.operation ?? '',
    start,
    duration: end - start,
    spans: spans.length,
    errors: spans.filter(({ error }) => error).length,
    services: [...services]
      .map(([name, own]) => ({ name, spans: own.length }))
      .sort((a, b) => b.spans - a.spans || (a.name < b.name ? -1 : 1)),
  };
}

/** Asks a trace store in Jaeger's query API. Raises SourceError that says who does not answer. */
export interface Traces {
  services(): Promise<readonly string[]>;
  search(query: TraceQuery): Promise<readonly Trace[]>;
  /** Undefined: there is no such trace, or no longer. */
  one(id: string): Promise<Trace | undefined>;
}

export function createTraces(url: string): Traces {
  const data = async (path: string): Promise<unknown> => {
    const { status, body } = await ask(`${url}/api/${path}`, { timeoutMs: 20_000 });
    let answer: ReturnType<typeof fields>;
    try {
      answer = fields(JSON.parse(body));
    } catch {
      throw new SourceError(
        `${url} is not Jaeger's query API: /api/${path.split('?')[0]} answered ${status} without JSON`,
        status,
        body,
      );
    }
    const [error] = list(answer.errors);
    if (status === 404) return undefined;
    if (status >= 400 || error)
      throw new SourceError(`${url} refused: ${text(error?.msg) || `status ${status}`}`, status, body);
    return answer.data;
  };
  return {
    services: async () => {
      const names = await data('services');
      return (Array.isArray(names) ? names.map(text) : []).sort();
    },
    search: async (query) => {
      const fieldsOf = new URLSearchParams({
        service: query.service,
        start: String(Math.round(query.start * 1000)),
        end: String(Math.round(query.end * 1000)),
        limit: String(query.limit),
        ...(query.operation !== '' && { operation: query.operation }),
        ...(Object.keys(query.tags).length > 0 && { tags: JSON.stringify(query.tags) }),
        ...(query.minDuration !== '' && { minDuration: query.minDuration }),
        ...(query.maxDuration !== '' && { maxDuration: query.maxDuration }),
      });
      const found = await data(`traces?${fieldsOf}`);
      return list(found).flatMap((trace) => readTrace(trace) ?? []);
    },
    one: async (id) => {
      const found = await data(`traces/${encodeURIComponent(id)}`);
      return list(found).flatMap((trace) => readTrace(trace) ?? [])[0];
    },
  };
}

/** Namespace of a service of traces: Istio calls them `name.namespace`; undefined for other names. */
export const namespaceOfService = (service: string): string | undefined => /^[^.]+\.([^.]+)$/.exec(service)?.[1];
