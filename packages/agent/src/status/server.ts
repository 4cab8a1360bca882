import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { ENVOY_STATS_PATH } from '../bootstrap/listeners.ts';
import { http } from '../builtins.ts';
import type { MergeOptions } from './metrics-merge.ts';
import { PROMETHEUS_TYPE, sendEnvoyMetrics, sendMergedMetrics } from './metrics-merge.ts';
import type { AppProbe, ProbeTarget } from './probes.ts';
import { runProbe } from './probes.ts';
import type { Readiness } from './readiness.ts';

export interface StatusServerOptions {
  readonly port: number;
  readonly readiness: Readiness;
  readonly merge: MergeOptions;
  readonly probes: ReadonlyMap<string, AppProbe>;
  readonly probeTarget: ProbeTarget;
  /** `POST /quitquitquit`: ends the agent as SIGTERM does. */
  readonly quit: () => void;
  /** `POST /drain`: Envoy stops taking new connections. */
  readonly drain: () => Promise<void>;
  /** `GET /debug/…`: what the agent knows, as JSON. */
  readonly debug: () => Promise<object>;
}

/** The agent's own port (15020): health, metrics, the application's probes and a few orders. */
export function startStatusServer(options: StatusServerOptions): Promise<Server> {
  const server = http.createServer(
    { maxHeaderSize: 16 * 1024, requestTimeout: 10_000, keepAliveTimeout: 60_000 },
    (request, response) => {
      // A client that goes away in the middle is no fault of ours.
      response.on('error', () => undefined);
      answer(request, response, options).catch((error: unknown) => {
        if (!response.headersSent) response.writeHead(500, { 'content-type': 'text/plain' });
        response.end(`${error instanceof Error ? error.message : String(error)}\n`);
      });
    },
  );
  server.maxConnections = 1000;
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, () => {
      server.off('error', reject);
      resolve(server);
    });
  });
}

async function answer(request: IncomingMessage, response: ServerResponse, options: StatusServerOptions): Promise<void> {
  const url = request.url ?? '/';
  const mark = url.indexOf('?');
  const path = mark < 0 ? url : url.slice(0, mark);
  const query = mark < 0 ? '' : url.slice(mark);
  request.resume();
  switch (path) {
    case '/healthz/ready': {
      const problem = await options.readiness.check();
      if (problem === undefined) return text(response, 200, '');
      return text(response, 503, `Envoy proxy is NOT ready: ${problem}\n`);
    }
    case '/stats/prometheus':
      return sendMergedMetrics(request, query, options.merge, response);
    case ENVOY_STATS_PATH:
      return sendEnvoyMetrics(query, options.merge, response);
    case '/metrics':
      response.writeHead(200, { 'content-type': PROMETHEUS_TYPE });
      response.end(options.merge.metrics.render());
      return;
    case '/quitquitquit':
      if (!order(request, response)) return;
      text(response, 200, 'OK');
      options.quit();
      return;
    case '/drain':
      if (!order(request, response)) return;
      await options.drain();
      return text(response, 200, 'OK');
    case '/debug/agentz':
      if (!isLocal(request)) return text(response, 403, 'only requests from localhost are allowed\n');
      response.setHeader('content-type', 'application/json');
      response.end(`${JSON.stringify(await options.debug(), null, 2)}\n`);
      return;
    default: {
      const probe = options.probes.get(path);
      if (probe === undefined) return text(response, 404, `no such path ${path.slice(0, 200)}\n`);
      const result = await runProbe(probe, options.probeTarget, request.headers);
      return text(response, result.status, result.reason === '' ? '' : `${result.reason}\n`);
    }
  }
}

/** Orders change the proxy's life: only POST, only from inside the pod. */
function order(request: IncomingMessage, response: ServerResponse): boolean {
  if (!isLocal(request)) {
    text(response, 403, 'only requests from localhost are allowed\n');
    return false;
  }
  if (request.method !== 'POST') {
    response.setHeader('allow', 'POST');
    text(response, 405, 'use POST\n');
    return false;
  }
  return true;
}

function isLocal(request: IncomingMessage): boolean {
  const address = request.socket.remoteAddress ?? '';
  // 127.0.0.6 is where Envoy passes on what came from outside of the pod.
  if (address.endsWith('127.0.0.6')) return false;
  return address === '::1' || /^(?:::ffff:)?127\./.test(address);
}

function text(response: ServerResponse, status: number, body: string): void {
  // A probe must not be kept waiting by a status that has no body (1xx) or that it would follow.
  response.writeHead(status >= 200 && status <= 599 ? status : 500, { 'content-type': 'text/plain; charset=utf-8' });
  response.end(body);
}
