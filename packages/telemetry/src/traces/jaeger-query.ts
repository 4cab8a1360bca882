import { encode, type MessageName, type MessageTypes } from '@istio-ts/envoy';
import { GrpcError, type MethodHandler, type ServerCall } from '@istio-ts/envoy/grpc';
import { formatDuration, formatTimestamp, parseDuration, parseTimestamp } from '@istio-ts/envoy/well-known';
import { dependencies } from './assemble.ts';
import { readRequest } from './grpc-requests.ts';
import { type JaegerKeyValue, type JaegerTrace, jaegerTrace } from './jaeger.ts';
import { SPAN_KINDS, type Span, traceIdOf } from './span.ts';
import type { TraceStore } from './store.ts';

type Model = MessageTypes['jaeger.api_v2.Span'];
type Tag = MessageTypes['jaeger.api_v2.KeyValue'];

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 10_000;
/** Clients take messages of 4 MiB; a chunk ends before it is near that. */
const CHUNK_BYTES = 1024 * 1024;

const bytesOf = (hex: string, count: number): string =>
  Buffer.from(hex.padStart(count * 2, '0'), 'hex').toString('base64');

const secondsOf = (microseconds: number) => {
  const seconds = Math.floor(microseconds / 1_000_000);
  return { seconds: BigInt(seconds), nanos: Math.round(microseconds - seconds * 1_000_000) * 1000 };
};

function tagOf({ key, value }: JaegerKeyValue): Tag {
  switch (typeof value) {
    case 'boolean':
      return { key, vType: 'BOOL', vBool: value };
    case 'number':
      return Number.isInteger(value)
        ? { key, vType: 'INT64', vInt64: String(value) }
        : { key, vType: 'FLOAT64', vFloat64: value };
    case 'string':
      return { key, vType: 'STRING', vStr: value };
  }
}

/** The spans of a trace as `jaeger.api_v2` writes them, each with its process. */
function modelsOf({ spans, processes }: JaegerTrace): readonly Model[] {
  return spans.map(({ traceID, spanID, operationName, references, startTime, duration, tags, logs, processID }) => {
    const process = processes[processID];
    return {
      traceId: bytesOf(traceID, 16),
      spanId: bytesOf(spanID, 8),
      operationName,
      references: references.map((to) => ({ traceId: bytesOf(to.traceID, 16), spanId: bytesOf(to.spanID, 8) })),
      flags: 1,
      startTime: formatTimestamp(secondsOf(startTime)),
      duration: formatDuration(secondsOf(duration)),
      tags: tags.map(tagOf),
      logs: logs.map(({ timestamp, fields }) => ({
        timestamp: formatTimestamp(secondsOf(timestamp)),
        fields: fields.map(tagOf),
      })),
      process: { serviceName: process?.serviceName ?? '', tags: (process?.tags ?? []).map(tagOf) },
    };
  });
}

/** Microseconds since 1970. Undefined: no time was said, also not by Go's time zero (year 1). */
function timeOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const { seconds, nanos } = parseTimestamp(text);
  return seconds <= 0n ? undefined : Number(seconds) * 1_000_000 + Math.trunc(nanos / 1000);
}

function durationOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const { seconds, nanos } = parseDuration(text);
  const microseconds = Number(seconds) * 1_000_000 + Math.trunc(nanos / 1000);
  return microseconds === 0 ? undefined : microseconds;
}

/** The first message of a call that streams its answer. */
async function requestOf<N extends MessageName>(call: ServerCall, name: N): Promise<MessageTypes[N]> {
  for await (const bytes of call.messages()) return readRequest(name, bytes);
  throw new GrpcError('INVALID_ARGUMENT', 'the call brings no request');
}

async function writeTrace(call: ServerCall, spans: readonly Span[]): Promise<void> {
  let chunk: Model[] = [];
  let size = 0;
  const flush = async (): Promise<void> => {
    if (chunk.length > 0) await call.write(encode('jaeger.api_v2.SpansResponseChunk', { spans: chunk }));
    chunk = [];
    size = 0;
  };
  for (const model of modelsOf(jaegerTrace(spans[0]?.traceId ?? '', spans))) {
    const bytes = encode('jaeger.api_v2.Span', model).length;
    if (size + bytes > CHUNK_BYTES) await flush();
    chunk.push(model);
    size += bytes;
  }
  await flush();
}

function find(
  store: TraceStore,
  query: MessageTypes['jaeger.api_v2.TraceQueryParameters'],
): readonly (readonly Span[])[] {
  const { serviceName = '', operationName = '', tags = {}, searchDepth = 0 } = query;
  if (searchDepth < 0) throw new GrpcError('INVALID_ARGUMENT', 'search_depth is less than 0');
  const minDuration = durationOf(query.durationMin);
  const maxDuration = durationOf(query.durationMax);
  if (minDuration !== undefined && maxDuration !== undefined && minDuration > maxDuration)
    throw new GrpcError('INVALID_ARGUMENT', 'duration_max is less than duration_min');
  const start = timeOf(query.startTimeMin);
  const end = timeOf(query.startTimeMax);
  return store.find({
    // Kiali asks all services for a tag to learn whether spans have it.
    ...(serviceName !== '' && { service: serviceName }),
    ...(operationName !== '' && { operation: operationName }),
    tags,
    ...(minDuration !== undefined && { minDuration }),
    ...(maxDuration !== undefined && { maxDuration }),
    ...(start !== undefined && { start }),
    ...(end !== undefined && { end }),
    limit: Math.min(searchDepth || DEFAULT_LIMIT, MAX_LIMIT),
  });
}

/** Jaeger's query API over gRPC (`jaeger.api_v2.QueryService`), as Kiali asks it by default. `now` in milliseconds. */
export function queryMethods(store: TraceStore, now: () => number): Readonly<Record<string, MethodHandler>> {
  const service = '/jaeger.api_v2.QueryService';
  return {
    [`${service}/GetServices`]: {
      kind: 'unary',
      handle: () => encode('jaeger.api_v2.GetServicesResponse', { services: store.services() }),
    },
    [`${service}/GetOperations`]: {
      kind: 'unary',
      handle: (bytes) => {
        const { service: name = '', spanKind = '' } = readRequest('jaeger.api_v2.GetOperationsRequest', bytes);
        if (name === '') throw new GrpcError('INVALID_ARGUMENT', 'service is missing');
        const wanted = spanKind === '' ? undefined : SPAN_KINDS.find((kind) => kind === spanKind.toLowerCase());
        const found = store.operations(name).filter(({ kind }) => spanKind === '' || kind === wanted);
        return encode('jaeger.api_v2.GetOperationsResponse', {
          operationNames: [...new Set(found.map(({ name: each }) => each))],
          operations: found.map(({ name: each, kind }) => ({ name: each, spanKind: kind })),
        });
      },
    },
    [`${service}/GetDependencies`]: {
      kind: 'unary',
      handle: (bytes) => {
        const request = readRequest('jaeger.api_v2.GetDependenciesRequest', bytes);
        const end = timeOf(request.endTime) ?? now() * 1000;
        const links = dependencies(store.between(timeOf(request.startTime) ?? 0, end));
        return encode('jaeger.api_v2.GetDependenciesResponse', {
          dependencies: links.map(({ parent, child, calls }) => ({ parent, child, callCount: String(calls) })),
        });
      },
    },
    [`${service}/GetTrace`]: {
      kind: 'stream',
      handle: async (call) => {
        const request = await requestOf(call, 'jaeger.api_v2.GetTraceRequest');
        const id = traceIdOf(Buffer.from(request.traceId ?? '', 'base64').toString('hex'));
        if (id === undefined) throw new GrpcError('INVALID_ARGUMENT', 'trace_id is no id of a trace');
        const spans = store.trace(id);
        if (spans === undefined) throw new GrpcError('NOT_FOUND', 'trace not found');
        await writeTrace(call, spans);
      },
    },
    [`${service}/FindTraces`]: {
      kind: 'stream',
      handle: async (call) => {
        const { query } = await requestOf(call, 'jaeger.api_v2.FindTracesRequest');
        if (query === undefined) throw new GrpcError('INVALID_ARGUMENT', 'query is missing');
        for (const spans of find(store, query)) await writeTrace(call, spans);
      },
    },
    [`${service}/ArchiveTrace`]: {
      kind: 'unary',
      handle: () => {
        throw new GrpcError('UNIMPLEMENTED', 'traces are not archived: this store keeps them in memory');
      },
    },
  };
}
