import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** An HTTP/2 client that obeys no rule: it writes frames as it is told. */
export interface RawHttp2 {
  readonly socket: Socket;
  frame(type: number, flags: number, stream: number, payload?: Uint8Array): boolean;
  /** Resolves when what was written has gone out or the connection has ended. */
  flushed(): Promise<void>;
  /** Whether the other end has closed the connection. */
  closed(): boolean;
  end(): void;
}

/** Resolves when a connection is open, or will never be. */
export function opened(socket: Socket, tls: boolean): Promise<unknown> {
  return new Promise((resolve) => {
    socket.once(tls ? 'secureConnect' : 'connect', resolve);
    socket.once('close', resolve);
  });
}

export const Frame = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, windowUpdate: 8, continuation: 9 } as const;
export const END_STREAM = 1;
export const END_HEADERS = 4;

export async function rawHttp2(port: number, tls: boolean): Promise<RawHttp2> {
  const socket = tls
    ? connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false, ALPNProtocols: ['h2'] })
    : connectTcp(port, '127.0.0.1');
  let closed = false;
  socket.on('error', () => undefined);
  socket.on('close', () => {
    closed = true;
  });
  socket.resume();
  await opened(socket, tls);
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  const frame: RawHttp2['frame'] = (type, flags, stream, payload = new Uint8Array()) => {
    if (closed || !socket.writable) return false;
    const head = Buffer.alloc(9);
    head.writeUIntBE(payload.length, 0, 3);
    head[3] = type;
    head[4] = flags;
    head.writeUInt32BE(stream, 5);
    return socket.write(Buffer.concat([head, payload]));
  };
  frame(Frame.settings, 0, 0);
  frame(Frame.settings, 1, 0);
  return {
    socket,
    frame,
    flushed: async () => {
      while (!closed && socket.writableLength > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    },
    closed: () => closed,
    end: () => socket.destroy(),
  };
}

/** A header as HPACK writes it without any table: name and value as they are. */
export function literalHeader(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.from([0]), text(name), text(value)]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([integer(bytes.length), bytes]);
}

/** An integer with a prefix of seven bits (RFC 7541, 5.1). */
function integer(value: number): Buffer {
  if (value < 127) return Buffer.from([value]);
  const bytes = [127];
  let rest = value - 127;
  while (rest >= 128) {
    bytes.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  return Buffer.from([...bytes, rest]);
}

/** Headers of a gRPC call. */
export function callHeaders(path: string, extra: readonly Buffer[] = []): Buffer {
  return Buffer.concat([
    literalHeader(':method', 'POST'),
    literalHeader(':scheme', 'http'),
    literalHeader(':path', path),
    literalHeader(':authority', 'istiod'),
    literalHeader('content-type', 'application/grpc'),
    literalHeader('te', 'trailers'),
    ...extra,
  ]);
}
