import { isIP } from 'node:net';
import { type JsonObject, listOf, numberOf, objectOf, textOf } from './json.ts';
import { type Endpoint, type Span, SpanError, type SpanKind, type SpanLog, spanIdOf, traceIdOf } from './span.ts';

const KINDS: Readonly<Record<string, SpanKind>> = {
  CLIENT: 'client',
  SERVER: 'server',
  PRODUCER: 'producer',
  CONSUMER: 'consumer',
};
const UNKNOWN_SERVICE = 'unknown';

function endpointOf(value: unknown): Endpoint | undefined {
  const fields = objectOf(value);
  if (fields === undefined) return undefined;
  const service = textOf(fields.serviceName);
  const ip = textOf(fields.ipv4) ?? textOf(fields.ipv6);
  const port = numberOf(fields.port);
  return {
    ...(service && { service }),
    ...(ip && { ip }),
    ...(port && { port }),
  };
}

/** The ids that both versions of the format have. Raises SpanError. */
function idsOf(span: JsonObject, at: string): Pick<Span, 'traceId' | 'id' | 'parentId'> {
  const traceId = traceIdOf(textOf(span.traceId) ?? '');
  const id = spanIdOf(textOf(span.id) ?? '');
  if (traceId === undefined) throw new SpanError(`${at}.traceId is no id of 64 or 128 bits in hexadecimal`);
  if (id === undefined) throw new SpanError(`${at}.id is no id of 64 bits in hexadecimal`);
  const parentId = span.parentId === undefined || span.parentId === null ? undefined : spanIdOf(String(span.parentId));
  return { traceId, id, ...(parentId !== undefined && parentId !== id && { parentId }) };
}

const logsOf = (annotations: readonly (JsonObject | undefined)[]): readonly SpanLog[] =>
  annotations.flatMap((annotation) => {
    const time = numberOf(annotation?.timestamp);
    const event = textOf(annotation?.value);
    return time === undefined || event === undefined ? [] : [{ time, fields: { event } }];
  });

const tagsOf = (entries: readonly (readonly [string, unknown])[]): Readonly<Record<string, string>> =>
  Object.fromEntries(entries.map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)]));

/** Reads what Zipkin's `POST /api/v2/spans` takes as JSON. Raises SpanError. */
export function readZipkinV2(body: unknown): readonly Span[] {
  if (!Array.isArray(body)) throw new SpanError('the body is no list of spans');
  return body.map((item, index) => {
    const span = objectOf(item);
    if (span === undefined) throw new SpanError(`[${index}] is no span`);
    const local = endpointOf(span.localEndpoint);
    const remote = endpointOf(span.remoteEndpoint);
    return {
      ...idsOf(span, `[${index}]`),
      kind: KINDS[textOf(span.kind) ?? ''] ?? 'internal',
      name: textOf(span.name) ?? '',
      service: local?.service ?? UNKNOWN_SERVICE,
      start: numberOf(span.timestamp) ?? 0,
      duration: numberOf(span.duration) ?? 0,
      tags: tagsOf(Object.entries(objectOf(span.tags) ?? {})),
      logs: logsOf(listOf(span.annotations).map(objectOf)),
      processTags: {},
      ...(local && { local }),
      ...(remote && { remote }),
      shared: span.shared === true,
      format: 'zipkin',
    };
  });
}

/** Annotations of the first version that say when a side sent and received. */
const CORE = new Set(['cs', 'cr', 'sr', 'ss']);

/** One side of a span of the first version, where both may be told of in one. */
function sideOf(
  span: JsonObject,
  at: string,
  kind: SpanKind,
  [begin, end]: readonly [string, string],
  isShared: boolean,
): Span | undefined {
  const annotations = listOf(span.annotations).map(objectOf);
  const of = (value: string) => annotations.find((each) => each?.value === value);
  const first = of(begin);
  const last = of(end);
  const binary = listOf(span.binaryAnnotations).map(objectOf);
  if (kind !== 'internal' && first === undefined && last === undefined) return undefined;
  const local =
    endpointOf(first?.endpoint ?? last?.endpoint) ??
    endpointOf(binary.find((each) => each?.endpoint !== undefined && each.value !== true)?.endpoint);
  const remote = endpointOf(binary.find((each) => each?.key === (kind === 'client' ? 'sa' : 'ca'))?.endpoint);
  const start = numberOf(first?.timestamp) ?? numberOf(span.timestamp) ?? 0;
  const ended = numberOf(last?.timestamp);
  const isOwn = (each: JsonObject | undefined): boolean =>
    each?.endpoint === undefined || endpointOf(each.endpoint)?.service === local?.service;
  return {
    ...idsOf(span, at),
    kind,
    name: textOf(span.name) ?? '',
    service: local?.service ?? UNKNOWN_SERVICE,
    start,
    duration: ended === undefined ? (numberOf(span.duration) ?? 0) : Math.max(0, ended - start),
    tags: tagsOf(
      binary.flatMap((each) => {
        const key = textOf(each?.key);
        return key === undefined || key === 'sa' || key === 'ca' || !isOwn(each) ? [] : [[key, each?.value] as const];
      }),
    ),
    logs: logsOf(annotations.filter((each) => !CORE.has(textOf(each?.value) ?? '') && isOwn(each))),
    processTags: {},
    ...(local && { local }),
    ...(remote && { remote }),
    shared: isShared,
    format: 'zipkin',
  };
}

/** Reads what Zipkin's `POST /api/v1/spans` takes as JSON. Raises SpanError. */
export function readZipkinV1(body: unknown): readonly Span[] {
  if (!Array.isArray(body)) throw new SpanError('the body is no list of spans');
  return body.flatMap((item, index) => {
    const span = objectOf(item);
    const at = `[${index}]`;
    if (span === undefined) throw new SpanError(`${at} is no span`);
    const client = sideOf(span, at, 'client', ['cs', 'cr'], false);
    const server = sideOf(span, at, 'server', ['sr', 'ss'], client !== undefined);
    const sides = [client, server].filter((side) => side !== undefined);
    return sides.length > 0 ? sides : (sideOf(span, at, 'internal', ['', ''], false) ?? []);
  });
}

const writeEndpoint = ({ service, ip, port }: Endpoint) => ({
  ...(service !== undefined && { serviceName: service }),
  ...(ip !== undefined && (isIP(ip) === 6 ? { ipv6: ip } : { ipv4: ip })),
  ...(port !== undefined && { port }),
});

/** A span as Zipkin's second version writes it. Pure. */
export function writeZipkinV2(span: Span): JsonObject {
  const logs = span.logs.map(({ time, fields }) => ({
    timestamp: time,
    value: textOf(fields.event) ?? JSON.stringify(fields),
  }));
  return {
    traceId: span.traceId,
    ...(span.parentId !== undefined && { parentId: span.parentId }),
    id: span.id,
    ...(span.kind !== 'internal' && { kind: span.kind.toUpperCase() }),
    name: span.name,
    timestamp: span.start,
    duration: span.duration,
    localEndpoint: writeEndpoint({ ...span.local, service: span.service }),
    ...(span.remote && { remoteEndpoint: writeEndpoint(span.remote) }),
    ...(logs.length > 0 && { annotations: logs }),
    tags: Object.fromEntries(Object.entries(span.tags).map(([key, value]) => [key, String(value)])),
    ...(span.shared && { shared: true }),
  };
}
