import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { type Answer, json, text } from './answer.ts';
import { receivePost } from './http-receivers.ts';
import { answerJaeger } from './jaeger-api.ts';
import { storePage } from './page.ts';
import type { Span } from './span.ts';
import type { TraceStore } from './store.ts';
import { answerZipkin } from './zipkin-api.ts';

const unpack = promisify(gunzip);

export interface HandlerOptions {
  readonly store: TraceStore;
  readonly receive: (spans: readonly Span[]) => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly version: string;
  /** Where Jaeger's pages and API stand, without a slash at the end: `/jaeger`. They are also at the root. */
  readonly basePath: string;
  readonly maxBodyBytes: number;
}

/** A body that is not taken. */
export class BodyError extends Error {
  readonly status: number;
  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

/** The body of a request, unpacked. Rejects with BodyError. */
export async function bodyOf(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw new BodyError(`the body has more than ${maxBytes} bytes`, 413);
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks);
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding === 'identity') return body;
  if (encoding !== 'gzip') throw new BodyError(`the encoding ${encoding} is not understood: send gzip or none`, 415);
  try {
    return await unpack(body, { maxOutputLength: maxBytes });
  } catch {
    throw new BodyError(`the body is no gzip, or has more than ${maxBytes} bytes unpacked`, 400);
  }
}

function metricsText(store: TraceStore): string {
  const { traces, spans, bytes, received, dropped, evicted } = store.counts;
  const one = (name: string, type: 'gauge' | 'counter', help: string, value: number) =>
    `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name} ${value}\n`;
  return [
    one('trace_store_traces', 'gauge', 'Traces that are kept.', traces),
    one('trace_store_spans', 'gauge', 'Spans that are kept.', spans),
    one('trace_store_bytes', 'gauge', 'Estimated memory of the spans.', bytes),
    one('trace_store_received_spans_total', 'counter', 'Spans that were received.', received),
    one('trace_store_dropped_spans_total', 'counter', 'Spans of traces that had too many.', dropped),
    one('trace_store_evicted_traces_total', 'counter', 'Traces that went for newer ones.', evicted),
  ].join('');
}

function read(options: HandlerOptions, url: URL): Answer | undefined {
  const { store, now, version, basePath } = options;
  const at = (base: string): string | undefined =>
    url.pathname === base ? '/' : url.pathname.startsWith(`${base}/`) ? url.pathname.slice(base.length) : undefined;
  const path = at(basePath === '' ? '/jaeger' : basePath) ?? at('/jaeger') ?? at('/zipkin') ?? url.pathname;
  const query = url.searchParams;
  if (path.startsWith('/api/v2/')) return answerZipkin(store, path, query, now());
  if (path.startsWith('/api/')) return answerJaeger(store, path, query, now());
  switch (path) {
    case '/':
    case '/search':
    case '/dependencies':
    case '/dependency':
      return {
        status: 200,
        type: 'text/html; charset=utf-8',
        body: storePage(version, store.services(), store.counts),
      };
    // Jaeger's, Zipkin's and Kubernetes' probes.
    case '/health':
      return json({ status: 'UP', zipkin: { status: 'UP' } });
    case '/status':
    case '/healthz':
      return json({ status: 'StatusOK' });
    case '/info':
      return json({ name: 'istio-ts trace-store', version });
    // Zipkin's own place for it.
    case '/prometheus':
    case '/metrics':
      return text(metricsText(store));
    default:
      return undefined;
  }
}

function send(response: ServerResponse, status: number, contentType: string, body: string | Buffer): void {
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(body),
    'x-content-type-options': 'nosniff',
  });
  response.end(body);
}

async function answer(options: HandlerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://store');
  if (request.method === 'POST' || request.method === 'PUT') {
    const body = await bodyOf(request, options.maxBodyBytes);
    const contentType = (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
    const received = receivePost({ path: url.pathname, contentType, body }, options.receive);
    if (received !== undefined) return send(response, received.status, received.contentType, received.body);
    return send(response, 404, 'text/plain; charset=utf-8', `no spans are received at ${url.pathname}\n`);
  }
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return send(response, 405, 'text/plain; charset=utf-8', 'GET asks, POST brings spans\n');
  const found = read(options, url);
  if (found === undefined)
    return send(response, 404, 'text/plain; charset=utf-8', `there is nothing at ${url.pathname}\n`);
  send(response, found.status, found.type, found.body);
}

/** Handles every HTTP request, whatever port it came by: spans of every protocol, queries, health, the page. */
export function createHttpHandler(options: HandlerOptions, onError: (error: unknown) => void) {
  return (request: IncomingMessage, response: ServerResponse): void => {
    answer(options, request, response).catch((error: unknown) => {
      if (response.headersSent) return void response.destroy();
      if (error instanceof BodyError) {
        response.setHeader('connection', 'close');
        return send(response, error.status, 'text/plain; charset=utf-8', `${error.message}\n`);
      }
      onError(error);
      send(response, 500, 'text/plain; charset=utf-8', 'the store has failed; its log says why\n');
    });
  };
}
