import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { GrpcError, encodeMessage } from '@istio-ts/envoy/grpc/status';
import {
  contentOf,
  decodeSettings,
  DEFAULT_WINDOW,
  encodeFrame,
  encodeSettings,
  encodeWindowUpdate,
  Flag,
  FrameReader,
  FrameType,
  Http2Error,
  MAX_FRAME,
  PREFACE,
} from './frames.ts';
import type { Frame } from './frames.ts';
import { encodeHeaders, HpackDecoder } from './hpack.ts';

/** What a handler can do with its call. */
export interface GrpcCall {
  /** Queues one message; sent as the peer's window admits. */
  send(message: Uint8Array): void;
  /** Ends the call: OK without an error. Nothing can be sent afterwards. */
  finish(error?: GrpcError): void;
}

/** One call on the server's side. `message` may throw GrpcError, which ends the call with it. */
export interface GrpcHandler {
  message(bytes: Buffer): void;
  /** The client sends no more. */
  end(): void;
  /** The call is over, whatever the reason. */
  close(): void;
}

export interface SmallGrpcServerOptions {
  /** Makes the handler of a call by its path; undefined for a path that is not known. */
  readonly open: (path: string, call: GrpcCall) => GrpcHandler | undefined;
  readonly onError: (error: unknown) => void;
}

export interface SmallGrpcServer {
  /** Listens on a Unix socket. */
  listen(path: string): Promise<void>;
  close(): Promise<void>;
}

const MAX_MESSAGE = 1 << 20;
const MAX_HEADER_BLOCK = 16 * 1024;
const MAX_STREAMS = 1000;
const MAX_CONNECTIONS = 100;
const SETTING = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
} as const;

/** A gRPC server for a trusted neighbour on a Unix socket; see frames.ts for why it is not Node's. */
export function createSmallGrpcServer(options: SmallGrpcServerOptions): SmallGrpcServer {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    const connection = new Connection(socket, options);
    socket.on('data', (chunk: Buffer) => connection.receive(chunk));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      sockets.delete(socket);
      connection.closed();
    });
  });
  server.maxConnections = MAX_CONNECTIONS;
  return {
    listen: (path) =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(path, () => {
          server.off('error', reject);
          server.on('error', options.onError);
          resolve();
        });
      }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** State of one call. */
interface Stream {
  readonly id: number;
  handler: GrpcHandler | undefined;
  /** Bytes of the message that is arriving. */
  received: Buffer;
  /** Framed messages not yet sent. */
  queue: Buffer[];
  window: number;
  headersSent: boolean;
  /** Set when the call is to end once the queue is empty. */
  ending: { readonly error: GrpcError | undefined } | undefined;
}

class Connection {
  readonly #socket: Socket;
  readonly #options: SmallGrpcServerOptions;
  readonly #frames = new FrameReader();
  readonly #headers = new HpackDecoder();
  readonly #streams = new Map<number, Stream>();
  #preface: Buffer | undefined = Buffer.alloc(0);
  #block:
    | { readonly streamId: number; readonly endStream: boolean; readonly parts: Buffer[]; size: number }
    | undefined;
  #lastStream = 0;
  #window = DEFAULT_WINDOW;
  #initialWindow = DEFAULT_WINDOW;
  #maxFrame = MAX_FRAME;

  constructor(socket: Socket, options: SmallGrpcServerOptions) {
    this.#socket = socket;
    this.#options = options;
    socket.write(encodeSettings([[SETTING.maxConcurrentStreams, MAX_STREAMS]]));
  }

  receive(chunk: Buffer): void {
    try {
      let bytes = chunk;
      if (this.#preface !== undefined) {
        bytes = Buffer.concat([this.#preface, chunk]);
        const seen = Math.min(bytes.length, PREFACE.length);
        if (!bytes.subarray(0, seen).equals(PREFACE.subarray(0, seen)))
          throw new Http2Error('the connection does not start as HTTP/2');
        if (seen < PREFACE.length) {
          this.#preface = bytes;
          return;
        }
        this.#preface = undefined;
        bytes = bytes.subarray(PREFACE.length);
      }
      for (const frame of this.#frames.push(bytes)) this.#take(frame);
    } catch (error) {
      this.#options.onError(error);
      this.#socket.end(encodeFrame(FrameType.goaway, 0, 0, Buffer.from([0, 0, 0, 0, 0, 0, 0, 1])));
      this.#socket.destroySoon();
    }
  }

  closed(): void {
    for (const stream of [...this.#streams.values()]) this.#drop(stream);
  }

  #take(frame: Frame): void {
    if (
      this.#block !== undefined &&
      (frame.type !== FrameType.continuation || frame.streamId !== this.#block.streamId)
    ) {
      throw new Http2Error('headers are not continued');
    }
    switch (frame.type) {
      case FrameType.headers:
        this.#block = { streamId: frame.streamId, endStream: (frame.flags & Flag.endStream) !== 0, parts: [], size: 0 };
        this.#addHeaders(contentOf(frame), frame.flags);
        return;
      case FrameType.continuation:
        if (this.#block === undefined) throw new Http2Error('a continuation without headers');
        this.#addHeaders(frame.payload, frame.flags);
        return;
      case FrameType.data:
        this.#data(frame);
        return;
      case FrameType.settings:
        this.#settings(frame);
        return;
      case FrameType.ping:
        if (!(frame.flags & Flag.ack)) this.#socket.write(encodeFrame(FrameType.ping, Flag.ack, 0, frame.payload));
        return;
      case FrameType.windowUpdate: {
        const increment = frame.payload.length === 4 ? frame.payload.readUInt32BE() & 0x7fffffff : 0;
        const stream = this.#streams.get(frame.streamId);
        if (frame.streamId === 0) this.#window += increment;
        else if (stream !== undefined) stream.window += increment;
        this.#flushAll();
        return;
      }
      case FrameType.rstStream: {
        const stream = this.#streams.get(frame.streamId);
        if (stream !== undefined) this.#drop(stream);
        return;
      }
      case FrameType.pushPromise:
        throw new Http2Error('a client cannot push');
      default:
        // PRIORITY, GOAWAY and types of extensions need nothing.
        return;
    }
  }

  #settings(frame: Frame): void {
    if (frame.flags & Flag.ack) return;
    const settings = decodeSettings(frame.payload);
    const window = settings.get(SETTING.initialWindowSize);
    if (window !== undefined) {
      if (window > 0x7fffffff) throw new Http2Error('a window is too large');
      for (const stream of this.#streams.values()) stream.window += window - this.#initialWindow;
      this.#initialWindow = window;
    }
    this.#maxFrame = Math.min(settings.get(SETTING.maxFrameSize) ?? this.#maxFrame, MAX_FRAME);
    this.#socket.write(encodeFrame(FrameType.settings, Flag.ack, 0));
    this.#flushAll();
  }

  #addHeaders(part: Buffer, flags: number): void {
    const block = this.#block;
    if (block === undefined) return;
    // A copy: the frame's memory is that of a socket read.
    block.parts.push(Buffer.from(part));
    block.size += part.length;
    if (block.size > MAX_HEADER_BLOCK) throw new Http2Error('the headers are longer than 16 KiB');
    if (!(flags & Flag.endHeaders)) return;
    this.#block = undefined;
    const headers = this.#headers.decode(Buffer.concat(block.parts));
    const known = this.#streams.get(block.streamId);
    if (known !== undefined) {
      // Trailers of the client.
      if (block.endStream) known.handler?.end();
      return;
    }
    if (block.streamId % 2 === 0 || block.streamId <= this.#lastStream) return;
    this.#lastStream = block.streamId;
    this.#open(block.streamId, headers.find(([name]) => name === ':path')?.[1] ?? '', block.endStream);
  }

  #open(id: number, path: string, ended: boolean): void {
    const stream: Stream = {
      id,
      handler: undefined,
      received: Buffer.alloc(0),
      queue: [],
      window: this.#initialWindow,
      headersSent: false,
      ending: undefined,
    };
    this.#streams.set(id, stream);
    const call: GrpcCall = {
      send: (message) => {
        if (stream.ending !== undefined || !this.#streams.has(id)) return;
        const head = Buffer.alloc(5);
        head.writeUInt32BE(message.length, 1);
        stream.queue.push(head, Buffer.from(message.buffer, message.byteOffset, message.length));
        this.#flush(stream);
      },
      finish: (error) => {
        stream.ending ??= { error };
        this.#flush(stream);
      },
    };
    const crowded = this.#streams.size > MAX_STREAMS;
    const handler = crowded ? undefined : this.#options.open(path, call);
    if (handler === undefined) {
      call.finish(
        crowded
          ? new GrpcError('RESOURCE_EXHAUSTED', `more than ${MAX_STREAMS} calls at a time`)
          : new GrpcError('UNIMPLEMENTED', `there is no method ${path}`),
      );
      return;
    }
    stream.handler = handler;
    this.#sendHeaders(stream);
    if (ended) handler.end();
  }

  #data(frame: Frame): void {
    const length = frame.payload.length;
    if (length > 0) this.#socket.write(encodeWindowUpdate(0, length));
    const stream = this.#streams.get(frame.streamId);
    if (stream?.handler === undefined) return;
    if (length > 0) this.#socket.write(encodeWindowUpdate(stream.id, length));
    stream.received = Buffer.concat([stream.received, contentOf(frame)]);
    try {
      while (stream.received.length >= 5) {
        const size = stream.received.readUInt32BE(1);
        if (stream.received[0] !== 0) throw new GrpcError('UNIMPLEMENTED', 'compression is not supported');
        if (size > MAX_MESSAGE)
          throw new GrpcError('RESOURCE_EXHAUSTED', `a message of ${size} bytes is over the limit of ${MAX_MESSAGE}`);
        if (stream.received.length < 5 + size) break;
        const message = stream.received.subarray(5, 5 + size);
        stream.received = stream.received.subarray(5 + size);
        stream.handler.message(message);
      }
      if (frame.flags & Flag.endStream) stream.handler.end();
    } catch (error) {
      if (!(error instanceof GrpcError)) this.#options.onError(error);
      stream.ending ??= {
        error: error instanceof GrpcError ? error : new GrpcError('INTERNAL', 'an internal error happened'),
      };
      this.#flush(stream);
    }
  }

  #sendHeaders(stream: Stream): void {
    if (stream.headersSent) return;
    stream.headersSent = true;
    const block = encodeHeaders([
      [':status', '200'],
      ['content-type', 'application/grpc'],
    ]);
    this.#socket.write(encodeFrame(FrameType.headers, Flag.endHeaders, stream.id, block));
  }

  #flushAll(): void {
    for (const stream of [...this.#streams.values()]) this.#flush(stream);
  }

  #flush(stream: Stream): void {
    if (!this.#streams.has(stream.id)) return;
    this.#sendHeaders(stream);
    for (;;) {
      const [next] = stream.queue;
      const room = Math.min(this.#window, stream.window, this.#maxFrame);
      if (next === undefined || room <= 0) break;
      const part = next.subarray(0, room);
      if (part.length === next.length) stream.queue.shift();
      else stream.queue[0] = next.subarray(part.length);
      this.#window -= part.length;
      stream.window -= part.length;
      this.#socket.write(encodeFrame(FrameType.data, 0, stream.id, part));
    }
    if (stream.ending === undefined || stream.queue.length > 0) return;
    const { error } = stream.ending;
    const block = encodeHeaders([
      ['grpc-status', String(error?.code ?? 0)],
      ...(error === undefined ? [] : [['grpc-message', encodeMessage(error.message)] as const]),
    ]);
    this.#socket.write(encodeFrame(FrameType.headers, Flag.endHeaders | Flag.endStream, stream.id, block));
    this.#drop(stream);
  }

  #drop(stream: Stream): void {
    this.#streams.delete(stream.id);
    stream.queue = [];
    stream.handler?.close();
    stream.handler = undefined;
  }
}
