import { assemble } from './assemble.ts';
import type { Span, TagValue } from './span.ts';

/** Forms of Jaeger's query API (model/json of Jaeger), as its own pages, Kiali and Grafana read them. */
export interface JaegerKeyValue {
  readonly key: string;
  readonly type: 'string' | 'bool' | 'int64' | 'float64';
  readonly value: TagValue;
}

export interface JaegerSpan {
  readonly traceID: string;
  readonly spanID: string;
  readonly flags?: number;
  readonly operationName: string;
  readonly references: readonly { readonly refType: 'CHILD_OF'; readonly traceID: string; readonly spanID: string }[];
  readonly startTime: number;
  readonly duration: number;
  readonly tags: readonly JaegerKeyValue[];
  readonly logs: readonly { readonly timestamp: number; readonly fields: readonly JaegerKeyValue[] }[];
  readonly processID: string;
  readonly warnings: readonly string[] | null;
}

export interface JaegerTrace {
  readonly traceID: string;
  readonly spans: readonly JaegerSpan[];
  readonly processes: Readonly<
    Record<string, { readonly serviceName: string; readonly tags: readonly JaegerKeyValue[] }>
  >;
  readonly warnings: null;
}

function keyValue([key, value]: readonly [string, TagValue]): JaegerKeyValue {
  // Zipkin has texts only, and programs look for a truth here.
  if (key === 'error' && (value === 'true' || value === 'false')) return { key, type: 'bool', value: value === 'true' };
  switch (typeof value) {
    case 'boolean':
      return { key, type: 'bool', value };
    case 'number':
      return { key, type: Number.isInteger(value) ? 'int64' : 'float64', value };
    case 'string':
      return { key, type: 'string', value };
  }
}

const keyValues = (tags: Readonly<Record<string, TagValue>>): readonly JaegerKeyValue[] =>
  Object.entries(tags).map(keyValue);

function tagsOf(span: Span): readonly JaegerKeyValue[] {
  const { remote, kind, tags, format } = span;
  return keyValues({
    ...tags,
    ...(kind !== 'internal' && { 'span.kind': kind }),
    ...(remote?.service !== undefined && tags['peer.service'] === undefined && { 'peer.service': remote.service }),
    ...(remote?.ip !== undefined && { [remote.ip.includes(':') ? 'peer.ipv6' : 'peer.ipv4']: remote.ip }),
    ...(remote?.port !== undefined && { 'peer.port': remote.port }),
    'internal.span.format': format,
  });
}

/** A trace as Jaeger's query API gives it. `spans` is not empty. */
export function jaegerTrace(traceID: string, spans: readonly Span[]): JaegerTrace {
  const ids = new Map<string, string>();
  const processes: Record<string, JaegerTrace['processes'][string]> = {};
  const processOf = ({ service, processTags, local }: Span): string => {
    const tags = keyValues({ ...processTags, ...(local?.ip !== undefined && { ip: local.ip }) });
    const key = JSON.stringify([service, tags]);
    const known = ids.get(key);
    if (known !== undefined) return known;
    const id = `p${ids.size + 1}`;
    ids.set(key, id);
    processes[id] = { serviceName: service, tags };
    return id;
  };
  return {
    traceID,
    spans: assemble(spans).map((span) => ({
      traceID,
      spanID: span.id,
      flags: 1,
      operationName: span.name,
      references: span.parentId === undefined ? [] : [{ refType: 'CHILD_OF', traceID, spanID: span.parentId }],
      startTime: span.start,
      duration: span.duration,
      tags: tagsOf(span),
      logs: span.logs.map(({ time, fields }) => ({ timestamp: time, fields: keyValues(fields) })),
      processID: processOf(span),
      warnings: null,
    })),
    processes,
    warnings: null,
  };
}
