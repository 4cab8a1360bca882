import { connect, type Socket } from 'node:net';
import {
  contentOf,
  DEFAULT_WINDOW,
  decodeSettings,
  encodeFrame,
  encodeSettings,
  encodeWindowUpdate,
  Flag,
  FrameReader,
  FrameType,
  MAX_FRAME,
  PREFACE,
} from './frames.ts';
import { encodeHeaders } from './hpack.ts';

/** Identifier of the setting that says how much a stream may receive unasked (RFC 9113, 6.5.2). */
const INITIAL_WINDOW_SIZE = 4;
const STREAM = 1;
/** A table of names of a very large mesh has some megabytes. */
const MAX_MESSAGE = 64 << 20;

export interface StreamClientOptions {
  readonly socketFile: string;
  /** Method, `/package.Service/Method`. */
  readonly path: string;
  readonly onMessage: (message: Buffer) => void;
  /** The call is over, for whatever reason; nothing comes after it. */
  readonly onEnd: (reason: string) => void;
  readonly onOpen: () => void;
}

export interface StreamClient {
  send(message: Buffer): void;
  close(): void;
}

/** One gRPC call with streams in both directions, in plain text over a Unix socket: no TLS and no more of HTTP/2 than one call needs. */
export function openStream(options: StreamClientOptions): StreamClient {
  const socket: Socket = connect(options.socketFile);
  const frames = new FrameReader();
  let windows = { connection: DEFAULT_WINDOW, stream: DEFAULT_WINDOW, initial: DEFAULT_WINDOW };
  let outgoing: Buffer[] = [];
  let received: Buffer = Buffer.alloc(0);
  let over = false;

  const end = (reason: string): void => {
    if (over) return;
    over = true;
    socket.destroy();
    options.onEnd(reason);
  };
  const flush = (): void => {
    for (;;) {
      const [first, ...rest] = outgoing;
      if (first === undefined) return;
      const size = Math.min(first.length, MAX_FRAME, windows.connection, windows.stream);
      if (size <= 0) return;
      socket.write(encodeFrame(FrameType.data, 0, STREAM, first.subarray(0, size)));
      windows = { ...windows, connection: windows.connection - size, stream: windows.stream - size };
      outgoing = size === first.length ? rest : [first.subarray(size), ...rest];
    }
  };
  const take = (content: Buffer): void => {
    received = received.length === 0 ? Buffer.from(content) : Buffer.concat([received, content]);
    while (received.length >= 5) {
      const length = received.readUInt32BE(1);
      if (received[0] !== 0 || length > MAX_MESSAGE) {
        end(received[0] === 0 ? `a message of ${length} bytes` : 'a compressed message, which was not offered');
        return;
      }
      if (received.length < 5 + length) return;
      const message = received.subarray(5, 5 + length);
      received = received.subarray(5 + length);
      options.onMessage(message);
    }
  };

  socket.on('connect', () => {
    socket.write(PREFACE);
    socket.write(encodeSettings([]));
    socket.write(
      encodeFrame(
        FrameType.headers,
        Flag.endHeaders,
        STREAM,
        encodeHeaders([
          [':method', 'POST'],
          [':scheme', 'http'],
          [':path', options.path],
          [':authority', 'istiod'],
          ['content-type', 'application/grpc'],
          ['te', 'trailers'],
        ]),
      ),
    );
    options.onOpen();
    flush();
  });
  socket.on('data', (chunk: Buffer) => {
    try {
      for (const frame of frames.push(chunk)) {
        if (over) return;
        switch (frame.type) {
          case FrameType.settings: {
            if (frame.flags & Flag.ack) break;
            const initial = decodeSettings(frame.payload).get(INITIAL_WINDOW_SIZE) ?? windows.initial;
            windows = { ...windows, stream: windows.stream + initial - windows.initial, initial };
            socket.write(encodeFrame(FrameType.settings, Flag.ack, 0));
            flush();
            break;
          }
          case FrameType.ping:
            if (!(frame.flags & Flag.ack)) socket.write(encodeFrame(FrameType.ping, Flag.ack, 0, frame.payload));
            break;
          case FrameType.windowUpdate: {
            const more = frame.payload.readUInt32BE(0) & 0x7fffffff;
            if (frame.streamId === 0) windows = { ...windows, connection: windows.connection + more };
            else windows = { ...windows, stream: windows.stream + more };
            flush();
            break;
          }
          case FrameType.goaway:
            return end('the connection was ended by the other side');
          case FrameType.rstStream:
            return end('the call was reset');
          case FrameType.data:
            if (frame.payload.length > 0) {
              socket.write(encodeWindowUpdate(0, frame.payload.length));
              socket.write(encodeWindowUpdate(STREAM, frame.payload.length));
            }
            take(contentOf(frame));
            if (frame.flags & Flag.endStream) return end('the call was ended by the other side');
            break;
          case FrameType.headers:
            if (frame.flags & Flag.endStream) return end('the call was refused or has ended');
            break;
          default:
            break;
        }
      }
    } catch (error) {
      end(error instanceof Error ? error.message : String(error));
    }
  });
  socket.on('error', (error) => end(error.message));
  socket.on('close', () => end('the connection was lost'));
  return {
    send: (message) => {
      if (over) return;
      const head = Buffer.alloc(5);
      head.writeUInt32BE(message.length, 1);
      outgoing.push(Buffer.concat([head, message]));
      if (!socket.connecting) flush();
    },
    close: () => {
      over = true;
      socket.destroy();
    },
  };
}
