import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import type { Logger } from '../log.ts';

/** A request with its body, read within the limits of its route. */
export interface HttpRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
  readonly remoteAddress: string;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string | Buffer;
}

/** Serves one route; an error it throws becomes status 500 without details for the client. */
export type HttpHandler = (request: HttpRequest) => Promise<HttpResponse> | HttpResponse;

/** A path or, with a slash at the end, everything under it. The longest match wins. */
export type HttpRoutes = Readonly<Record<string, HttpHandler>>;

export interface HttpServerOptions {
  readonly routes: HttpRoutes;
  readonly tls?: SecureContextOptions;
  /** Default 1 MiB. */
  readonly maxBodyBytes?: number;
  /** Of all requests that are arriving, default 64 MiB; what does not fit is told to come again (503). */
  readonly maxWaitingBytes?: number;
  /** How long a request may take to arrive, default 30 s. */
  readonly requestTimeoutMs?: number;
  readonly log: Logger;
}

export interface HttpServer {
  listen(options: { readonly host?: string; readonly port: number }): Promise<AddressInfo>;
  /** New connections use this certificate from now on; only with TLS. */
  setTls(options: SecureContextOptions): void;
  close(graceMs?: number): Promise<void>;
}

class BodyTooLarge extends Error {}
class Overloaded extends Error {}

const MAX_CONNECTIONS = 1000;
const DEFAULT_WAITING_BYTES = 64 * 1024 * 1024;

/** A small HTTP server by routes, with bounded bodies, headers and times. */
export function createHttpServer(options: HttpServerOptions): HttpServer {
  const settings: http.ServerOptions = {
    maxHeaderSize: 16 * 1024,
    requestTimeout: options.requestTimeoutMs ?? 30_000,
    headersTimeout: 10_000,
    keepAliveTimeout: 60_000,
  };
  const waiting = { bytes: 0, limit: options.maxWaitingBytes ?? DEFAULT_WAITING_BYTES };
  const listener = (request: http.IncomingMessage, response: http.ServerResponse): void => {
    void answer(request, options, waiting).then(
      ({ status, headers, body }) => {
        response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', ...headers });
        response.end(request.method === 'HEAD' ? undefined : body);
      },
      () => response.destroy(),
    );
  };
  const server =
    options.tls === undefined
      ? http.createServer(settings, listener)
      : https.createServer({ ...settings, minVersion: 'TLSv1.2', handshakeTimeout: 10_000, ...options.tls }, listener);
  server.maxConnections = MAX_CONNECTIONS;
  server.on('clientError', (_, socket) => socket.destroy());
  server.on('tlsClientError', (_, socket) => socket.destroy());
  return {
    listen: ({ host, port }) =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen({ port, ...(host === undefined || host === '' ? {} : { host }) }, () => {
          server.off('error', reject);
          server.on('error', (error) => options.log.error(`HTTP server: ${error.message}`));
          const address = server.address();
          if (address === null || typeof address === 'string') reject(new Error('not listening on a port'));
          else resolve(address);
        });
      }),
    setTls(tls) {
      if (server instanceof https.Server) server.setSecureContext(tls);
    },
    async close(graceMs = 1000) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const cut = setTimeout(() => server.closeAllConnections(), graceMs);
      await closed;
      clearTimeout(cut);
    },
  };
}

/** Bytes of bodies that are not complete, over all connections. */
interface Waiting {
  bytes: number;
  readonly limit: number;
}

async function answer(
  request: http.IncomingMessage,
  options: HttpServerOptions,
  waiting: Waiting,
): Promise<HttpResponse> {
  const url = URL.parse(request.url ?? '/', 'http://localhost');
  if (url === null) return { status: 400, body: 'malformed URL\n' };
  const handler = findRoute(options.routes, url.pathname);
  if (handler === undefined) return { status: 404, body: '404 page not found\n' };
  try {
    const body = await readBody(request, options.maxBodyBytes ?? 1024 * 1024, waiting);
    return await handler({
      method: request.method ?? 'GET',
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      body,
      remoteAddress: request.socket.remoteAddress ?? '',
    });
  } catch (error) {
    if (error instanceof BodyTooLarge)
      return { status: 413, headers: { connection: 'close' }, body: `${error.message}\n` };
    if (error instanceof Overloaded)
      return { status: 503, headers: { connection: 'close', 'retry-after': '1' }, body: `${error.message}\n` };
    if (request.destroyed && !request.complete) throw error;
    options.log.error(`${request.method} ${url.pathname}: ${error instanceof Error ? error.stack : error}`);
    return { status: 500, body: 'internal error\n' };
  }
}

function findRoute(routes: HttpRoutes, path: string): HttpHandler | undefined {
  if (Object.hasOwn(routes, path)) return routes[path];
  let best = '';
  for (const route of Object.keys(routes))
    if (route.endsWith('/') && path.startsWith(route) && route.length > best.length) best = route;
  return best === '' ? undefined : routes[best];
}

async function readBody(request: http.IncomingMessage, limit: number, waiting: Waiting): Promise<Buffer> {
  const refuse = (): BodyTooLarge => new BodyTooLarge(`the request body is larger than ${limit} bytes`);
  if (Number(request.headers['content-length'] ?? 0) > limit) throw refuse();
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of request) {
      const { length: bytes } = chunk as Buffer;
      length += bytes;
      waiting.bytes += bytes;
      if (length > limit) throw refuse();
      if (waiting.bytes > waiting.limit) throw new Overloaded('too many large requests at once');
      chunks.push(chunk as Buffer);
    }
    return Buffer.concat(chunks);
  } finally {
    waiting.bytes -= length;
  }
}

/** A JSON document as a response. */
export function jsonResponse(value: unknown, status = 200): HttpResponse {
  return { status, headers: { 'content-type': 'application/json' }, body: `${JSON.stringify(value, null, 2)}\n` };
}
