import http2 from 'node:http2';
import type { AddressInfo, ListenOptions } from 'node:net';
import type { SecureContextOptions, TLSSocket } from 'node:tls';
import { type MessageParts, ReceiveBudget } from './framing.ts';
import { encodeMessage, GrpcError, GrpcStatus, parseTimeout } from './status.ts';
import { handleMessages, MessageWriter, readMessages } from './transport.ts';

/** The other end of a connection, as far as the transport knows it. */
export interface Peer {
  readonly remoteAddress: string;
  readonly encrypted: boolean;
  /** URI SANs of the client certificate that was verified against the server's roots; empty without one. */
  readonly uris: readonly string[];
  /** Why a certificate that was shown did not verify. */
  readonly certificateError: string | undefined;
}

/** One call on the server's side. */
export interface ServerCall {
  /** `/package.Service/Method`. */
  readonly path: string;
  /** Request headers, lower-case. */
  readonly metadata: Readonly<http2.IncomingHttpHeaders>;
  readonly peer: Peer;
  /** Aborts when the client goes away, the deadline passes or the server closes; its reason is a GrpcError. */
  readonly signal: AbortSignal;
  /** The messages of the client. Raises GrpcError. */
  messages(): AsyncGenerator<Buffer>;
  /** Instead of `messages`: calls back with each message, and reads no more while a promise is pending. Resolves when the client has ended. Raises GrpcError. */
  receive(handle: (message: Buffer) => Promise<void> | undefined): Promise<void>;
  /** Sends one message. Undefined where the transport took it at once, else resolves when it did, so a slow reader slows the writer. Raises GrpcError. */
  write(message: MessageParts): Promise<void> | undefined;
}

/** Answers one request with one response, both encoded. May throw GrpcError. */
export type UnaryHandler = (request: Buffer, call: ServerCall) => Promise<Uint8Array> | Uint8Array;
/** Serves a call with streams; the call ends with status OK when the promise resolves. May throw GrpcError. */
export type StreamHandler = (call: ServerCall) => Promise<void>;

export type MethodHandler =
  | { readonly kind: 'unary'; readonly handle: UnaryHandler }
  | { readonly kind: 'stream'; readonly handle: StreamHandler };

export interface GrpcServerOptions {
  /** By path: `/package.Service/Method`. */
  readonly methods: Readonly<Record<string, MethodHandler>>;
  /** Makes it a TLS server. Client certificates are asked for and verified, but optional: see `Peer`. */
  readonly tls?: SecureContextOptions;
  /** Default 4 MiB, as in other gRPC implementations. */
  readonly maxReceiveBytes?: number;
  /** Bytes of unfinished messages kept for one connection, whatever its number of streams; default twice `maxReceiveBytes`. */
  readonly maxConnectionBytes?: number;
  /** The same for all connections together; default 128 MiB. */
  readonly maxServerBytes?: number;
  /** Open streams per connection, default 100. */
  readonly maxStreams?: number;
  /** Connections at a time, default 10,000. */
  readonly maxConnections?: number;
  /** A ping after so long, default 30 s; 0 for none. */
  readonly keepaliveMs?: number;
  /** The connection ends when a ping is not answered in this time, default 10 s. */
  readonly keepaliveTimeoutMs?: number;
  /** A connection is asked to reconnect after this time (plus up to a tenth), so that replicas share the load; default never. */
  readonly maxConnectionAgeMs?: number;
  /** Errors that are no GrpcError: the client sees INTERNAL only. */
  readonly onError?: (error: unknown, path: string) => void;
}

export interface GrpcServer {
  /** Listens on TCP (`{ host, port }`) or a Unix socket (`{ path }`). Rejects when it cannot. */
  listen(options: ListenOptions): Promise<AddressInfo | string>;
  /** New connections use this certificate from now on. Only for TLS servers. */
  setTls(options: SecureContextOptions): void;
  /** Refuses new connections and ends the streams with UNAVAILABLE; connections that do not end in time are cut. */
  close(graceMs?: number): Promise<void>;
  readonly connections: number;
}

const DEFAULT_RECEIVE_BYTES = 4 * 1024 * 1024;
const DEFAULT_SERVER_BYTES = 128 * 1024 * 1024;

/** A gRPC server on Node's HTTP/2, in plain text or TLS. */
export function createGrpcServer(options: GrpcServerOptions): GrpcServer {
  const sessions = new Set<http2.ServerHttp2Session>();
  const serverBudget = new ReceiveBudget(options.maxServerBytes ?? DEFAULT_SERVER_BYTES);
  const budgets = new WeakMap<http2.Http2Session, ReceiveBudget>();
  const connectionBytes = options.maxConnectionBytes ?? 2 * (options.maxReceiveBytes ?? DEFAULT_RECEIVE_BYTES);
  const peers = new WeakMap<http2.Http2Session, Peer>();
  const closing = new AbortController();
  const settings: http2.ServerOptions = {
    settings: {
      maxConcurrentStreams: options.maxStreams ?? 100,
      maxHeaderListSize: 32 * 1024,
      initialWindowSize: 256 * 1024,
      enablePush: false,
    },
    maxSessionMemory: 32,
    unknownProtocolTimeout: 5000,
  };
  const server =
    options.tls === undefined
      ? http2.createServer(settings)
      : http2.createSecureServer({
          ...settings,
          ...options.tls,
          minVersion: options.tls.minVersion ?? 'TLSv1.2',
          requestCert: true,
          // Who shows no certificate may authenticate otherwise; `peerOf` says whether one was verified.
          rejectUnauthorized: false,
          ALPNProtocols: ['h2'],
          allowHTTP1: false,
          handshakeTimeout: 10_000,
        });
  server.maxConnections = options.maxConnections ?? 10_000;

  const onSession = (session: http2.ServerHttp2Session): void => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
    session.on('error', () => session.destroy());
    session.setLocalWindowSize(1024 * 1024);
    keepAlive(session, options);
    limitAge(session, options.maxConnectionAgeMs);
  };
  const onStream = (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders): void => {
    stream.on('error', () => {});
    const { session } = stream;
    if (session === undefined || session.destroyed) return;
    let peer = peers.get(session);
    if (peer === undefined) {
      peer = peerOf(session);
      peers.set(session, peer);
    }
    const budget = budgets.get(session) ?? new ReceiveBudget(connectionBytes, serverBudget);
    budgets.set(session, budget);
    serve(stream, headers, peer, options, closing.signal, budget).then(
      (status) => {
        // A certificate is shown once for a connection. A client that has another one by now has to come on a new connection to show it, and those that pool
        // connections do so only when this one ends.
        if (status?.status !== 'UNAUTHENTICATED' || peer?.certificateError === undefined || session.destroyed) return;
        session.goaway(0);
        session.close();
      },
      (error: unknown) => {
        // A stream that its client reset at the same moment takes no answer.
        stream.destroy();
        options.onError?.(error, headers[':path'] ?? '');
      },
    );
  };
  server.on('session', onSession);
  server.on('stream', onStream);
  server.on('sessionError', () => {});
  server.on('unknownProtocol', (socket: TLSSocket) => {
    // Envoy speaks HTTP/2 without negotiating it when its TLS context names no protocol.
    const session = http2.performServerHandshake(socket, settings);
    onSession(session);
    session.on('stream', onStream);
  });

  return {
    listen(listen) {
      return new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(listen, () => {
          server.off('error', reject);
          server.on('error', (error) => options.onError?.(error, ''));
          resolve(server.address() ?? '');
        });
      });
    },
    setTls(tls) {
      if ('setSecureContext' in server) server.setSecureContext(tls);
    },
    async close(graceMs = 1000) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      closing.abort(new GrpcError('UNAVAILABLE', 'the server is shutting down'));
      for (const session of sessions) {
        if (session.destroyed) continue;
        session.goaway(0);
        session.close();
      }
      const cut = setTimeout(() => {
        for (const session of sessions) session.destroy();
      }, graceMs);
      await closed;
      clearTimeout(cut);
    },
    get connections() {
      return sessions.size;
    },
  };
}

function peerOf(session: http2.Http2Session): Peer {
  const socket = session.socket as Partial<TLSSocket> & { remoteAddress?: string };
  const remoteAddress = socket.remoteAddress ?? '';
  if (socket.encrypted !== true) return { remoteAddress, encrypted: false, uris: [], certificateError: undefined };
  const certificate = socket.getPeerX509Certificate?.();
  if (certificate === undefined) return { remoteAddress, encrypted: true, uris: [], certificateError: undefined };
  if (socket.authorized !== true)
    return { remoteAddress, encrypted: true, uris: [], certificateError: String(socket.authorizationError) };
  return { remoteAddress, encrypted: true, uris: uriNames(certificate.subjectAltName), certificateError: undefined };
}

/** The URIs of a subjectAltName as Node prints it. A name with quotes (made to confuse) is not taken apart: none counts. */
export function uriNames(subjectAltName: string | undefined): string[] {
  if (subjectAltName === undefined || subjectAltName.includes('"')) return [];
  return subjectAltName.split(', ').flatMap((name) => (name.startsWith('URI:') ? [name.slice(4)] : []));
}

function keepAlive(session: http2.Http2Session, options: GrpcServerOptions): void {
  const every = options.keepaliveMs ?? 30_000;
  if (every <= 0) return;
  const timer = setInterval(() => {
    if (session.destroyed) return;
    const dead = setTimeout(() => session.destroy(), options.keepaliveTimeoutMs ?? 10_000);
    dead.unref();
    // A full queue of unanswered pings is refused with an error; the timer above decides then.
    session.ping((error) => {
      if (error === null) clearTimeout(dead);
    });
  }, every);
  timer.unref();
  session.once('close', () => clearInterval(timer));
}

function limitAge(session: http2.Http2Session, ageMs: number | undefined): void {
  if (ageMs === undefined) return;
  const timer = setTimeout(
    () => {
      session.goaway(0);
      session.close();
    },
    ageMs * (1 + Math.random() / 10),
  );
  timer.unref();
  session.once('close', () => clearTimeout(timer));
}

/** Serves one call; resolves with the status that it ended with where that is not OK. */
async function serve(
  stream: http2.ServerHttp2Stream,
  headers: http2.IncomingHttpHeaders,
  peer: Peer,
  options: GrpcServerOptions,
  closing: AbortSignal,
  budget: ReceiveBudget,
): Promise<GrpcError | undefined> {
  const path = headers[':path'] ?? '';
  if (headers[':method'] !== 'POST' || !(headers['content-type'] ?? '').startsWith('application/grpc')) {
    stream.respond({ ':status': 415 }, { endStream: true });
    return undefined;
  }
  const method = Object.hasOwn(options.methods, path) ? options.methods[path] : undefined;
  if (method === undefined) {
    const unknown = new GrpcError('UNIMPLEMENTED', `there is no method ${path}`);
    refuse(stream, unknown);
    return unknown;
  }
  const abort = new AbortController();
  const onClose = (): void => abort.abort(new GrpcError('CANCELLED', 'the client went away'));
  const onClosing = (): void => abort.abort(closing.reason);
  stream.once('close', onClose);
  if (closing.aborted) onClosing();
  closing.addEventListener('abort', onClosing);
  const timeout = parseTimeout(headers['grpc-timeout']?.toString());
  const timer =
    timeout === undefined
      ? undefined
      : setTimeout(
          () => abort.abort(new GrpcError('DEADLINE_EXCEEDED', 'the deadline has passed')),
          Math.min(timeout, 0x7fffffff),
        );

  const writer = new MessageWriter(stream);
  let finalStatus: GrpcError | undefined;
  const respond = (): void => {
    if (stream.headersSent || stream.destroyed || stream.closed) return;
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc', 'grpc-accept-encoding': 'identity,gzip' },
      { waitForTrailers: true },
    );
  };
  stream.once('wantTrailers', () => {
    if (!stream.destroyed && !stream.closed) stream.sendTrailers(statusHeaders(finalStatus));
  });
  const call: ServerCall = {
    path,
    metadata: headers,
    peer,
    signal: abort.signal,
    messages: () =>
      readMessages(
        stream,
        options.maxReceiveBytes ?? DEFAULT_RECEIVE_BYTES,
        headers['grpc-encoding']?.toString(),
        budget,
      ),
    receive: (handle) =>
      handleMessages(
        stream,
        options.maxReceiveBytes ?? DEFAULT_RECEIVE_BYTES,
        headers['grpc-encoding']?.toString(),
        budget,
        handle,
      ),
    write(message) {
      respond();
      return writer.write(message);
    },
  };

  try {
    const work = method.kind === 'unary' ? serveUnary(call, method.handle) : serveStream(call, respond, method.handle);
    await untilAborted(work, abort.signal);
    await writer.idle();
    respond();
  } catch (error) {
    if (error instanceof GrpcError) finalStatus = error;
    else {
      options.onError?.(error, path);
      finalStatus = new GrpcError('INTERNAL', 'an internal error happened');
    }
  } finally {
    clearTimeout(timer);
    closing.removeEventListener('abort', onClosing);
    stream.off('close', onClose);
    // Whatever the handler still does for this call is to stop.
    if (!abort.signal.aborted) abort.abort(new GrpcError('CANCELLED', 'the call has ended'));
  }
  if (stream.destroyed || stream.closed) return finalStatus;
  if (!stream.headersSent) {
    refuse(stream, finalStatus ?? new GrpcError('INTERNAL', 'no response'));
    return finalStatus;
  }
  stream.end();
  finish(stream);
  return finalStatus;
}

/**
 * After the status: what the client still sends is of no interest. Clients end their side when they see the status; one
 * that does not is cut a moment later (at once would overtake the status).
 */
function finish(stream: http2.ServerHttp2Stream): void {
  stream.resume();
  const timer = setTimeout(() => stream.close(http2.constants.NGHTTP2_NO_ERROR), 1000);
  timer.unref();
  stream.once('close', () => clearTimeout(timer));
}

async function serveUnary(call: ServerCall, handle: UnaryHandler): Promise<void> {
  let request: Buffer | undefined;
  for await (const message of call.messages()) {
    if (request !== undefined) throw new GrpcError('INVALID_ARGUMENT', 'more than one request message');
    request = message;
  }
  if (request === undefined) throw new GrpcError('INVALID_ARGUMENT', 'no request message');
  await call.write(await handle(request, call));
}

async function serveStream(call: ServerCall, respond: () => void, handle: StreamHandler): Promise<void> {
  // Clients wait for the response headers before they call the stream open.
  respond();
  await handle(call);
}

function untilAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

function statusHeaders(error: GrpcError | undefined): http2.OutgoingHttpHeaders {
  if (error === undefined) return { 'grpc-status': String(GrpcStatus.OK) };
  return { 'grpc-status': String(error.code), 'grpc-message': encodeMessage(error.message) };
}

/** A response without messages: the status stands in the headers. */
function refuse(stream: http2.ServerHttp2Stream, error: GrpcError): void {
  if (stream.destroyed || stream.closed || stream.headersSent) return;
  stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...statusHeaders(error) }, { endStream: true });
  finish(stream);
}
