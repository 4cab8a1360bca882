import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { gzip } from 'node:zlib';
import type { ClosableKubeClient, KubeConfig } from '@istio-ts/kube';
import { MetricsRegistry } from '@istio-ts/metrics';
import { createAddons } from './addons.ts';
import { readDashboards } from './dashboards.ts';
import { ApiFailure, failureOf } from './http/failure.ts';
import { RateLimit, refuseTooMany } from './http/rate-limit.ts';
import { type Route, Router, streamed } from './http/router.ts';
import { readFolder, securityHeaders, StaticFiles } from './http/static-files.ts';
import { configRoutes } from './routes/config-routes.ts';
import { logRoutes } from './routes/log-routes.ts';
import { meshRoutes } from './routes/mesh-routes.ts';
import { proxyRoutes } from './routes/proxy-routes.ts';
import { type OpenRoute, sessionRoutes } from './routes/session-routes.ts';
import { telemetryRoutes } from './routes/telemetry-routes.ts';
import { createAnalysts, type Services } from './services.ts';
import { isOwnPage, sessionIdOf } from './session/cookie.ts';
import { Sessions } from './session/sessions.ts';
import type { Settings } from './settings.ts';
import { SourceError } from './sources/http-get.ts';
import { createPrometheus } from './sources/prometheus.ts';
import { createTraces } from './traces/jaeger.ts';

/** From one address. */
const wrongTokensAMinute = 10;

/** What a console is started with. */
export interface ConsoleOptions {
  readonly settings: Settings;
  readonly config: KubeConfig;
  /** The console's own client; closed by who made it. */
  readonly client: ClosableKubeClient;
  readonly pagesDir: string;
  readonly dashboardsDir: string;
  readonly now: () => number;
  readonly log: (line: string) => void;
}

export interface RunningConsole {
  readonly port: number;
  close(): Promise<void>;
}

/** Starts the server; resolves when it listens. */
export async function startConsole(options: ConsoleOptions): Promise<RunningConsole> {
  const { settings, now, log } = options;
  const sessions = new Sessions({
    strategy: settings.strategy,
    readOnly: settings.readOnly,
    config: options.config,
    own: options.client,
    now,
  });
  const metrics = new MetricsRegistry();
  const services: Services = {
    settings,
    sessions,
    prometheus: createPrometheus(settings.prometheusUrl, now),
    traces: createTraces(settings.tracingUrl),
    dashboards: readDashboards(options.dashboardsDir, log),
    addons: createAddons(settings, now),
    analystOf: createAnalysts(settings, now),
    wrongTokens: new RateLimit(wrongTokensAMinute, 60_000),
    metrics,
    now,
    log,
  };
  const pages = new StaticFiles(readFolder(options.pagesDir));
  if (!pages.has('index.html')) log(`there are no pages in ${options.pagesDir}: only /api answers`);
  const handle = createHandler(services, pages);
  const listener = (request: IncomingMessage, response: ServerResponse): void => void handle(request, response);
  const server: Server = settings.tls
    ? createSecureServer(
        { cert: readFileSync(settings.tls.certFile), key: readFileSync(settings.tls.keyFile), minVersion: 'TLSv1.2' },
        listener,
      )
    : createServer(listener);
  server.requestTimeout = 60_000;
  server.headersTimeout = 20_000;
  server.maxConnections = 2_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(settings.port, settings.host, () => resolve());
  });
  const servers = [server];
  if (settings.metricsPort !== undefined)
    servers.push(await serveMetrics(metrics, settings.host, settings.metricsPort));
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      sessions.close();
      await Promise.all(
        servers.map((each) => {
          const closed = new Promise((resolve) => each.close(resolve));
          each.closeAllConnections();
          return closed;
        }),
      );
    },
  };
}

/** `/metrics` on a port of its own, for who may read these and nothing else. */
async function serveMetrics(metrics: MetricsRegistry, host: string, port: number): Promise<Server> {
  const server = createServer((request, response) => {
    if (pathOf(request) !== '/metrics')
      return void response.writeHead(404, { 'content-type': 'text/plain' }).end('here is /metrics only\n');
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(metrics.text());
  });
  server.headersTimeout = 20_000;
  server.maxConnections = 100;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve());
  });
  return server;
}

function createHandler(services: Services, pages: StaticFiles) {
  const { metrics, sessions, settings, log, now } = services;
  const open = sessionRoutes(services);
  const router = new Router([
    ...(open as readonly OpenRoute[] as readonly Route[]),
    ...meshRoutes(services),
    ...configRoutes(services),
    ...telemetryRoutes(services),
    ...logRoutes(),
    ...proxyRoutes(services),
  ]);
  const isOpen = new Set<unknown>(open);
  const requests = metrics.counter('console_requests_total', 'Requests by route, method and status.');
  const seconds = metrics.counter('console_request_seconds_total', 'Time spent on answers, by route.');
  metrics.gauge('console_prometheus_queries', 'Queries sent to Prometheus.', () => services.prometheus.asked);

  const api = async (request: IncomingMessage, response: ServerResponse, url: URL): Promise<string> => {
    const found = router.find(request.method ?? 'GET', url.pathname);
    if (!found) throw new ApiFailure(404, `there is nothing at ${url.pathname.slice(0, 200)}`);
    if ('methods' in found)
      throw new ApiFailure(405, `${request.method} is not possible here: use ${found.methods.join(' or ')}`, {
        headers: { allow: found.methods.join(', ') },
      });
    const { route, params } = found;
    if (route.changes && !isOwnPage(request))
      throw new ApiFailure(
        403,
        'this request comes from a page of another site, or does not say where it comes from: programs send the header X-Istio-Console',
      );
    const { authorization } = request.headers;
    const address = request.socket.remoteAddress ?? '';
    if (authorization !== undefined) refuseTooMany(services.wrongTokens.waiting(address, now()));
    const caller = await sessions.callerOf(sessionIdOf(request), authorization).catch((error) => {
      if (error instanceof ApiFailure && error.status === 401) services.wrongTokens.attempt(address, now());
      // Whoever has a bad token can still log in with a good one.
      if (isOpen.has(route)) return undefined;
      throw error;
    });
    if (!caller && !isOpen.has(route)) throw new ApiFailure(401, 'give a token of Kubernetes first: POST /api/login');
    const result = await route.handle({
      // Open routes take who is nobody, all others have somebody here.
      caller: caller as NonNullable<typeof caller>,
      params,
      query: url.searchParams,
      request,
      response,
      now: now(),
    });
    if (result !== streamed) await answer(request, response, 200, result);
    return route.path;
  };

  const plain = (request: IncomingMessage, response: ServerResponse, url: URL): string => {
    if (request.method !== 'GET' && request.method !== 'HEAD')
      throw new ApiFailure(405, `${request.method} is not possible here`, { headers: { allow: 'GET, HEAD' } });
    const path = url.pathname;
    if (path === '/healthz' || path === '/readyz' || path === '/kiali/healthz') {
      response.writeHead(200, { 'content-type': 'text/plain' }).end('ok\n');
      return path;
    }
    if (path === '/metrics') {
      response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(metrics.text());
      return path;
    }
    if (path === '/kiali' || path.startsWith('/kiali/')) return redirect(response, '/', '/kiali');
    // Links to Grafana's dashboards lead to ours.
    const [, uid] = /^\/d\/([\w-]+)/.exec(path) ?? [];
    if (uid !== undefined) return redirect(response, `/dashboards/${uid}`, '/d');
    if (path === '/' && settings.page !== '') return redirect(response, `/${settings.page}`, '/');
    const file = path.slice(1);
    if (file !== '' && pages.send(request, response, file)) return 'page';
    // Paths of pages are made by the pages themselves, and may end in a host's name; all files lie at the top.
    if (/^\/[^/]*\.[a-z0-9]+$/i.test(path) || !pages.send(request, response, 'index.html'))
      throw new ApiFailure(404, `there is nothing at ${path.slice(0, 200)}`);
    return 'page';
  };

  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const started = performance.now();
    response.setHeader('server', 'istio-console');
    let route = 'unknown';
    try {
      const url = urlOf(request);
      route = url.pathname.startsWith('/api/') ? await api(request, response, url) : plain(request, response, url);
    } catch (error) {
      const failure = error instanceof SourceError ? new ApiFailure(502, error.message) : failureOf(error);
      if (failure.status === 500)
        log(`${request.method} ${pathOf(request)}: ${(error as Error).stack ?? String(error)}`);
      if (response.headersSent) response.destroy();
      else
        await answer(request, response, failure.status, failure.body, failure.headers).catch(() => response.destroy());
    }
    requests.add({ route, method: methodOf(request), code: String(response.statusCode) });
    seconds.add({ route }, (performance.now() - started) / 1000);
  };
}

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE']);
const methodOf = ({ method = '' }: IncomingMessage): string => (methods.has(method) ? method : 'other');

/** Without the query: it may have what does not belong into logs. */
const pathOf = ({ url = '' }: IncomingMessage): string => (url.split('?')[0] ?? '').slice(0, 200);

function urlOf(request: IncomingMessage): URL {
  const target = request.url ?? '/';
  try {
    if (target.length > 32_768) throw new Error('too long');
    // Only paths: a second slash would name a host.
    return new URL(`http://console${target.startsWith('/') ? target.replace(/^\/+/, '/') : '/'}`);
  } catch {
    throw new ApiFailure(400, 'this is not a path that can be read');
  }
}

function redirect(response: ServerResponse, location: string, route: string): string {
  response.writeHead(302, { ...securityHeaders, location }).end();
  return route;
}

/** Smaller answers are not worth packing. */
const packFrom = 1_024;

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  const text = Buffer.from(JSON.stringify(body));
  const zipped = text.length >= packFrom && /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''));
  const bytes = zipped
    ? await new Promise<Buffer>((resolve, reject) =>
        gzip(text, { level: 1 }, (error, packed) => (error ? reject(error) : resolve(packed))),
      )
    : text;
  response.writeHead(status, {
    ...securityHeaders,
    'content-type': 'application/json',
    'cache-control': 'no-store',
    vary: 'Accept-Encoding',
    'content-length': String(bytes.length),
    ...(zipped && { 'content-encoding': 'gzip' }),
    ...headers,
  });
  response.end(request.method === 'HEAD' ? undefined : bytes);
}
