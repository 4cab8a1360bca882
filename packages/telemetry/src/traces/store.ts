import { isError, type Span, type SpanKind, type TagValue } from './span.ts';

/** How much a store keeps; whatever is exceeded first drops the traces that were longest without a new span. */
export interface TraceLimits {
  readonly maxTraces: number;
  readonly maxSpans: number;
  /** Estimated memory. */
  readonly maxBytes: number;
  /** A trace goes when nothing was added for so long. */
  readonly maxAgeMs: number;
  /** Further spans of a trace are dropped. */
  readonly maxSpansPerTrace: number;
}

export const DEFAULT_LIMITS: TraceLimits = {
  maxTraces: 50_000,
  maxSpans: 500_000,
  maxBytes: 256 * 1024 * 1024,
  maxAgeMs: 24 * 3_600_000,
  maxSpansPerTrace: 20_000,
};

/** Which traces are asked for: those with a span to which all of this applies. Times and durations in microseconds. */
export interface TraceQuery {
  readonly service?: string;
  readonly operation?: string;
  readonly kind?: SpanKind;
  /** Tags of the span or of its process, compared as text; null: the tag is there, or a log says this (Zipkin). */
  readonly tags: Readonly<Record<string, string | null>>;
  readonly minDuration?: number;
  readonly maxDuration?: number;
  /** When the span began. */
  readonly start?: number;
  readonly end?: number;
  readonly limit: number;
}

export interface StoreCounts {
  readonly traces: number;
  readonly spans: number;
  readonly bytes: number;
  /** Spans that were received since the start. */
  readonly received: number;
  /** Spans of traces that had too many. */
  readonly dropped: number;
  /** Traces that went for those that came after. */
  readonly evicted: number;
}

export interface Operation {
  readonly name: string;
  readonly kind: SpanKind;
}

interface Entry {
  readonly spans: Map<string, Span>;
  bytes: number;
  touched: number;
}

/** One span is told of by its client and its server under one id; and a sender may tell of its half in pieces. */
const keyOf = ({ id, service, shared, kind }: Span): string =>
  `${id} ${shared || kind === 'server' ? 's' : 'c'} ${service}`;

function sizeOf(span: Span): number {
  let size = 400 + span.name.length + span.service.length;
  for (const tags of [span.tags, span.processTags, ...span.logs.map(({ fields }) => fields)])
    for (const [key, value] of Object.entries(tags)) size += 48 + key.length + String(value).length;
  return size;
}

/** Two reports of the same half of a span: what the later says counts, except that a span began first when it began first. */
function merged(before: Span, after: Span): Span {
  const start =
    before.start === 0 ? after.start : after.start === 0 ? before.start : Math.min(before.start, after.start);
  const seen = new Set(after.logs.map(({ time, fields }) => `${time} ${JSON.stringify(fields)}`));
  return {
    ...before,
    ...after,
    name: after.name === '' ? before.name : after.name,
    start,
    duration: Math.max(before.duration, after.duration),
    tags: { ...before.tags, ...after.tags },
    processTags: { ...before.processTags, ...after.processTags },
    logs: [...before.logs.filter(({ time, fields }) => !seen.has(`${time} ${JSON.stringify(fields)}`)), ...after.logs],
  };
}

const sameText = (value: TagValue | undefined, text: string): boolean => value !== undefined && String(value) === text;

function hasTag(span: Span, key: string, wanted: string | null): boolean {
  if (wanted === null)
    return (
      (key === 'error' ? isError(span) : span.tags[key] !== undefined) ||
      span.logs.some(({ fields }) => Object.values(fields).some((value) => value === key))
    );
  if (key === 'error' && (wanted === 'true' || wanted === 'false')) return isError(span) === (wanted === 'true');
  return (
    sameText(span.tags[key], wanted) ||
    sameText(span.processTags[key], wanted) ||
    (key === 'span.kind' && span.kind === wanted) ||
    span.logs.some(({ fields }) => sameText(fields[key], wanted))
  );
}

function answers(span: Span, query: TraceQuery): boolean {
  return (
    (query.service === undefined || span.service === query.service) &&
    (query.operation === undefined || span.name === query.operation) &&
    (query.kind === undefined || span.kind === query.kind) &&
    (query.start === undefined || span.start >= query.start) &&
    (query.end === undefined || span.start <= query.end) &&
    (query.minDuration === undefined || span.duration >= query.minDuration) &&
    (query.maxDuration === undefined || span.duration <= query.maxDuration) &&
    Object.entries(query.tags).every(([key, wanted]) => hasTag(span, key, wanted))
  );
}

/** Traces in memory, of which spans may come in any order and late. */
export interface TraceStore {
  /** Keeps spans; `now` in milliseconds. */
  add(spans: readonly Span[], now: number): void;
  /** Forgets what is older than the limits allow. */
  expire(now: number): void;
  /** The spans of a trace; undefined: none is known. */
  trace(id: string): readonly Span[] | undefined;
  /** Traces that answer the query, the latest first. */
  find(query: TraceQuery): readonly (readonly Span[])[];
  /** Names, sorted. */
  services(): readonly string[];
  /** What the spans of a service are called; sorted. */
  operations(service: string): readonly Operation[];
  /** Every trace with a span that began within these times (microseconds). */
  between(start: number, end: number): Iterable<readonly Span[]>;
  readonly counts: StoreCounts;
}

export function createTraceStore(limits: TraceLimits = DEFAULT_LIMITS): TraceStore {
  /** In the order in which they last got a span. */
  const traces = new Map<string, Entry>();
  /** By service, how many spans each trace has of it. */
  const byService = new Map<string, Map<string, number>>();
  /** By service, how many spans are called so. */
  const names = new Map<string, Map<string, number>>();
  let spans = 0;
  let bytes = 0;
  let received = 0;
  let dropped = 0;
  let evicted = 0;

  const count = (index: Map<string, Map<string, number>>, service: string, key: string, change: 1 | -1): void => {
    const own = index.get(service) ?? new Map<string, number>();
    const now = (own.get(key) ?? 0) + change;
    if (now > 0) own.set(key, now);
    else own.delete(key);
    if (own.size > 0) index.set(service, own);
    else index.delete(service);
  };
  const account = (span: Span, change: 1 | -1): void => {
    spans += change;
    count(byService, span.service, span.traceId, change);
    count(names, span.service, `${span.kind} ${span.name}`, change);
  };
  const forget = (id: string, entry: Entry): void => {
    traces.delete(id);
    bytes -= entry.bytes;
    for (const span of entry.spans.values()) account(span, -1);
  };
  const keep = (span: Span, now: number): void => {
    received++;
    const entry = traces.get(span.traceId) ?? { spans: new Map<string, Span>(), bytes: 0, touched: now };
    const key = keyOf(span);
    const before = entry.spans.get(key);
    if (before === undefined && entry.spans.size >= limits.maxSpansPerTrace) {
      dropped++;
      return;
    }
    const kept = before === undefined ? span : merged(before, span);
    const grown = sizeOf(kept) - (before === undefined ? 0 : sizeOf(before));
    if (before !== undefined) account(before, -1);
    account(kept, 1);
    entry.spans.set(key, kept);
    entry.bytes += grown;
    bytes += grown;
    entry.touched = now;
    traces.delete(span.traceId);
    traces.set(span.traceId, entry);
  };
  const expire = (now: number): void => {
    for (const [id, entry] of traces) {
      if (now - entry.touched <= limits.maxAgeMs) return;
      forget(id, entry);
    }
  };

  return {
    add: (added, now) => {
      for (const span of added) keep(span, now);
      expire(now);
      for (const [id, entry] of traces) {
        if (traces.size <= limits.maxTraces && spans <= limits.maxSpans && bytes <= limits.maxBytes) break;
        forget(id, entry);
        evicted++;
      }
    },
    expire,
    trace: (id) => {
      const entry = traces.get(id);
      return entry && [...entry.spans.values()];
    },
    find: (query) => {
      const ids = query.service === undefined ? traces.keys() : (byService.get(query.service)?.keys() ?? []);
      const found: { readonly start: number; readonly all: readonly Span[] }[] = [];
      for (const id of ids) {
        const all = [...(traces.get(id)?.spans.values() ?? [])];
        if (all.some((span) => answers(span, query)))
          found.push({ start: all.reduce((first, { start }) => Math.min(first, start), Infinity), all });
      }
      return found
        .sort((a, b) => b.start - a.start)
        .slice(0, query.limit)
        .map(({ all }) => all);
    },
    services: () => [...byService.keys()].sort(),
    operations: (service) =>
      [...(names.get(service)?.keys() ?? [])]
        .map((key) => {
          const gap = key.indexOf(' ');
          return { kind: key.slice(0, gap) as SpanKind, name: key.slice(gap + 1) };
        })
        .sort((a, b) => (a.name === b.name ? (a.kind < b.kind ? -1 : 1) : a.name < b.name ? -1 : 1)),
    *between(start, end) {
      for (const entry of traces.values()) {
        const all = [...entry.spans.values()];
        if (all.some((span) => span.start >= start && span.start <= end)) yield all;
      }
    },
    get counts() {
      return { traces: traces.size, spans, bytes, received, dropped, evicted };
    },
  };
}
