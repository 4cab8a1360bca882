import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DecodeError, decode, EncodeError, encode, toCanonicalJson } from '@istio-ts/envoy';
import { createGrpcServer, GrpcError, type MethodHandler } from '@istio-ts/envoy/grpc';
import { MetricsRegistry } from '@istio-ts/metrics';
import { watchConfigFiles } from './config-files.ts';
import { type Counters, CountersUnavailable } from './counters.ts';
import { RequestError } from './decide.ts';
import { Health, healthMethods } from './health.ts';
import { createMemoryCounters } from './memory-counters.ts';
import { createRedisCounters } from './redis-counters.ts';
import { type Log, RateLimitService } from './service.ts';
import type { Settings } from './settings.ts';
import { createStatistics, type Statistics } from './statistics.ts';
import { startStatsd } from './statsd.ts';

/** Path of the method that proxies call. */
export const RATE_LIMIT_METHOD = '/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit';
const REQUEST = 'envoy.service.ratelimit.v3.RateLimitRequest';
const RESPONSE = 'envoy.service.ratelimit.v3.RateLimitResponse';
const MAX_BODY_BYTES = 256 * 1024;

export interface RateLimitServerOptions {
  readonly settings: Settings;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly log: Log;
  /** Instead of those of the settings. */
  readonly counters?: Counters;
  /** How often the configuration's folder is looked at, default 1 s. */
  readonly watchEveryMs?: number;
}

export interface RunningRateLimit {
  /** Port of the gRPC server; 0 on a Unix socket. */
  readonly grpcPort: number;
  readonly httpPort: number;
  readonly debugPort: number;
  /** Undefined without USE_PROMETHEUS. */
  readonly prometheusPort: number | undefined;
  readonly service: RateLimitService;
  readonly statistics: Statistics;
  /** Says by the health checks that it ends, and ends when the requests in progress are answered. */
  close(): Promise<void>;
}

function countersOf({ store }: Settings, onChange: () => void): Counters {
  if (store.kind === 'memory') return createMemoryCounters();
  const { perSecond, ...rest } = store;
  return createRedisCounters({ onChange, ...rest, ...(perSecond && { perSecond }) });
}

/** What a client sees of a failure. */
function grpcErrorOf(error: unknown): unknown {
  if (error instanceof RequestError || error instanceof DecodeError)
    return new GrpcError('INVALID_ARGUMENT', error.message);
  if (error instanceof CountersUnavailable) return new GrpcError('UNAVAILABLE', error.message);
  return error;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_BODY_BYTES) throw new RequestError(`more than ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

/** Starts the service with its servers: gRPC, HTTP (`/healthcheck`, `/json`), debug (`/rlconfig`, `/stats`, `/metrics`). Rejects when one cannot listen. */
export async function startRateLimit(options: RateLimitServerOptions): Promise<RunningRateLimit> {
  const { settings, log } = options;
  const registry = new MetricsRegistry();
  const statistics = createStatistics(registry);
  let isEnding = false;
  const health = new Health(() => !isEnding && service.healthy && (!settings.needsConfig || service.hasConfig));
  const counters = options.counters ?? countersOf(settings, health.changed);
  const service = new RateLimitService(
    {
      counters,
      statistics,
      now: options.now,
      keyPrefix: settings.keyPrefix,
      shadow: settings.shadow,
      nearRatio: settings.nearRatio,
      ...(settings.headers && { headers: settings.headers }),
    },
    log,
    settings.mergeDomains,
  );
  const configure: Parameters<typeof watchConfigFiles>[1] = (read) => {
    service.configure(read);
    health.changed();
  };
  const watch = watchConfigFiles(settings.configFolder, configure, options.watchEveryMs);

  const json: RequestListener = async (request, response) => {
    try {
      const message = JSON.parse(await bodyOf(request)) as Parameters<typeof service.shouldRateLimit>[0];
      const answer = await service.shouldRateLimit(toCanonicalJson(REQUEST, message) as typeof message);
      response.writeHead(answer.overallCode === 'OVER_LIMIT' ? 429 : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(answer));
    } catch (error) {
      const isBad = error instanceof SyntaxError || error instanceof EncodeError || error instanceof RequestError;
      response.writeHead(isBad ? 400 : 500, { 'content-type': 'text/plain' });
      response.end(`${error instanceof Error ? error.message : error}\n`);
    }
  };
  const http = createServer((request, response) => {
    const path = request.url?.split('?')[0];
    if (path === '/healthcheck') {
      response.writeHead(health.isHealthy ? 200 : 500, { 'content-type': 'text/plain' });
      response.end(health.isHealthy ? 'OK' : 'not healthy');
    } else if (path === '/json' && request.method === 'POST') json(request, response);
    else response.writeHead(404).end();
  });
  const pages: Readonly<Record<string, () => string>> = {
    '/': () =>
      '/rlconfig: the limits in force\n/stats: counters by their dotted names\n/metrics: the same for Prometheus\n',
    '/rlconfig': () => service.configText,
    '/stats': () => [...statistics.values()].map(([name, value]) => `${name}: ${value}\n`).join(''),
    '/metrics': () => registry.text(),
  };
  const paged = (served: Readonly<Record<string, () => string>>): Server =>
    createServer((request, response) => {
      const path = request.url?.split('?')[0] ?? '';
      const page = Object.hasOwn(served, path) ? served[path] : undefined;
      if (page === undefined) response.writeHead(404).end();
      else response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).end(page());
    });
  const debug = paged(pages);
  const prometheus = settings.prometheus && paged({ [settings.prometheus.path]: () => registry.text() });

  const grpc = createGrpcServer({
    methods: { [RATE_LIMIT_METHOD]: rateLimitMethod(service), ...healthMethods(health) },
    ...(settings.grpcTls && { tls: settings.grpcTls }),
    ...(settings.maxConnectionAgeMs > 0 && {
      maxConnectionAgeMs: Math.min(settings.maxConnectionAgeMs, 0x3fffffff),
    }),
    // Each request of a proxy's clients is a stream of one connection.
    maxStreams: 100_000,
    onError: (error, path) => log.error(`${path}: ${error instanceof Error ? (error.stack ?? error.message) : error}`),
  });
  const { unixSocket } = settings.grpc;
  const address = await grpc.listen(
    unixSocket === '' ? { host: settings.grpc.host, port: settings.grpc.port } : { path: unixSocket },
  );
  const httpPort = await listen(http, settings.http.host, settings.http.port);
  const debugPort = await listen(debug, settings.debug.host, settings.debug.port);
  const prometheusPort =
    prometheus && settings.prometheus && (await listen(prometheus, settings.prometheus.host, settings.prometheus.port));
  const statsd = settings.statsd && startStatsd(settings.statsd, () => statistics.values(), log);
  const grpcPort = typeof address === 'string' ? 0 : address.port;
  log.info(
    `gRPC on ${unixSocket || `${settings.grpc.host}:${grpcPort}`}, HTTP on ${settings.http.host}:${httpPort}, debug on ${settings.debug.host}:${debugPort}; limits are counted in ${settings.store.kind === 'redis' ? 'Redis' : 'memory'}`,
  );
  return {
    grpcPort,
    httpPort,
    debugPort,
    prometheusPort,
    service,
    statistics,
    async close() {
      isEnding = true;
      health.changed();
      watch.stop();
      statsd?.stop();
      await grpc.close(2000);
      for (const server of [http, debug, ...(prometheus ? [prometheus] : [])]) {
        server.closeAllConnections();
        server.close();
      }
      counters.close();
    },
  };
}

function rateLimitMethod(service: RateLimitService): MethodHandler {
  return {
    kind: 'unary',
    handle: async (bytes) => {
      try {
        return encode(RESPONSE, await service.shouldRateLimit(decode(REQUEST, bytes)));
      } catch (error) {
        throw grpcErrorOf(error);
      }
    },
  };
}
