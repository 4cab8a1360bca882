import { decode } from '@istio-ts/envoy';
import { type GrpcChannel, openGrpcChannel } from '@istio-ts/envoy/grpc';
import { type OtelRecord, recordsOf } from '../otel-logs/records.ts';
import { readOtlp } from '../traces/otlp.ts';
import { writeZipkinV2 } from '../traces/zipkin.ts';
import type { ExporterConfig, Signal } from './config.ts';
import { lokiPush } from './loki-push.ts';
import { readMetrics } from './otlp-metrics.ts';
import type { MetricTable } from './metric-table.ts';

/** What arrived in one call: the encoded request of OTLP for its signal. */
export interface Payload {
  readonly signal: Signal;
  readonly bytes: Buffer;
}

/** Where payloads go. `send` rejects with `Refused` for what will never be taken, and with another error for what may be taken later. */
export interface Exporter {
  send(payload: Payload): Promise<void>;
  close(): void;
}

/** The receiver will not take this, however often it is asked. */
export class Refused extends Error {}

const METHODS: Readonly<Record<Signal, string>> = {
  traces: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
  metrics: '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export',
  logs: '/opentelemetry.proto.collector.logs.v1.LogsService/Export',
};
const TIMEOUT_MS = 10_000;

const recordsIn = (bytes: Buffer): readonly OtelRecord[] =>
  recordsOf(decode('opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest', bytes));
const spansIn = (bytes: Buffer) =>
  readOtlp(decode('opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest', bytes), 'base64');

async function post(url: string, type: string, body: string | Buffer): Promise<void> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': type },
    body: typeof body === 'string' ? body : new Uint8Array(body),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const answer = (await response.text()).slice(0, 200).trim();
  if (response.ok) return;
  const message = `${url} answers ${response.status}: ${answer}`;
  throw response.status === 429 || response.status >= 500 ? new Error(message) : new Refused(message);
}

/** Lines for people: of a log its body and attributes, of a span who did what, of a metric its value. */
export function debugLines({ signal, bytes }: Payload): readonly string[] {
  switch (signal) {
    case 'logs':
      return recordsIn(bytes).map(({ body, attributes }) => {
        const text = typeof body === 'string' ? body.trimEnd() : JSON.stringify(body);
        return Object.keys(attributes).length > 0 ? `${text} ${JSON.stringify(attributes)}` : text;
      });
    case 'traces':
      return spansIn(bytes).map(
        ({ traceId, id, service, name, kind, duration }) =>
          `span ${traceId}/${id} ${service}: ${name} (${kind}, ${duration} µs)`,
      );
    case 'metrics':
      return readMetrics(bytes).flatMap(({ name, points }) =>
        points.map(
          ({ labels, value }) => `metric ${name}${JSON.stringify(Object.fromEntries(labels))} ${JSON.stringify(value)}`,
        ),
      );
  }
}

export interface ExporterSurroundings {
  /** Writes a line; resolves when the reader has taken it, where it is slow. */
  readonly print: (line: string) => Promise<void> | undefined;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** What the exporter `prometheus` of this name shows. */
  readonly table: (name: string) => MetricTable;
}

export function createExporter(config: ExporterConfig, surroundings: ExporterSurroundings): Exporter {
  const close = (): void => undefined;
  switch (config.kind) {
    case 'debug':
      return {
        send: async (payload) => {
          for (const line of debugLines(payload)) await surroundings.print(line);
        },
        close,
      };
    case 'otlp': {
      const { host, port } = config.address;
      const channel: GrpcChannel = openGrpcChannel({ kind: 'tcp', host, port });
      return {
        send: async ({ signal, bytes }) => {
          try {
            await channel.unary(METHODS[signal], bytes, { timeoutMs: TIMEOUT_MS });
          } catch (error) {
            const { status, message } = error as { readonly status?: string; readonly message: string };
            if (status === 'UNIMPLEMENTED' || status === 'INVALID_ARGUMENT' || status === 'PERMISSION_DENIED')
              throw new Refused(message);
            throw error;
          }
        },
        close: () => channel.close(),
      };
    }
    case 'otlphttp':
      return { send: ({ signal, bytes }) => post(config.urls[signal], 'application/x-protobuf', bytes), close };
    case 'zipkin':
      return {
        send: ({ bytes }) => post(config.url, 'application/json', JSON.stringify(spansIn(bytes).map(writeZipkinV2))),
        close,
      };
    case 'loki':
      return {
        send: ({ bytes }) => {
          const push = lokiPush(recordsIn(bytes), BigInt(surroundings.now()) * 1_000_000n);
          return post(config.url, 'application/json', JSON.stringify(push));
        },
        close,
      };
    case 'prometheus': {
      const table = surroundings.table(config.name);
      return {
        send: async ({ bytes }) => {
          for (const metric of readMetrics(bytes)) table.add(metric);
        },
        close,
      };
    }
  }
}
