import { encode } from '@istio-ts/envoy';
import { GrpcError, type MethodHandler } from '@istio-ts/envoy/grpc';
import { readRequest } from './grpc-requests.ts';
import { readJaegerBatch } from './jaeger-receive.ts';
import { readOtlp } from './otlp.ts';
import { readSegment } from './skywalking.ts';
import { type Span, SpanError } from './span.ts';

function checked(spans: () => readonly Span[]): readonly Span[] {
  try {
    return spans();
  } catch (error) {
    if (error instanceof SpanError) throw new GrpcError('INVALID_ARGUMENT', error.message);
    throw error;
  }
}

/** Methods by which spans come: OTLP's, SkyWalking's and Jaeger's. */
export function receiverMethods(receive: (spans: readonly Span[]) => void): Readonly<Record<string, MethodHandler>> {
  const collectSegments: MethodHandler = {
    kind: 'stream',
    handle: async (call) => {
      for await (const bytes of call.messages()) {
        const segment = readRequest('skywalking.v3.SegmentObject', bytes);
        receive(checked(() => readSegment(segment)));
      }
      await call.write(encode('skywalking.v3.Commands', {}));
    },
  };
  return {
    '/opentelemetry.proto.collector.trace.v1.TraceService/Export': {
      kind: 'unary',
      handle: (bytes) => {
        const request = readRequest('opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest', bytes);
        receive(checked(() => readOtlp(request, 'base64')));
        return encode('opentelemetry.proto.collector.trace.v1.ExportTraceServiceResponse', {});
      },
    },
    '/skywalking.v3.TraceSegmentReportService/collect': collectSegments,
    '/TraceSegmentReportService/collect': collectSegments,
    '/jaeger.api_v2.CollectorService/PostSpans': {
      kind: 'unary',
      handle: (bytes) => {
        const { batch } = readRequest('jaeger.api_v2.PostSpansRequest', bytes);
        receive(checked(() => readJaegerBatch(batch ?? {})));
        return encode('jaeger.api_v2.PostSpansResponse', {});
      },
    },
  };
}
