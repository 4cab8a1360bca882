import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createGrpcServer, type GrpcServer } from '@istio-ts/envoy/grpc';
import { receiverMethods } from './grpc-receivers.ts';
import { createHttpHandler } from './http-handler.ts';
import { queryMethods } from './jaeger-query.ts';
import type { Span } from './span.ts';
import { createTraceStore, DEFAULT_LIMITS, type TraceLimits, type TraceStore } from './store.ts';

export interface TraceServerOptions {
  /** Default every interface. */
  readonly host?: string;
  /** Ports that answer HTTP: each answers everything. 0 for any free one. */
  readonly httpPorts: readonly number[];
  /** Ports that speak gRPC: spans and Jaeger's query API, each on all of them. */
  readonly grpcPorts: readonly number[];
  readonly limits?: TraceLimits;
  readonly version: string;
  readonly basePath?: string;
  readonly now?: () => number;
  readonly onError?: (error: unknown) => void;
}

export interface RunningTraceServer {
  readonly store: TraceStore;
  /** In the order of the options. */
  readonly httpPorts: readonly number[];
  readonly grpcPorts: readonly number[];
  close(): Promise<void>;
}

const MAX_BODY_BYTES = 32 * 1024 * 1024;
const EXPIRE_EVERY_MS = 60_000;

/** Starts receivers, store and query APIs. Rejects when a port cannot be listened on. */
export async function startTraceServer(options: TraceServerOptions): Promise<RunningTraceServer> {
  const { host = '::', now = Date.now, onError = () => {} } = options;
  const store = createTraceStore(options.limits ?? DEFAULT_LIMITS);
  const receive = (spans: readonly Span[]): void => store.add(spans, now());
  const handler = createHttpHandler(
    {
      store,
      receive,
      now,
      version: options.version,
      basePath: (options.basePath ?? '/jaeger').replace(/\/+$/, ''),
      maxBodyBytes: MAX_BODY_BYTES,
    },
    onError,
  );
  const webs: Server[] = [];
  const grpcs: GrpcServer[] = [];
  const timer = setInterval(() => store.expire(now()), EXPIRE_EVERY_MS).unref();
  const close = async (): Promise<void> => {
    clearInterval(timer);
    await Promise.all([
      ...webs.map(
        (server) =>
          new Promise<void>((resolve) => {
            server.close(() => resolve());
            server.closeAllConnections();
          }),
      ),
      ...grpcs.map((server) => server.close(100)),
    ]);
  };
  try {
    const httpPorts: number[] = [];
    for (const port of options.httpPorts) {
      const server = createServer({ requestTimeout: 30_000, headersTimeout: 15_000 }, handler);
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen({ host, port }, resolve);
      });
      webs.push(server);
      httpPorts.push((server.address() as AddressInfo).port);
    }
    const grpcPorts: number[] = [];
    for (const port of options.grpcPorts) {
      const server = createGrpcServer({
        methods: { ...receiverMethods(receive), ...queryMethods(store, now) },
        onError: (error) => onError(error),
      });
      grpcs.push(server);
      grpcPorts.push(((await server.listen({ host, port })) as AddressInfo).port);
    }
    return { store, httpPorts, grpcPorts, close };
  } catch (error) {
    await close();
    throw error;
  }
}
