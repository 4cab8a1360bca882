import type { AddressInfo } from 'node:net';
import { DecodeError, decode, encode } from '@istio-ts/envoy';
import { createGrpcServer, GrpcError, type MethodHandler } from '@istio-ts/envoy/grpc';
import { type OtelRecord, recordsOf } from './records.ts';

/** Path of the method by which logs are sent with OTLP over gRPC. */
export const OTEL_LOGS_METHOD = '/opentelemetry.proto.collector.logs.v1.LogsService/Export';

const ANSWER = encode('opentelemetry.proto.collector.logs.v1.ExportLogsServiceResponse', {});

/** What a method of another server needs to take logs by OTLP: gives each record to `receive`. */
export function otelLogMethods(receive: (record: OtelRecord) => void): Readonly<Record<string, MethodHandler>> {
  return {
    [OTEL_LOGS_METHOD]: {
      kind: 'unary',
      handle: async (bytes: Buffer) => {
        try {
          const request = decode('opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest', bytes);
          for (const record of recordsOf(request)) receive(record);
        } catch (error) {
          if (error instanceof DecodeError) throw new GrpcError('INVALID_ARGUMENT', error.message);
          throw error;
        }
        return ANSWER;
      },
    },
  };
}

export interface RunningOtelLogs {
  readonly port: number;
  close(): Promise<void>;
}

/** A receiver of logs by OTLP over gRPC, in the clear. Rejects when it cannot listen. */
export async function startOtelLogs(options: {
  /** Default every interface. */
  readonly host?: string;
  /** 0 for any free one. */
  readonly port: number;
  readonly receive: (record: OtelRecord) => void;
  readonly onError?: (error: unknown) => void;
}): Promise<RunningOtelLogs> {
  const server = createGrpcServer({
    methods: otelLogMethods(options.receive),
    onError: (error) => options.onError?.(error),
  });
  const address = (await server.listen({ host: options.host ?? '::', port: options.port })) as AddressInfo;
  return { port: address.port, close: () => server.close(100) };
}
