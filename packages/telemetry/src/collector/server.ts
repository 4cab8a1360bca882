import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DecodeError, decode, encode } from '@istio-ts/envoy';
import { createGrpcServer, GrpcError, type GrpcServer, type MethodHandler } from '@istio-ts/envoy/grpc';
import { BodyError, bodyOf } from '../traces/http-handler.ts';
import { withAttributes } from './attributes.ts';
import { type Address, type CollectorConfig, SIGNALS, type Signal } from './config.ts';
import { createExporter, type Payload } from './exporters.ts';
import { MetricTable } from './metric-table.ts';
import { readMetrics } from './otlp-metrics.ts';
import { Sending } from './sending.ts';

const MAX_BODY_BYTES = 32 * 1024 * 1024;
const LOGS = 'opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest';
const METHODS: Readonly<Record<Signal, string>> = {
  traces: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
  metrics: '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export',
  logs: '/opentelemetry.proto.collector.logs.v1.LogsService/Export',
};

export interface CollectorOptions {
  readonly config: CollectorConfig;
  /** Takes a line of the exporter `debug`; a promise while its reader is slow. */
  readonly print: (line: string) => Promise<void> | undefined;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly onError: (message: string) => void;
}

export interface RunningCollector {
  readonly grpcPort: number | undefined;
  readonly httpPort: number | undefined;
  /** By the names of exporters `prometheus`. */
  readonly metricsPorts: ReadonlyMap<string, number>;
  close(): Promise<void>;
}

/** Raises DecodeError for what is no request of that signal. */
function check({ signal, bytes }: Payload): void {
  if (signal === 'logs') decode(LOGS, bytes);
  else if (signal === 'traces') decode('opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest', bytes);
  else readMetrics(bytes);
}

/** Stands in for the OpenTelemetry collector, as far as its configuration is built (see readCollectorConfig). Rejects when it cannot listen. */
export async function startCollector(options: CollectorOptions): Promise<RunningCollector> {
  const { config, print, now, onError } = options;
  const tables = new Map<string, MetricTable>();
  const table = (name: string): MetricTable => {
    const found = tables.get(name) ?? new MetricTable(now);
    tables.set(name, found);
    return found;
  };
  const sendings = new Map<string, Sending>();
  const prometheus = new Map<string, Address>();
  for (const { exporters } of config.pipelines)
    for (const exporter of exporters) {
      if (exporter.kind === 'prometheus') prometheus.set(exporter.name, exporter.address);
      if (sendings.has(exporter.name)) continue;
      const made = createExporter(exporter, { print, now, table });
      sendings.set(exporter.name, new Sending(made, { name: exporter.name, now, onError }));
    }
  const signals = SIGNALS.filter((signal) => config.pipelines.some((pipeline) => pipeline.signal === signal));
  const receive = (payload: Payload): void => {
    check(payload);
    for (const { signal, actions, exporters } of config.pipelines) {
      if (signal !== payload.signal) continue;
      const bytes =
        actions.length === 0
          ? payload.bytes
          : Buffer.from(encode(LOGS, withAttributes(decode(LOGS, payload.bytes), actions)));
      for (const { name } of exporters) sendings.get(name)?.add({ signal, bytes });
    }
  };

  const servers: Server[] = [];
  let grpc: GrpcServer | undefined;
  const listen = async ({ host, port }: Address, listener: RequestListener): Promise<number> => {
    const server = createServer({ requestTimeout: 30_000, headersTimeout: 15_000 }, listener);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: host === '0.0.0.0' ? '::' : host, port }, resolve);
    });
    servers.push(server);
    return (server.address() as AddressInfo).port;
  };
  const close = async (): Promise<void> => {
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
    await grpc?.close(100);
    await Promise.all([...sendings.values()].map((sending) => sending.close()));
  };
  try {
    let grpcPort: number | undefined;
    if (config.grpc !== undefined) {
      const methods = signals.map((signal): readonly [string, MethodHandler] => [
        METHODS[signal],
        {
          kind: 'unary',
          handle: (bytes: Buffer) => {
            try {
              receive({ signal, bytes: Buffer.from(bytes) });
            } catch (error) {
              throw error instanceof DecodeError ? new GrpcError('INVALID_ARGUMENT', error.message) : error;
            }
            // All is taken: the answer has nothing in it.
            return Buffer.alloc(0);
          },
        },
      ]);
      grpc = createGrpcServer({ methods: Object.fromEntries(methods), onError: (error) => onError(String(error)) });
      const { host, port } = config.grpc;
      grpcPort = ((await grpc.listen({ host: host === '0.0.0.0' ? '::' : host, port })) as AddressInfo).port;
    }
    const httpPort = config.http && (await listen(config.http, otlpHttp(signals, receive)));
    const metricsPorts = new Map<string, number>();
    for (const [name, address] of prometheus) {
      const port = await listen(address, (request, response) => {
        request.resume();
        if (request.url?.split('?')[0] !== '/metrics') response.writeHead(404).end();
        else
          response
            .writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' })
            .end(table(name).text());
      });
      metricsPorts.set(name, port);
    }
    if (config.health !== undefined)
      await listen(config.health, (request, response) => {
        request.resume();
        response.writeHead(200, { 'content-type': 'application/json' }).end('{"status":"Server available"}');
      });
    return { grpcPort, httpPort, metricsPorts, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** OTLP over HTTP: `POST /v1/traces`, `/v1/metrics`, `/v1/logs`, as protobuf. */
function otlpHttp(signals: readonly Signal[], receive: (payload: Payload) => void): RequestListener {
  return async (request, response) => {
    const answer = (status: number, text: string): void =>
      void response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(text);
    try {
      const signal = signals.find((one) => request.url?.split('?')[0] === `/v1/${one}`);
      const type = (request.headers['content-type'] ?? '').split(';')[0]?.trim();
      if (signal === undefined) {
        request.resume();
        return answer(404, `there is ${signals.map((one) => `/v1/${one}`).join(', ')}\n`);
      }
      if (request.method !== 'POST') {
        request.resume();
        return answer(405, 'POST\n');
      }
      if (type !== 'application/x-protobuf') {
        request.resume();
        return answer(415, `OTLP as "${type}" is not built here: send application/x-protobuf\n`);
      }
      receive({ signal, bytes: await bodyOf(request, MAX_BODY_BYTES) });
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
    } catch (error) {
      if (error instanceof BodyError) answer(error.status, `${error.message}\n`);
      else if (error instanceof DecodeError) answer(400, `${error.message}\n`);
      else answer(500, `${error instanceof Error ? error.message : error}\n`);
    }
  };
}
