import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import { DecodeError } from '@istio-ts/envoy';
import { createGrpcServer, GrpcError } from '@istio-ts/envoy/grpc';
import { exposition } from './exposition.ts';
import { readMetricsMessage } from './families.ts';
import { type MetricStoreOptions, MetricStore, type NodeName } from './store.ts';

/** Path of the method that proxies call. */
export const METRICS_METHOD = '/envoy.service.metrics.v3.MetricsService/StreamMetrics';
/** A gateway in front of thousands of services has some megabytes of metrics. */
const MAX_MESSAGE_BYTES = 32 * 1024 * 1024;

export interface MetricServiceOptions extends MetricStoreOptions {
  /** Default every interface. */
  readonly host?: string;
  /** Of the gRPC server; 0 for any free one. */
  readonly port: number;
  /** Of `/metrics`; 0 for any free one. */
  readonly httpPort: number;
  readonly tls?: SecureContextOptions;
  readonly onError?: (error: unknown) => void;
}

export interface RunningMetricService {
  readonly port: number;
  readonly httpPort: number;
  readonly store: MetricStore;
  close(): Promise<void>;
}

/** A receiver of Envoy's metrics that gives those of all proxies to Prometheus. Rejects when it cannot listen. */
export async function startMetricService(options: MetricServiceOptions): Promise<RunningMetricService> {
  const store = new MetricStore(options);
  const host = options.host ?? '::';
  const grpc = createGrpcServer({
    ...(options.tls && { tls: options.tls }),
    maxReceiveBytes: MAX_MESSAGE_BYTES,
    methods: {
      [METRICS_METHOD]: {
        kind: 'stream',
        handle: async (call) => {
          let node: NodeName | undefined;
          for await (const bytes of call.messages()) {
            try {
              node ??= readMetricsMessage(bytes).node;
              if (node === undefined || node.id === '')
                throw new GrpcError('INVALID_ARGUMENT', 'the first message does not say who sends it');
              if (!store.put(node, bytes))
                throw new GrpcError('RESOURCE_EXHAUSTED', 'there is no room for the metrics of another proxy');
            } catch (error) {
              if (error instanceof DecodeError) throw new GrpcError('INVALID_ARGUMENT', error.message);
              throw error;
            }
          }
        },
      },
    },
    onError: (error) => options.onError?.(error),
  });
  const http = createServer((request, response) => {
    const path = request.url?.split('?')[0];
    if (path === '/healthz' || path === '/-/ready') response.end('OK\n');
    else if (path === '/metrics') {
      response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' });
      for (const family of exposition(store.nodes())) response.write(family);
      const { nodes, bytes, refused } = store.size;
      response.end(
        [
          '# HELP metric_service_nodes Proxies whose metrics are here.',
          '# TYPE metric_service_nodes gauge',
          `metric_service_nodes ${nodes}`,
          '# HELP metric_service_bytes Bytes that their metrics take.',
          '# TYPE metric_service_bytes gauge',
          `metric_service_bytes ${bytes}`,
          '# HELP metric_service_refused_total Messages that there was no room for.',
          '# TYPE metric_service_refused_total counter',
          `metric_service_refused_total ${refused}`,
          '',
        ].join('\n'),
      );
    } else response.writeHead(404).end();
  });
  const address = (await grpc.listen({ host, port: options.port })) as AddressInfo;
  await new Promise<void>((resolve, reject) => {
    http.once('error', reject);
    http.listen(options.httpPort, host, resolve);
  });
  return {
    port: address.port,
    httpPort: (http.address() as AddressInfo).port,
    store,
    async close() {
      http.closeAllConnections();
      http.close();
      await grpc.close(100);
    },
  };
}
