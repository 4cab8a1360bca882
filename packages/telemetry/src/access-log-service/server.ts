import type { AddressInfo } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import { DecodeError, decode } from '@istio-ts/envoy';
import { createGrpcServer, GrpcError, type MethodHandler } from '@istio-ts/envoy/grpc';
import { type AccessLogRecord, type AccessLogSource, recordsOf, sourceOf, UNKNOWN_SOURCE } from './entries.ts';

/** Path of the method that proxies call. */
export const ACCESS_LOG_METHOD = '/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs';

/** What a method of another server needs to take access logs: gives each entry to `receive`, and reads no more from a sender while its promise is pending. */
export function accessLogMethods(
  receive: (record: AccessLogRecord) => Promise<void> | undefined,
): Readonly<Record<string, MethodHandler>> {
  return {
    [ACCESS_LOG_METHOD]: {
      kind: 'stream',
      handle: async (call) => {
        let source: AccessLogSource = UNKNOWN_SOURCE;
        for await (const bytes of call.messages()) {
          const message = read(bytes);
          source = sourceOf(message, source);
          for (const record of recordsOf(message, source)) {
            const busy = receive(record);
            if (busy !== undefined) await busy;
          }
        }
        // Envoy expects no message in answer; the status alone ends the call.
      },
    },
  };
}

function read(bytes: Buffer) {
  try {
    return decode('envoy.service.accesslog.v3.StreamAccessLogsMessage', bytes);
  } catch (error) {
    if (error instanceof DecodeError) throw new GrpcError('INVALID_ARGUMENT', error.message);
    throw error;
  }
}

export interface AccessLogServiceOptions {
  /** Default every interface. */
  readonly host?: string;
  /** 0 for any free one. */
  readonly port: number;
  readonly tls?: SecureContextOptions;
  /** Called with each entry; while its promise is pending its sender is not read. */
  readonly receive: (record: AccessLogRecord) => Promise<void> | undefined;
  readonly onError?: (error: unknown) => void;
}

export interface RunningAccessLogService {
  readonly port: number;
  close(): Promise<void>;
}

/** A receiver of Envoy's gRPC access logs, of HTTP and of TCP. Rejects when it cannot listen. */
export async function startAccessLogService(options: AccessLogServiceOptions): Promise<RunningAccessLogService> {
  const server = createGrpcServer({
    methods: accessLogMethods(options.receive),
    ...(options.tls && { tls: options.tls }),
    onError: (error) => options.onError?.(error),
  });
  const address = (await server.listen({ host: options.host ?? '::', port: options.port })) as AddressInfo;
  return { port: address.port, close: () => server.close(100) };
}
