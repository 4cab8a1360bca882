import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttp2Server, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import { createServer, type Server, type Socket } from 'node:net';
import { TLSSocket, type TlsOptions, createSecureContext } from 'node:tls';

/** A request as an origin saw it, and how it came. */
export interface Arrival {
  readonly origin: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly http: '1' | '2';
  /** Number of the connection at this origin, from 1. */
  readonly connection: number;
  /** The PROXY protocol header before everything else: its version, and what it says the client's address is. */
  readonly proxyProtocol?: { readonly version: 1 | 2; readonly source: string };
  readonly tls?: {
    readonly sni: string | undefined;
    readonly alpn: string | undefined;
    readonly client: string | undefined;
  };
}

export interface Origin {
  readonly address: string;
  readonly port: number;
  readonly arrivals: Arrival[];
  /** Connections that were ever opened, and those that are open. */
  readonly connections: { opened: number; open: number };
  /** First bytes of connections that are neither HTTP nor TLS; they are answered with the origin's name and echoed. */
  readonly bytes: string[];
  /** Status of every answer from now on, until it is undefined. */
  status: number | undefined;
  /** Milliseconds that every answer takes from now on. */
  delay: number;
  /** HTTP/2 pings of its clients. */
  pings: number;
  close(): Promise<void>;
}

const PROXY_V2 = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

/** Takes a PROXY protocol header off the first bytes. */
function proxyHeader(
  data: Buffer,
): { readonly rest: Buffer; readonly header: NonNullable<Arrival['proxyProtocol']> } | undefined {
  if (data.subarray(0, 12).equals(PROXY_V2)) {
    const length = 16 + data.readUInt16BE(14);
    return { rest: data.subarray(length), header: { version: 2, source: [...data.subarray(16, 20)].join('.') } };
  }
  if (!data.subarray(0, 6).equals(Buffer.from('PROXY '))) return undefined;
  const end = data.indexOf('\r\n');
  return {
    rest: data.subarray(end + 2),
    header: { version: 1, source: data.subarray(0, end).toString().split(' ')[2] ?? '' },
  };
}

/**
 * A server that takes whatever a proxy sends it, and tells in its answers what that was: HTTP/1.1, HTTP/2, TLS around it (where it has a
 * certificate), a PROXY protocol header before it, or plain bytes. `/status/N` is answered with that status, `/delay/MS` late, CONNECT, and
 * a POST to a host `tunnel.*`, are answered with an echo of the bytes with the origin's name before them, CONNECT to `refused.*` with 403.
 */
export async function startOrigin(
  name: string,
  address: string,
  port: number,
  tls?: TlsOptions & { readonly cert: string; readonly key: string },
): Promise<Origin> {
  const origin: Omit<Origin, 'close'> = {
    address,
    port,
    arrivals: [],
    connections: { opened: 0, open: 0 },
    bytes: [],
    status: undefined,
    delay: 0,
    pings: 0,
  };
  const facts = new WeakMap<object, Pick<Arrival, 'connection' | 'proxyProtocol' | 'tls'>>();
  const answer =
    (http: '1' | '2') =>
    (request: IncomingMessage | Http2ServerRequest, response: ServerResponse | Http2ServerResponse): void => {
      const path = request.url ?? '';
      const socket = 'stream' in request ? (request.stream.session?.socket as object) : request.socket;
      const known = facts.get(http === '2' ? (sessions.get(request as Http2ServerRequest) ?? socket) : socket);
      const arrival: Arrival = {
        origin: name,
        method: request.method ?? '',
        path,
        headers: request.headers,
        http,
        connection: known?.connection ?? 0,
        ...(known?.proxyProtocol && { proxyProtocol: known.proxyProtocol }),
        ...(known?.tls && { tls: known.tls }),
      };
      origin.arrivals.push(arrival);
      const grpc = request.headers['content-type'] === 'application/grpc';
      const status = origin.status ?? Number(/\/status\/(\d+)/.exec(path)?.[1] ?? 200);
      const send = (): void => {
        (response as ServerResponse).writeHead(status, {
          'content-type': grpc ? 'application/grpc' : 'application/json',
          'x-origin': name,
          'x-note': 'of the origin',
        });
        (response as ServerResponse).end(JSON.stringify(arrival));
      };
      const delay = origin.delay || Number(/\/delay\/(\d+)/.exec(path)?.[1] ?? 0);
      if (request.headers.host?.startsWith('tunnel.')) {
        const echo = response as ServerResponse;
        echo.writeHead(200);
        echo.flushHeaders();
        (request as IncomingMessage).on('data', (data: Buffer) => echo.write(`${name}:${data.toString()}`));
        (request as IncomingMessage).on('end', () => echo.end());
        return;
      }
      request.resume();
      if (delay > 0) setTimeout(send, delay);
      else send();
    };
  const sessions = new WeakMap<Http2ServerRequest, object>();
  const http1 = createHttpServer(answer('1'));
  http1.on('connect', (request: IncomingMessage, socket: Socket) => {
    origin.arrivals.push({
      origin: name,
      method: 'CONNECT',
      path: request.url ?? '',
      headers: request.headers,
      http: '1',
      connection: facts.get(socket)?.connection ?? 0,
    });
    if (request.url?.startsWith('refused.')) {
      socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n');
      return;
    }
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    socket.on('data', (data: Buffer) => socket.write(`${name}:${data.toString()}`));
  });
  const http2 = createHttp2Server();
  http2.on('session', (session) => {
    const real = pending.shift();
    session.on('ping', () => {
      origin.pings++;
    });
    bySession.set(session, real);
  });
  const bySession = new WeakMap<object, object | undefined>();
  const pending: object[] = [];
  http2.on('request', (request, response) => {
    const session = request.stream.session;
    const real = session === undefined ? undefined : bySession.get(session);
    if (real !== undefined) sessions.set(request, real);
    answer('2')(request, response);
  });
  const sockets = new Set<Socket>();
  const dispatch = (socket: Socket, first: Buffer): void => {
    const text = first.toString('latin1');
    if (text.startsWith('PRI * HTTP/2')) {
      pending.push(socket);
      socket.unshift(first);
      // It reads from the handle itself, after what stands in the buffer: the stream must not flow.
      http2.emit('connection', socket);
      return;
    }
    if (/^[A-Z]+ \S+ HTTP\/1/.test(text)) {
      socket.unshift(first);
      http1.emit('connection', socket);
      socket.resume();
      return;
    }
    origin.bytes.push(text);
    const number = facts.get(socket)?.connection ?? 0;
    socket.write(`${name}#${number}:${text}`);
    socket.on('data', (more: Buffer) => socket.write(more));
    socket.resume();
  };
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    origin.connections.opened++;
    origin.connections.open++;
    const connection = origin.connections.opened;
    socket.on('close', () => {
      sockets.delete(socket);
      origin.connections.open--;
    });
    socket.on('error', () => socket.destroy());
    facts.set(socket, { connection });
    const start = (data: Buffer): void => {
      const found = proxyHeader(data);
      const first = found?.rest ?? data;
      if (found) facts.set(socket, { connection, proxyProtocol: found.header });
      if (found && first.length === 0) {
        socket.once('data', start);
        return;
      }
      if (first[0] !== 0x16 || tls === undefined) {
        socket.pause();
        dispatch(socket, first);
        return;
      }
      socket.pause();
      socket.unshift(first);
      let sni: string | undefined;
      const secure = new TLSSocket(socket, {
        isServer: true,
        ...tls,
        SNICallback: (servername, done) => {
          sni = servername;
          done(null, createSecureContext(tls));
        },
      });
      secure.on('error', () => secure.destroy());
      secure.once('secure', () => {
        const subject = secure.getPeerCertificate().subject;
        facts.set(secure, {
          connection,
          ...(found && { proxyProtocol: found.header }),
          tls: {
            sni,
            alpn: secure.alpnProtocol === false ? undefined : (secure.alpnProtocol ?? undefined),
            client: typeof subject?.CN === 'string' ? subject.CN : undefined,
          },
        });
        if (secure.alpnProtocol === 'h2') {
          pending.push(secure);
          http2.emit('connection', secure);
          return;
        }
        secure.once('data', (clear: Buffer) => {
          secure.pause();
          dispatch(secure, clear);
        });
      });
    };
    socket.once('data', start);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, address, resolve);
  });
  return Object.assign(origin, {
    close: () =>
      new Promise<void>((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  });
}
