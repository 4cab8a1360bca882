import { DecodeError, decode, encode, type MessageName, type MessageTypes } from '@istio-ts/envoy';
import { GrpcError, type MethodHandler } from '@istio-ts/envoy/grpc';
import { readOtlp } from './otlp.ts';
import { readSegment } from './skywalking.ts';
import { type Span, SpanError } from './span.ts';

function read<N extends MessageName>(name: N, bytes: Uint8Array): MessageTypes[N] {
  try {
    return decode(name, bytes);
  } catch (error) {
    if (error instanceof DecodeError) throw new GrpcError('INVALID_ARGUMENT', error.message);
    throw error;
  }
}

function checked(spans: () => readonly Span[]): readonly Span[] {
  try {
    return spans();
  } catch (error) {
    if (error instanceof SpanError) throw new GrpcError('INVALID_ARGUMENT', error.message);
    throw error;
  }
}

const refusal = (message: string): MethodHandler => ({
  kind: 'unary',
  handle: () => {
    throw new GrpcError('UNIMPLEMENTED', message);
  },
});

/** Methods by which spans come: OTLP's and SkyWalking's. Those of Jaeger's own protocol answer that they are not built. */
export function receiverMethods(receive: (spans: readonly Span[]) => void): Readonly<Record<string, MethodHandler>> {
  const collectSegments: MethodHandler = {
    kind: 'stream',
    handle: async (call) => {
      for await (const bytes of call.messages()) {
        const segment = read('skywalking.v3.SegmentObject', bytes);
        receive(checked(() => readSegment(segment)));
      }
      await call.write(encode('skywalking.v3.Commands', {}));
    },
  };
  return {
    '/opentelemetry.proto.collector.trace.v1.TraceService/Export': {
      kind: 'unary',
      handle: (bytes) => {
        const request = read('opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest', bytes);
        receive(checked(() => readOtlp(request, 'base64')));
        return encode('opentelemetry.proto.collector.trace.v1.ExportTraceServiceResponse', {});
      },
    },
    '/skywalking.v3.TraceSegmentReportService/collect': collectSegments,
    '/TraceSegmentReportService/collect': collectSegments,
    '/jaeger.api_v2.CollectorService/PostSpans': refusal(
      "Jaeger's own protocol for spans is not built: send OTLP (4317, 4318) or Zipkin (9411)",
    ),
    ...Object.fromEntries(
      ['GetTrace', 'ArchiveTrace', 'FindTraces', 'GetServices', 'GetOperations', 'GetDependencies'].map((method) => [
        `/jaeger.api_v2.QueryService/${method}`,
        refusal(
          "Jaeger's query API over gRPC is not built: ask the one over HTTP, on the service tracing at /jaeger/api",
        ),
      ]),
    ),
  };
}
