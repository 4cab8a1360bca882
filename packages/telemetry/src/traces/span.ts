/** What a tag or a field of a log may be. Integers are those numbers that are whole. */
export type TagValue = string | number | boolean;
export type Tags = Readonly<Record<string, TagValue>>;

export const SPAN_KINDS = ['client', 'server', 'producer', 'consumer', 'internal'] as const;
export type SpanKind = (typeof SPAN_KINDS)[number];

/** Where a call came from or went to, as far as the sender knows. */
export interface Endpoint {
  readonly service?: string;
  /** IPv4 or IPv6. */
  readonly ip?: string;
  readonly port?: number;
}

/** Something that happened within a span; `time` in microseconds since 1970. */
export interface SpanLog {
  readonly time: number;
  readonly fields: Tags;
}

/** One unit of work within a trace, whatever protocol told of it. */
export interface Span {
  /** Lower-case hexadecimal: 16 digits, or 32 where the upper half is not zero. */
  readonly traceId: string;
  /** 16 digits. */
  readonly id: string;
  /** Absent: the root, as far as the sender knows. */
  readonly parentId?: string;
  readonly kind: SpanKind;
  readonly name: string;
  readonly service: string;
  /** Microseconds since 1970. */
  readonly start: number;
  /** Microseconds. */
  readonly duration: number;
  readonly tags: Tags;
  readonly logs: readonly SpanLog[];
  /** What is so of everything that its process reports. */
  readonly processTags: Tags;
  readonly local?: Endpoint;
  readonly remote?: Endpoint;
  /** The server's half of a span of which the client tells under the same id (Zipkin's B3 propagation). */
  readonly shared: boolean;
  /** The protocol that it came by; `jaeger` is Jaeger's Thrift, `proto` its gRPC, as Jaeger itself calls them. */
  readonly format: 'zipkin' | 'otlp' | 'skywalking' | 'datadog' | 'jaeger' | 'proto';
}

/** Spans that cannot be read; says which and why. */
export class SpanError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'SpanError';
  }
}

/** Reads a trace's id of up to 128 bits in hexadecimal. Ids of 64 bits and those whose upper half is zero are the same. Undefined: it is none. */
export function traceIdOf(text: string): string | undefined {
  if (!/^[0-9a-f]{1,32}$/i.test(text)) return undefined;
  const digits = text.toLowerCase().padStart(text.length > 16 ? 32 : 16, '0');
  const short = digits.length === 32 && digits.startsWith('0'.repeat(16)) ? digits.slice(16) : digits;
  return /^0+$/.test(short) ? undefined : short;
}

/** Reads a span's id of up to 64 bits in hexadecimal. Undefined: it is none. */
export function spanIdOf(text: string): string | undefined {
  if (!/^[0-9a-f]{1,16}$/i.test(text)) return undefined;
  const digits = text.toLowerCase().padStart(16, '0');
  return /^0+$/.test(digits) ? undefined : digits;
}

/** Whether a span tells of a failure, by the tags that Zipkin, Jaeger and OpenTelemetry use. */
export function isError({ tags }: Pick<Span, 'tags'>): boolean {
  const { error } = tags;
  return (error !== undefined && error !== false && error !== 'false') || tags['otel.status_code'] === 'ERROR';
}
