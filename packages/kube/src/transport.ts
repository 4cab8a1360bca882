import type * as http from 'node:http';
import type * as https from 'node:https';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { KubeApiError } from './client.ts';
import { createIdentitySource, type IdentitySource } from './credentials.ts';
import type { KubeConfig } from './kubeconfig.ts';

// Loaded when a client is made, and not by `import`, which would load Node's WebSocket and fetch with them: together a third of the start of istioctl, and
// 10 MB of every process.
const nodeHttp = () => process.getBuiltinModule('node:http');
const nodeHttps = () => process.getBuiltinModule('node:https');

/** Where and as whom to connect: an API server by network, or one that listens on a Unix socket of this machine. */
export type Target = KubeConfig | { readonly socketPath: string };

export interface TransportOptions {
  readonly userAgent: string;
  /** Time a request may take until its answer is complete, in milliseconds; streams are exempt. */
  readonly timeoutMs: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly now: () => number;
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
}

export interface HttpRequest {
  readonly method: string;
  /** Path with query, below the server's address. */
  readonly path: string;
  readonly body?: string | Uint8Array;
  readonly contentType?: string;
  readonly accept?: string;
  readonly signal?: AbortSignal;
  /** No overall deadline; the answer is a stream that may last for ever. */
  readonly streaming?: boolean;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  /** Decompressed. */
  readonly body: Readable;
}

/** Answers larger than this are refused, in bytes; a page of 500 of the largest objects is far below. */
export const maxResponse = 512 << 20;
const maxErrorBody = 1 << 20;
const maxAttempts = 6;
const idempotent = new Set(['GET', 'HEAD', 'PUT', 'DELETE']);

/** HTTP to one API server: connections, authentication, deadlines, retries, errors. */
export interface Transport {
  /** Address for messages. */
  readonly address: string;
  readonly server: URL;
  /** Throws `KubeApiError` for a status from 400 on. */
  send(request: HttpRequest): Promise<HttpResponse>;
  /** As `send`, and reads the whole answer. */
  text(request: HttpRequest): Promise<{ readonly text: string; readonly headers: http.IncomingHttpHeaders }>;
  /** What a WebSocket needs to connect the same way. */
  connectOptions(): Promise<{
    readonly headers: Readonly<Record<string, string | string[]>>;
    readonly tls: https.AgentOptions;
    readonly socketPath?: string;
  }>;
  /** Closes idle connections; open streams end when their owners close them. */
  close(): void;
}

export function createTransport(target: Target, options: TransportOptions): Transport {
  const overSocket = 'socketPath' in target;
  const server = new URL(overSocket ? 'http://localhost' : target.server);
  const address = overSocket ? target.socketPath : target.server;
  const secure = server.protocol === 'https:';
  const identity: IdentitySource = overSocket
    ? { current: async () => ({ headers: {} }), forget: () => {} }
    : createIdentitySource(target, options.env, options.now);
  const tls: https.AgentOptions = overSocket
    ? {}
    : {
        rejectUnauthorized: !target.tls.insecureSkipVerify,
        ...(target.tls.ca !== undefined && { ca: target.tls.ca }),
        ...(target.tls.cert !== undefined && { cert: target.tls.cert }),
        ...(target.tls.key !== undefined && { key: target.tls.key }),
        ...(target.tls.serverName !== undefined && { servername: target.tls.serverName }),
      };
  const agentOptions = { keepAlive: true, keepAliveMsecs: 30_000, maxFreeSockets: 4 };
  const agent = secure ? new (nodeHttps().Agent)({ ...agentOptions, ...tls }) : new (nodeHttp().Agent)(agentOptions);

  const once = async (request: HttpRequest): Promise<HttpResponse> => {
    const { headers, cert, key } = await identity.current();
    const { promise, resolve, reject } = Promise.withResolvers<HttpResponse>();
    const requestOptions: https.RequestOptions = {
      method: request.method,
      agent,
      ...(overSocket
        ? { socketPath: target.socketPath }
        : { host: server.hostname.replace(/^\[|\]$/g, ''), port: server.port || (secure ? 443 : 80) }),
      path: server.pathname.replace(/\/$/, '') + request.path,
      headers: {
        Host: server.host,
        Accept: request.accept ?? 'application/json',
        'User-Agent': options.userAgent,
        ...(!request.streaming && { 'Accept-Encoding': 'gzip' }),
        ...(request.body !== undefined && {
          'Content-Type': request.contentType ?? 'application/json',
          'Content-Length': String(Buffer.byteLength(request.body)),
        }),
        ...headers,
      },
      ...(secure && { ...tls, ...(cert !== undefined && { cert }), ...(key !== undefined && { key }) }),
      ...(request.signal && { signal: request.signal }),
    };
    const outgoing = secure ? nodeHttps().request(requestOptions) : nodeHttp().request(requestOptions);
    const timer = setTimeout(
      () => outgoing.destroy(new Error(`no answer within ${options.timeoutMs / 1000} s`)),
      options.timeoutMs,
    );
    outgoing.on('response', (response) => {
      // A stream has answered in time; anything else has to be complete in time.
      if (request.streaming) clearTimeout(timer);
      else response.once('close', () => clearTimeout(timer));
      let body: Readable = response;
      if (response.headers['content-encoding'] === 'gzip') {
        const gunzip = createGunzip();
        response.once('error', (error) => gunzip.destroy(error));
        response.once('aborted', () => gunzip.destroy(new Error('connection closed in the middle of the answer')));
        body = response.pipe(gunzip);
      }
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
    });
    outgoing.on('error', (error) => {
      clearTimeout(timer);
      reject(new ConnectionError(request, address, error, outgoing.reusedSocket));
    });
    outgoing.end(request.body);
    return promise;
  };

  const send = async (request: HttpRequest): Promise<HttpResponse> => {
    let refreshed = false;
    for (let attempt = 1; ; attempt++) {
      let response: HttpResponse;
      try {
        response = await once(request);
      } catch (error) {
        // A kept connection that the server closed at this moment: once more on a new one.
        if (error instanceof ConnectionError && error.reused && idempotent.has(request.method) && attempt < 3) continue;
        throw error;
      }
      if (response.status < 400) return response;
      const failure = await readFailure(response, request, address);
      if (response.status === 401 && !refreshed) {
        refreshed = true;
        identity.forget();
        continue;
      }
      // 429 means "not handled, come again"; Kubernetes says when (API Priority and Fairness).
      const wait = Number(response.headers['retry-after']);
      if (response.status === 429 && Number.isFinite(wait) && attempt < maxAttempts) {
        await options.sleep(Math.min(Math.max(wait, 0.1), 10) * 1000, request.signal);
        continue;
      }
      throw failure;
    }
  };

  return {
    address,
    server,
    send,
    text: async (request) => {
      const response = await send(request);
      try {
        return { text: await readAll(response.body, maxResponse), headers: response.headers };
      } catch (error) {
        throw new ConnectionError(request, address, error instanceof Error ? error : new Error(String(error)), false);
      }
    },
    connectOptions: async () => {
      const { headers, cert, key } = await identity.current();
      return {
        headers: { 'User-Agent': options.userAgent, ...headers },
        tls: { ...tls, ...(cert !== undefined && { cert }), ...(key !== undefined && { key }) },
        ...(overSocket && { socketPath: target.socketPath }),
      };
    },
    close: () => agent.destroy(),
  };
}

/** The server was not reached, or the connection broke before an answer. */
export class ConnectionError extends Error {
  readonly reused: boolean;
  readonly code: string | undefined;
  constructor(
    request: { readonly method: string; readonly path: string },
    address: string,
    cause: Error,
    reused: boolean,
  ) {
    super(`Cannot reach the Kubernetes API server at ${address} (${request.method} ${request.path}): ${plain(cause)}`);
    this.name = 'ConnectionError';
    this.cause = cause;
    this.code = (cause as NodeJS.ErrnoException).code;
    this.reused = reused;
  }
}

function plain(error: Error): string {
  // Node tries several addresses and then reports an AggregateError with an empty message.
  if (error instanceof AggregateError && error.errors.length > 0) {
    return error.errors.map((e) => (e instanceof Error ? e.message : String(e))).join('; ');
  }
  return error.message || (error as NodeJS.ErrnoException).code || error.name;
}

/** Reads an error answer into a `KubeApiError`: a `Status` object where the server sent one, else its first words. */
export async function readFailure(
  response: { readonly status: number; readonly body: Readable },
  request: { readonly method: string; readonly path: string },
  address: string,
): Promise<KubeApiError> {
  const text = await readAll(response.body, maxErrorBody).catch(() => '');
  return failureOf(response.status, text, `${request.method} ${address}${request.path}`);
}

/** The error for an answer with status 400 or more. */
export function failureOf(status: number, text: string, what: string): KubeApiError {
  try {
    const body = JSON.parse(text) as Readonly<Record<string, unknown>> | null;
    if (body && body.kind === 'Status') {
      const code = typeof body.code === 'number' ? body.code : status;
      const reason = typeof body.reason === 'string' && body.reason !== '' ? body.reason : reasonOf(code);
      const message = typeof body.message === 'string' && body.message !== '' ? body.message : `${what}: ${reason}`;
      return new KubeApiError(code, reason, message, body.details);
    }
  } catch {
    // Not JSON: a proxy's page or plain text.
  }
  const words = text.trim().slice(0, 300);
  return new KubeApiError(status, reasonOf(status), `${what}: status ${status}${words ? `: ${words}` : ''}`);
}

/** Kubernetes' reason for a status code, for answers that give none (apimachinery's StatusReason values). */
function reasonOf(status: number): string {
  switch (status) {
    case 400:
      return 'BadRequest';
    case 401:
      return 'Unauthorized';
    case 403:
      return 'Forbidden';
    case 404:
      return 'NotFound';
    case 405:
      return 'MethodNotAllowed';
    case 409:
      return 'Conflict';
    case 410:
      return 'Expired';
    case 415:
      return 'UnsupportedMediaType';
    case 422:
      return 'Invalid';
    case 429:
      return 'TooManyRequests';
    case 500:
      return 'InternalError';
    case 503:
      return 'ServiceUnavailable';
    case 504:
      return 'Timeout';
    default:
      return 'Unknown';
  }
}

/** Reads a stream to its end as text. Throws when it is longer than `limit` bytes. */
export async function readAll(stream: Readable, limit: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    const bytes = chunk as Buffer;
    size += bytes.length;
    if (size > limit) {
      stream.destroy();
      throw new Error(`The answer is larger than ${limit >> 20} MiB.`);
    }
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString('utf8');
}
