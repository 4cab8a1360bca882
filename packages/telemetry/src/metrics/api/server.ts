import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { METRIC_NAME } from '../labels.ts';
import type { QueryContext } from '../promql/query.ts';
import type { ScrapeManager } from '../scrape/scrape-manager.ts';
import { ApiFailure } from './failure.ts';
import { answerLabels, answerLabelValues, answerMetadata, answerSeries, answerTargets } from './metadata.ts';
import { statusPage } from './page.ts';
import { Parameters } from './parameters.ts';
import { answerInstant, answerRange } from './queries.ts';

/** The version of Prometheus whose API and semantics these are; clients choose by it what they ask. */
const PROMETHEUS_VERSION = '2.42.0';
const MAX_FORM = 1 << 20;

export interface ApiOptions {
  readonly context: QueryContext;
  readonly scrapes: ScrapeManager;
  readonly version: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /** Flags and their values, for `/api/v1/status/flags`. */
  readonly flags: Readonly<Record<string, string>>;
  /** Path below which all is served; '' for the root. */
  readonly prefix: string;
  /** Own metrics, in the text format. */
  readonly metrics: () => string;
  /** Reads the configuration anew; undefined: not allowed. */
  readonly reload: (() => void) | undefined;
}

/** Answers Prometheus' HTTP API. */
export function createApiServer(options: ApiOptions): Server {
  const server = createServer((request, response) => {
    handle(options, request, response).catch((error: unknown) => {
      const failure =
        error instanceof ApiFailure
          ? error
          : new ApiFailure('internal', error instanceof Error ? error.message : String(error));
      if (response.headersSent) response.destroy();
      else
        json(request, response, failure.status, { status: 'error', errorType: failure.kind, error: failure.message });
    });
  });
  server.requestTimeout = 60_000;
  return server;
}

/** Starts listening; resolves with the port. */
export async function listen(server: Server, host: string, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return (server.address() as AddressInfo).port;
}

function send(response: ServerResponse, status: number, type: string, text: string): void {
  response.writeHead(status, { 'content-type': type, 'x-content-type-options': 'nosniff' });
  response.end(text);
}

function json(request: IncomingMessage, response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  const small = text.length < 1400 || !/\bgzip\b/.test(request.headers['accept-encoding'] ?? '');
  response.writeHead(status, {
    'content-type': 'application/json',
    'x-content-type-options': 'nosniff',
    ...(!small && { 'content-encoding': 'gzip' }),
  });
  response.end(small ? text : gzipSync(text));
}

/** The parameters of the query, and of a form in the body. */
async function parametersOf(request: IncomingMessage, url: URL): Promise<Parameters> {
  const search = new URLSearchParams(url.searchParams);
  if (request.method === 'POST' && request.headers['content-type']?.startsWith('application/x-www-form-urlencoded')) {
    const parts: Buffer[] = [];
    let length = 0;
    for await (const part of request as AsyncIterable<Buffer>) {
      length += part.length;
      if (length > MAX_FORM) throw new ApiFailure('bad_data', `the form is larger than ${MAX_FORM} bytes`);
      parts.push(part);
    }
    for (const [name, value] of new URLSearchParams(Buffer.concat(parts).toString('utf8'))) search.append(name, value);
  }
  return new Parameters(search);
}

async function handle(options: ApiOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = URL.parse(request.url ?? '/', 'http://store');
  if (!url) throw new ApiFailure('bad_data', 'the path of the request cannot be read');
  const { prefix, context, scrapes, version } = options;
  const path = url.pathname.startsWith(prefix) ? url.pathname.slice(prefix.length) || '/' : undefined;
  if (path === '/-/reload' || path === '/-/quit') return reload(options, request, response, path);
  if (
    request.method !== 'GET' &&
    request.method !== 'HEAD' &&
    request.method !== 'POST' &&
    request.method !== 'OPTIONS'
  )
    return send(response, 405, 'text/plain; charset=utf-8', 'only GET and POST are answered\n');
  switch (path) {
    case '/':
      return send(response, 200, 'text/html; charset=utf-8', statusPage(version, context.store, scrapes));
    case '/-/healthy':
      return send(response, 200, 'text/plain; charset=utf-8', 'The metrics store of istio-ts is healthy.\n');
    case '/-/ready':
      return send(response, 200, 'text/plain; charset=utf-8', 'The metrics store of istio-ts is ready.\n');
    case '/metrics':
      return send(response, 200, 'text/plain; version=0.0.4; charset=utf-8', options.metrics());
    default:
  }
  if (path === undefined || !path.startsWith('/api/v1/'))
    return send(
      response,
      404,
      'text/plain; charset=utf-8',
      'there is nothing at this path; the API is below /api/v1\n',
    );
  const data = answer(options, path.slice('/api/v1'.length), await parametersOf(request, url));
  json(request, response, 200, { status: 'success', data });
}

function reload({ reload: run }: ApiOptions, request: IncomingMessage, response: ServerResponse, path: string): void {
  const plain = (status: number, text: string): void => send(response, status, 'text/plain; charset=utf-8', text);
  if (request.method !== 'POST' && request.method !== 'PUT') plain(405, 'only POST and PUT are answered\n');
  else if (path === '/-/quit' || !run) plain(403, 'this is not enabled: --web.enable-lifecycle enables /-/reload\n');
  else
    try {
      run();
      plain(200, '');
    } catch (error) {
      plain(500, `the configuration stays as it was: ${(error as Error).message}\n`);
    }
}

function answer(options: ApiOptions, path: string, parameters: Parameters): unknown {
  const { context, scrapes } = options;
  const { store } = context;
  const label = /^\/label\/([^/]+)\/values$/.exec(path)?.[1];
  if (label !== undefined) return answerLabelValues(store, label, parameters);
  switch (path) {
    case '/query':
      return answerInstant(context, parameters);
    case '/query_range':
      return answerRange(context, parameters);
    case '/query_exemplars':
      // Exemplars are not kept.
      return [];
    case '/series':
      return answerSeries(store, parameters);
    case '/labels':
      return answerLabels(store, parameters);
    case '/metadata':
      return answerMetadata(scrapes, parameters);
    case '/targets':
      return answerTargets(scrapes, parameters);
    case '/scrape_pools':
      return { scrapePools: scrapes.config.scrapes.map(({ job }) => job) };
    case '/rules':
      return { groups: [] };
    case '/alerts':
      return { alerts: [] };
    case '/alertmanagers':
      return { activeAlertmanagers: [], droppedAlertmanagers: [] };
    default:
      return status(options, path);
  }
}

function status({ context, scrapes, version, startedAt, flags }: ApiOptions, path: string): unknown {
  const { store } = context;
  switch (path) {
    case '/status/config':
      return { yaml: scrapes.config.text };
    case '/status/flags':
      return flags;
    case '/status/buildinfo':
      return {
        version: PROMETHEUS_VERSION,
        revision: `istio-ts-${version}`,
        branch: 'istio-ts metrics-store',
        buildUser: '',
        buildDate: '',
        goVersion: `node ${process.version}`,
      };
    case '/status/runtimeinfo':
      return {
        startTime: new Date(startedAt).toISOString(),
        CWD: process.cwd(),
        reloadConfigSuccess: true,
        lastConfigTime: new Date(startedAt).toISOString(),
        corruptionCount: 0,
        goroutineCount: 1,
        GOMAXPROCS: 1,
        GOGC: '',
        GODEBUG: '',
        storageRetention: `${store.limits.retention / 1000}s`,
      };
    case '/status/tsdb': {
      const names = store.seriesPerValue(METRIC_NAME);
      const labels = store.labelNames();
      return {
        headStats: {
          numSeries: store.seriesCount,
          numLabelPairs: labels.reduce((sum, name) => sum + store.labelValues(name).length, 0),
          chunkCount: 0,
          minTime: store.oldest ?? 0,
          maxTime: store.newest ?? 0,
        },
        seriesCountByMetricName: names.slice(0, 10),
        labelValueCountByLabelName: labels
          .map((name) => ({ name, value: store.labelValues(name).length }))
          .sort((a, b) => b.value - a.value)
          .slice(0, 10),
        memoryInBytesByLabelName: [],
        seriesCountByLabelValuePair: [],
      };
    }
    case '/status/walreplay':
      return { min: 0, max: 0, current: 0, state: 'done' };
    default:
      throw new ApiFailure('not_found', `there is no /api/v1${path} in this store`);
  }
}
