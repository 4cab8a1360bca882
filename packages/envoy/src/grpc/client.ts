import http2 from 'node:http2';
import { connect } from 'node:net';
import type { ConnectionOptions, SecureContextOptions } from 'node:tls';
import type { MessageParts } from './framing.ts';
import { decodeMessage, GrpcError, grpcError } from './status.ts';
import { MessageWriter, readMessages } from './transport.ts';

/** Where a server is and how to speak to it. */
export type GrpcTarget =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | {
      readonly kind: 'tls';
      readonly host: string;
      readonly port: number;
      /** Roots, the client's certificate when it has one, and how the server is verified when not by its name. */
      readonly tls: SecureContextOptions & Pick<ConnectionOptions, 'rejectUnauthorized' | 'checkServerIdentity'>;
      /** The name that the server's certificate must carry, when it is not `host`. */
      readonly serverName?: string;
    };

export interface CallOptions {
  /** Request headers, for example `authorization`. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** A call with streams in both directions. */
export interface ClientStream {
  /** Resolves when the transport took the message. Raises GrpcError. */
  write(message: MessageParts): Promise<void>;
  /** Says that no more messages follow. */
  end(): void;
  /** The server's messages; ends with status OK, raises GrpcError for any other. */
  messages(): AsyncGenerator<Buffer>;
  cancel(): void;
}

export interface GrpcChannelOptions {
  /** Default 64 MiB: configuration of a large mesh is large. */
  readonly maxReceiveBytes?: number;
  /** A ping after so long, which finds dead peers; default none. */
  readonly keepaliveMs?: number;
  readonly keepaliveTimeoutMs?: number;
  /** Default 10 s. */
  readonly connectTimeoutMs?: number;
}

/** A connection to one server, made at the first call and again after it was lost. */
export interface GrpcChannel {
  /** Raises GrpcError. */
  unary(path: string, request: Uint8Array, options?: CallOptions): Promise<Buffer>;
  stream(path: string, options?: CallOptions): Promise<ClientStream>;
  close(): void;
}

/** A gRPC client on Node's HTTP/2. Every error is a GrpcError; UNAVAILABLE when there is no connection. */
export function openGrpcChannel(target: GrpcTarget, options: GrpcChannelOptions = {}): GrpcChannel {
  let current: Promise<http2.ClientHttp2Session> | undefined;
  let closed = false;

  const session = (): Promise<http2.ClientHttp2Session> => {
    if (closed) return Promise.reject(new GrpcError('UNAVAILABLE', 'the channel is closed'));
    if (current !== undefined) return current;
    const opening = openSession(target, options, () => {
      if (current === opening) current = undefined;
    });
    current = opening;
    return opening;
  };

  const open = async (path: string, call: CallOptions): Promise<ClientStream> => {
    const connection = await session();
    const timeout = call.timeoutMs;
    let stream: http2.ClientHttp2Stream;
    try {
      stream = connection.request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
        'user-agent': 'istio-ts',
        'grpc-accept-encoding': 'identity,gzip',
        ...(timeout === undefined ? {} : { 'grpc-timeout': `${Math.min(99_999_999, Math.ceil(timeout))}m` }),
        ...call.metadata,
      });
    } catch (error) {
      throw new GrpcError('UNAVAILABLE', String(error));
    }
    return clientStream(stream, call, options.maxReceiveBytes ?? 64 * 1024 * 1024);
  };

  return {
    async unary(path, request, call = {}) {
      const stream = await open(path, call);
      // The server may answer before it has read everything; its status is what counts.
      stream.write(request).then(stream.end, () => {});
      let response: Buffer | undefined;
      for await (const message of stream.messages()) response = message;
      if (response === undefined) throw new GrpcError('INTERNAL', `${path}: no response message`);
      return response;
    },
    stream: (path, call = {}) => open(path, call),
    close() {
      closed = true;
      current?.then(
        (connection) => connection.destroy(),
        () => {},
      );
    },
  };
}

function openSession(
  target: GrpcTarget,
  options: GrpcChannelOptions,
  onEnd: () => void,
): Promise<http2.ClientHttp2Session> {
  return new Promise((resolve, reject) => {
    const session = startSession(target);
    const fail = (error: unknown): void => {
      session.destroy();
      onEnd();
      reject(
        new GrpcError('UNAVAILABLE', `${describeTarget(target)}: ${error instanceof Error ? error.message : error}`),
      );
    };
    const timer = setTimeout(() => fail('no connection in time'), options.connectTimeoutMs ?? 10_000);
    session.on('error', fail);
    session.once('close', onEnd);
    // The server wants no new calls here; the next one opens a new connection.
    session.once('goaway', () => {
      onEnd();
      session.close();
    });
    session.once('close', () => clearTimeout(timer));
    session.once('connect', () => {
      clearTimeout(timer);
      session.setLocalWindowSize(4 * 1024 * 1024);
      keepAlive(session, options);
      resolve(session);
    });
  });
}

function startSession(target: GrpcTarget): http2.ClientHttp2Session {
  const settings = { enablePush: false, initialWindowSize: 1024 * 1024 };
  switch (target.kind) {
    case 'unix':
      return http2.connect('http://localhost', { settings, createConnection: () => connect(target.path) });
    case 'tcp':
      return http2.connect(`http://${bracketed(target.host)}:${target.port}`, { settings });
    case 'tls':
      return http2.connect(`https://${bracketed(target.host)}:${target.port}`, {
        settings,
        ...target.tls,
        ...(target.serverName === undefined ? {} : { servername: target.serverName }),
      });
  }
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

function describeTarget(target: GrpcTarget): string {
  return target.kind === 'unix' ? target.path : `${bracketed(target.host)}:${target.port}`;
}

function keepAlive(session: http2.ClientHttp2Session, options: GrpcChannelOptions): void {
  if (options.keepaliveMs === undefined) return;
  const timer = setInterval(() => {
    const dead = setTimeout(() => session.destroy(), options.keepaliveTimeoutMs ?? 10_000);
    session.ping((error) => {
      if (error === null) clearTimeout(dead);
    });
  }, options.keepaliveMs);
  timer.unref();
  session.once('close', () => clearInterval(timer));
}

function clientStream(stream: http2.ClientHttp2Stream, call: CallOptions, limit: number): ClientStream {
  const writer = new MessageWriter(stream);
  let status: GrpcError | 'OK' | undefined;
  let headers: http2.IncomingHttpHeaders = {};
  const settle = (error: GrpcError | 'OK'): void => {
    status ??= error;
  };
  const readStatus = (from: http2.IncomingHttpHeaders): void => {
    const code = from['grpc-status'];
    if (code === undefined) return;
    const message = decodeMessage(from['grpc-message']?.toString() ?? '');
    settle(code === '0' ? 'OK' : grpcError(Number(code), message));
  };
  const responded = new Promise<void>((resolve) => {
    stream.once('response', (received) => {
      headers = received;
      readStatus(received);
      if (received[':status'] !== 200) settle(new GrpcError('UNAVAILABLE', `HTTP status ${received[':status']}`));
      resolve();
    });
    stream.once('close', () => resolve());
  });
  stream.on('trailers', (trailers) => {
    readStatus(trailers);
    // The call is over, whatever was still to be sent.
    if (!stream.writableEnded) stream.end();
  });
  stream.on('error', (error) => settle(new GrpcError('UNAVAILABLE', error.message)));

  const cancel = (reason: GrpcError): void => {
    settle(reason);
    stream.close(http2.constants.NGHTTP2_CANCEL);
  };
  const onAbort = (): void => cancel(new GrpcError('CANCELLED', 'the call was cancelled'));
  if (call.signal?.aborted) onAbort();
  call.signal?.addEventListener('abort', onAbort);
  const timer =
    call.timeoutMs === undefined
      ? undefined
      : setTimeout(() => cancel(new GrpcError('DEADLINE_EXCEEDED', 'the deadline has passed')), call.timeoutMs);
  stream.once('close', () => {
    clearTimeout(timer);
    call.signal?.removeEventListener('abort', onAbort);
  });

  return {
    write: async (message) => writer.write(message),
    end() {
      void Promise.resolve(writer.idle()).then(() => {
        if (!stream.destroyed) stream.end();
      });
    },
    async *messages() {
      await responded;
      try {
        yield* readMessages(stream, limit, headers['grpc-encoding']?.toString());
      } catch (error) {
        if (status === undefined) cancel(error instanceof GrpcError ? error : new GrpcError('INTERNAL', String(error)));
      }
      if (!stream.closed && status === undefined)
        await new Promise<void>((resolve) => {
          stream.once('trailers', () => resolve());
          stream.once('close', () => resolve());
        });
      status ??= new GrpcError('UNAVAILABLE', 'the connection was lost');
      if (status !== 'OK') throw status;
    },
    cancel: () => cancel(new GrpcError('CANCELLED', 'the call was cancelled')),
  };
}
