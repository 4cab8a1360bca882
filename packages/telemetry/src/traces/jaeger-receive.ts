import { isIP } from 'node:net';
import type { MessageTypes } from '@istio-ts/envoy';
import { parseDuration, parseTimestamp, type SecondsNanos } from '@istio-ts/envoy/well-known';
import {
  type Endpoint,
  SPAN_KINDS,
  type Span,
  SpanError,
  type SpanLog,
  spanIdOf,
  type Tags,
  type TagValue,
  traceIdOf,
} from './span.ts';
import { ThriftReader } from './thrift.ts';

type Batch = MessageTypes['jaeger.api_v2.Batch'];
type Process = MessageTypes['jaeger.api_v2.Process'];
type KeyValue = MessageTypes['jaeger.api_v2.KeyValue'];

interface Reference {
  readonly kind: 'CHILD_OF' | 'FOLLOWS_FROM';
  readonly traceId: string;
  readonly spanId: string;
}

/** A span as both of Jaeger's protocols tell of it; ids in hexadecimal, times in microseconds. */
interface Told {
  readonly traceId: string;
  readonly spanId: string;
  readonly name: string;
  readonly references: readonly Reference[];
  readonly start: number;
  readonly duration: number;
  readonly tags: Tags;
  readonly logs: readonly SpanLog[];
}

interface ToldProcess {
  readonly service: string;
  readonly tags: Tags;
}

/** An IPv4 address is told as text, or as the number that it is. */
function addressOf(value: TagValue | undefined): string | undefined {
  if (typeof value === 'string') return isIP(value) === 0 ? undefined : value;
  if (typeof value !== 'number' || !Number.isInteger(value) || Math.abs(value) > 0xff_ff_ff_ff) return undefined;
  const number = value >>> 0;
  return [24, 16, 8, 0].map((shift) => (number >>> shift) & 0xff).join('.');
}

function spanOf(told: Told, process: ToldProcess, format: Span['format'], at: string): Span {
  const traceId = traceIdOf(told.traceId);
  const id = spanIdOf(told.spanId);
  if (traceId === undefined) throw new SpanError(`${at}: the trace's id is none`);
  if (id === undefined) throw new SpanError(`${at}: the span's id is none`);
  const own = told.references.filter(({ traceId: other }) => traceIdOf(other) === traceId);
  const parent = own.find(({ kind }) => kind === 'CHILD_OF') ?? own[0];
  const parentId = parent && spanIdOf(parent.spanId);
  const {
    'span.kind': kind,
    'peer.service': peer,
    'peer.ipv4': ipv4,
    'peer.ipv6': ipv6,
    'peer.port': port,
    ...tags
  } = told.tags;
  const peerAddress = addressOf(ipv4) ?? addressOf(ipv6);
  const remote: Endpoint = {
    ...(peer !== undefined && { service: String(peer) }),
    ...(peerAddress !== undefined && { ip: peerAddress }),
    ...(port !== undefined && Number.isInteger(Number(port)) && { port: Number(port) }),
  };
  const { ip, ...processTags } = process.tags;
  const address = addressOf(ip);
  return {
    traceId,
    id,
    ...(parentId !== undefined && { parentId }),
    kind: SPAN_KINDS.find((each) => each === kind) ?? 'internal',
    name: told.name,
    service: process.service,
    start: told.start,
    duration: Math.max(0, told.duration),
    tags,
    logs: told.logs,
    processTags,
    local: { service: process.service, ...(address !== undefined && { ip: address }) },
    ...(Object.keys(remote).length > 0 && { remote }),
    shared: false,
    format,
  };
}

const whole = (value: bigint): TagValue =>
  Number.isSafeInteger(Number(value)) ? Number(value) : /* JSON's numbers are not exact here. */ String(value);

const hexOf = (base64: string | undefined): string => Buffer.from(base64 ?? '', 'base64').toString('hex');

const micros = ({ seconds, nanos }: SecondsNanos): number => Number(seconds * 1_000_000n) + Math.trunc(nanos / 1000);

function tagValue(tag: KeyValue): TagValue {
  switch (tag.vType ?? 'STRING') {
    case 'BOOL':
      return tag.vBool ?? false;
    case 'INT64':
      return whole(BigInt(tag.vInt64 ?? 0));
    case 'FLOAT64':
      return Number(tag.vFloat64 ?? 0);
    case 'BINARY':
      return tag.vBinary ?? '';
    default:
      return tag.vStr ?? '';
  }
}

const tagsOf = (tags: readonly KeyValue[] | undefined): Tags =>
  Object.fromEntries((tags ?? []).map((tag) => [tag.key ?? '', tagValue(tag)]));

const processOf = ({ serviceName, tags }: Process): ToldProcess => ({
  service: serviceName || 'unknown_service',
  tags: tagsOf(tags),
});

/** Reads the batch of `jaeger.api_v2.CollectorService/PostSpans`. The process of a span counts before that of the batch. Raises SpanError. */
export function readJaegerBatch(batch: Batch): readonly Span[] {
  return (batch.spans ?? []).map((span, index) => {
    const process = span.process ?? batch.process;
    if (process === undefined) throw new SpanError(`spans[${index}] has no process`);
    const told: Told = {
      traceId: hexOf(span.traceId),
      spanId: hexOf(span.spanId),
      name: span.operationName ?? '',
      references: (span.references ?? []).map(({ traceId, spanId, refType }) => ({
        kind: refType === 'FOLLOWS_FROM' ? 'FOLLOWS_FROM' : 'CHILD_OF',
        traceId: hexOf(traceId),
        spanId: hexOf(spanId),
      })),
      start: span.startTime === undefined ? 0 : micros(parseTimestamp(span.startTime)),
      duration: span.duration === undefined ? 0 : micros(parseDuration(span.duration)),
      tags: tagsOf(span.tags),
      logs: (span.logs ?? []).map(({ timestamp, fields }) => ({
        time: timestamp === undefined ? 0 : micros(parseTimestamp(timestamp)),
        fields: tagsOf(fields),
      })),
    };
    return spanOf(told, processOf(process), 'proto', `spans[${index}]`);
  });
}

const hex64 = (value: bigint): string => BigInt.asUintN(64, value).toString(16).padStart(16, '0');

function required<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new SpanError(`a ${what} is missing in Thrift`);
  return value;
}

/** Types of a tag in `jaeger.thrift`, in their order there: STRING, DOUBLE, BOOL, LONG, BINARY. */
function readTag(reader: ThriftReader): readonly [string, TagValue] {
  let key: string | undefined;
  let type: number | undefined;
  const values: TagValue[] = [];
  reader.struct({
    '1:binary': () => {
      key = reader.text();
    },
    '2:i32': () => {
      type = reader.i32();
    },
    '3:binary': () => {
      values[0] = reader.text();
    },
    '4:double': () => {
      values[1] = reader.double();
    },
    '5:bool': () => {
      values[2] = reader.bool();
    },
    '6:i64': () => {
      values[3] = whole(reader.i64());
    },
    '7:binary': () => {
      values[4] = reader.binary().toString('base64');
    },
  });
  return [required(key, "tag's key"), values[required(type, "tag's type")] ?? ''];
}

const readTags = (reader: ThriftReader): Tags => Object.fromEntries(reader.structs(() => readTag(reader)));

function readLog(reader: ThriftReader): SpanLog {
  let time: number | undefined;
  let fields: Tags | undefined;
  reader.struct({
    '1:i64': () => {
      time = Number(reader.i64());
    },
    '2:list': () => {
      fields = readTags(reader);
    },
  });
  return { time: required(time, "log's time"), fields: required(fields, "log's list of fields") };
}

function readReference(reader: ThriftReader): Reference {
  let type: number | undefined;
  const ids: bigint[] = [];
  const id = (index: number) => () => {
    ids[index] = reader.i64();
  };
  reader.struct({
    '1:i32': () => {
      type = reader.i32();
    },
    '2:i64': id(0),
    '3:i64': id(1),
    '4:i64': id(2),
  });
  return {
    kind: required(type, "reference's type") === 1 ? 'FOLLOWS_FROM' : 'CHILD_OF',
    traceId: hex64(ids[1] ?? 0n) + hex64(required(ids[0], "reference's trace")),
    spanId: hex64(required(ids[2], "reference's span")),
  };
}

function readSpan(reader: ThriftReader): Told {
  const numbers: bigint[] = [];
  const number = (index: number) => () => {
    numbers[index] = reader.i64();
  };
  let name: string | undefined;
  let references: readonly Reference[] = [];
  let tags: Tags = {};
  let logs: readonly SpanLog[] = [];
  reader.struct({
    '1:i64': number(1),
    '2:i64': number(2),
    '3:i64': number(3),
    '4:i64': number(4),
    '5:binary': () => {
      name = reader.text();
    },
    '6:list': () => {
      references = reader.structs(() => readReference(reader));
    },
    '8:i64': number(8),
    '9:i64': number(9),
    '10:list': () => {
      tags = readTags(reader);
    },
    '11:list': () => {
      logs = reader.structs(() => readLog(reader));
    },
  });
  const traceId = hex64(numbers[2] ?? 0n) + hex64(required(numbers[1], "span's trace"));
  const parent = numbers[4] ?? 0n;
  return {
    traceId,
    spanId: hex64(required(numbers[3], "span's id")),
    name: required(name, "span's name"),
    // The parent has a field of its own, and may be among the references, too.
    references: parent === 0n ? references : [{ kind: 'CHILD_OF', traceId, spanId: hex64(parent) }, ...references],
    start: Number(required(numbers[8], "span's start")),
    duration: Number(required(numbers[9], "span's duration")),
    tags,
    logs,
  };
}

/** Reads a `Batch` of `jaeger.thrift` in the binary protocol: the body of `POST /api/traces` at the collector. Raises SpanError. */
export function readJaegerThrift(bytes: Buffer): readonly Span[] {
  const reader = new ThriftReader(bytes);
  let process: ToldProcess | undefined;
  let spans: readonly Told[] | undefined;
  reader.struct({
    '1:struct': () => {
      let service: string | undefined;
      let tags: Tags = {};
      reader.struct({
        '1:binary': () => {
          service = reader.text();
        },
        '2:list': () => {
          tags = readTags(reader);
        },
      });
      process = { service: required(service, "process' name") || 'unknown_service', tags };
    },
    '2:list': () => {
      spans = reader.structs(() => readSpan(reader));
    },
  });
  const from: ToldProcess = required<ToldProcess>(process, "batch's process");
  return required<readonly Told[]>(spans, "batch's list of spans").map((told, index) =>
    spanOf(told, from, 'jaeger', `spans[${index}]`),
  );
}
