import { DecodeError, decode, encode } from '@istio-ts/envoy';
import { readDatadog } from './datadog.ts';
import { readJaegerThrift } from './jaeger-receive.ts';
import { objectOf } from './json.ts';
import { readMessagePack } from './message-pack.ts';
import { readOtlp } from './otlp.ts';
import { type Span, SpanError } from './span.ts';
import { readZipkinV1, readZipkinV2 } from './zipkin.ts';

/** A request that brings spans; the body is unpacked. */
export interface SpanPost {
  readonly path: string;
  /** Without parameters, lower-case. */
  readonly contentType: string;
  readonly body: Buffer;
}

export interface SpanPostAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string | Buffer;
}

const plain = (status: number, body: string): SpanPostAnswer => ({
  status,
  contentType: 'text/plain; charset=utf-8',
  body,
});

const PROTOBUF = 'application/x-protobuf';

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    throw new SpanError('the body is no JSON');
  }
}

type Reader = (post: SpanPost, receive: (spans: readonly Span[]) => void) => SpanPostAnswer;

const zipkin =
  (read: (body: unknown) => readonly Span[]): Reader =>
  ({ contentType, body }, receive) => {
    if (contentType.includes('protobuf') || contentType.includes('thrift'))
      return plain(415, `Zipkin's spans as ${contentType} are not built: send JSON`);
    receive(read(parse(body)));
    return plain(202, '');
  };

const otlp: Reader = ({ contentType, body }, receive) => {
  if (contentType === 'application/json') {
    const request = objectOf(parse(body));
    if (request === undefined) throw new SpanError('the body is no object');
    receive(readOtlp(request, 'hex'));
    return { status: 200, contentType, body: '{"partialSuccess":{}}' };
  }
  if (contentType !== PROTOBUF) return plain(415, `OTLP is ${PROTOBUF} or application/json, not "${contentType}"`);
  receive(readOtlp(decode('opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest', body), 'base64'));
  return {
    status: 200,
    contentType: PROTOBUF,
    body: encode('opentelemetry.proto.collector.trace.v1.ExportTraceServiceResponse', {}),
  };
};

const datadog: Reader = ({ contentType, body }, receive) => {
  receive(readDatadog(contentType === 'application/msgpack' ? readMessagePack(body) : parse(body)));
  return { status: 200, contentType: 'application/json', body: '{"rate_by_service":{}}' };
};

/** What Jaeger's collector takes as Thrift; its clients say either. */
const THRIFT = new Set(['application/x-thrift', 'application/vnd.apache.thrift.binary']);

const jaeger: Reader = ({ contentType, body }, receive) => {
  if (!THRIFT.has(contentType))
    return plain(415, `Jaeger's spans are ${[...THRIFT].join(' or ')}, not "${contentType}"\n`);
  receive(readJaegerThrift(body));
  return plain(202, '');
};

const READERS: Readonly<Record<string, Reader>> = {
  '/api/v2/spans': zipkin(readZipkinV2),
  '/api/v1/spans': zipkin(readZipkinV1),
  '/v1/traces': otlp,
  '/v0.3/traces': datadog,
  '/v0.4/traces': datadog,
  '/api/traces': jaeger,
};

/** Takes the spans that a request brings. Undefined: nothing is received at this path. */
export function receivePost(post: SpanPost, receive: (spans: readonly Span[]) => void): SpanPostAnswer | undefined {
  const reader = Object.hasOwn(READERS, post.path) ? READERS[post.path] : undefined;
  if (reader === undefined) return undefined;
  try {
    return reader(post, receive);
  } catch (error) {
    if (error instanceof SpanError || error instanceof DecodeError) return plain(400, `${error.message}\n`);
    throw error;
  }
}
