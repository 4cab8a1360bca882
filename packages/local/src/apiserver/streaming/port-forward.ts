import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { SpdyConnection, type SpdyStream } from './spdy.ts';
import { channelWriter, readMessage } from './web-socket-channels.ts';

/** Opens a connection to a port of the pod. */
export type DialPort = (port: number) => Promise<Duplex>;

interface Pair {
  data?: SpdyStream;
  error?: SpdyStream;
}

const MAX_PENDING = 256;

/**
 * Port forwarding over SPDY: for each connection the client opens two streams, `error` and `data`, that carry the same `requestID` and
 * the port of the pod.
 */
export function forwardOverSpdy(socket: Duplex, head: Buffer, dial: DialPort): void {
  const pairs = new Map<string, Pair>();
  const connection = new SpdyConnection(socket, head, (stream) => {
    const port = Number(stream.headers.get('port'));
    const type = stream.headers.get('streamtype');
    const id = stream.headers.get('requestid') ?? String(type === 'error' ? stream.id : stream.id - 2);
    if (
      !Number.isInteger(port) ||
      port < 1 ||
      port > 65_535 ||
      (type !== 'data' && type !== 'error') ||
      pairs.size > MAX_PENDING
    ) {
      connection.reset(stream.id);
      return;
    }
    const pair = pairs.get(id) ?? {};
    pair[type] = stream;
    pairs.set(id, pair);
    if (pair.data === undefined || pair.error === undefined) return;
    pairs.delete(id);
    void join(pair.data, pair.error, port, dial);
  });
}

async function join(data: SpdyStream, error: SpdyStream, port: number, dial: DialPort): Promise<void> {
  error.resume();
  let upstream: Duplex;
  try {
    upstream = await dial(port);
  } catch (problem) {
    error.end(`error forwarding port ${port} to pod: ${problem instanceof Error ? problem.message : String(problem)}`);
    data.end();
    data.resume();
    return;
  }
  upstream.on('error', () => data.end());
  data.on('close', () => upstream.destroy());
  data.on('error', () => upstream.destroy());
  upstream.pipe(data);
  data.pipe(upstream);
  upstream.once('close', () => {
    if (!data.writableEnded) data.end();
    if (!error.writableEnded) error.end();
  });
}

/**
 * The older form over a WebSocket: the ports stand in the query, the n-th of them has channel 2n for data and 2n+1 for errors, and both
 * start with the port as two bytes, little end first.
 */
export function forwardOverWebSocket(
  socket: WebSocket,
  ports: readonly number[],
  base64: boolean,
  dial: DialPort,
): void {
  const upstreams = new Map<number, Duplex>();
  const waiting = new Map<number, Buffer[]>();
  socket.on('error', () => {});
  socket.on('message', (message: Buffer) => {
    const read = readMessage(message, base64);
    if (read === undefined || read.channel % 2 === 1) return;
    const upstream = upstreams.get(read.channel);
    if (upstream === undefined) waiting.get(read.channel)?.push(read.content);
    else if (!upstream.write(read.content)) {
      socket.pause();
      upstream.once('drain', () => socket.resume());
    }
  });
  socket.once('close', () => {
    for (const upstream of upstreams.values()) upstream.destroy();
  });
  ports.forEach((port, index) => {
    const number = Buffer.alloc(2);
    number.writeUInt16LE(port);
    const data = channelWriter(socket, index * 2, base64);
    const errors = channelWriter(socket, index * 2 + 1, base64);
    data.write(number);
    errors.write(number);
    waiting.set(index * 2, []);
    dial(port).then(
      (upstream) => {
        upstreams.set(index * 2, upstream);
        for (const chunk of waiting.get(index * 2) ?? []) upstream.write(chunk);
        waiting.delete(index * 2);
        upstream.on('error', (error) => errors.write(Buffer.from(error.message)));
        upstream.pipe(data);
        upstream.once('close', () => {
          if (ports.length === 1) socket.close(1000);
        });
      },
      (error: unknown) => {
        errors.write(
          Buffer.from(
            `error forwarding port ${port} to pod: ${error instanceof Error ? error.message : String(error)}`,
          ),
        );
        waiting.delete(index * 2);
      },
    );
  });
}
