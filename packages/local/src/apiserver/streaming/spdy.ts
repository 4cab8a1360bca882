import { Duplex } from 'node:stream';
import { HeaderCodec } from './spdy-headers.ts';

/** Frame types of SPDY/3.1 (SPDY Protocol, Draft 3.1, section 2). */
const SYN_STREAM = 1;
const SYN_REPLY = 2;
const RST_STREAM = 3;
const PING = 6;
const GOAWAY = 7;
const HEADERS = 8;

const FLAG_FIN = 1;
const MAX_FRAME = 4 * 1024 * 1024;
const MAX_STREAMS = 1024;
const CHUNK = 32 * 1024;

/** One stream that the other side has opened. Ending it sends FIN; the other side's FIN ends its readable part. */
export class SpdyStream extends Duplex {
  readonly id: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly #connection: SpdyConnection;
  #resume: (() => void) | undefined;

  constructor(id: number, headers: ReadonlyMap<string, string>, connection: SpdyConnection) {
    super({ allowHalfOpen: true });
    this.id = id;
    this.headers = headers;
    this.#connection = connection;
    this.on('error', () => {});
  }

  override _read(): void {
    this.#resume?.();
    this.#resume = undefined;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#connection.sendData(this.id, chunk, callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#connection.sendFin(this.id, callback);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#resume?.();
    if (error !== null) this.#connection.reset(this.id);
    this.#connection.forget(this.id);
    callback(error);
  }

  /** Hands over what has arrived; resolves when there is room for more. */
  deliver(bytes: Buffer): Promise<void> {
    if (this.destroyed || this.readableEnded || this.push(bytes)) return Promise.resolve();
    return new Promise((resolve) => {
      this.#resume = resolve;
    });
  }

  finish(): void {
    if (!this.destroyed) this.push(null);
  }
}

/**
 * The server's side of a SPDY/3.1 connection as Kubernetes uses it for exec, attach and port-forward: only the client opens streams, and
 * there is no flow control per stream (as in the clients' own library). A slow reader of one stream therefore holds up the others.
 */
export class SpdyConnection {
  readonly #socket: Duplex;
  readonly #codec = new HeaderCodec();
  readonly #streams = new Map<number, SpdyStream>();
  readonly #onStream: (stream: SpdyStream) => void;
  #lastStream = 0;
  #closed = false;

  constructor(socket: Duplex, head: Buffer, onStream: (stream: SpdyStream) => void) {
    this.#socket = socket;
    this.#onStream = onStream;
    socket.once('close', () => this.close());
    socket.on('error', () => this.close());
    this.#run(head).catch(() => this.close());
  }

  async #run(head: Buffer): Promise<void> {
    let pending = head;
    pending = await this.#consume(pending);
    for await (const chunk of this.#socket) {
      const bytes = chunk as Buffer;
      pending = await this.#consume(pending.length === 0 ? bytes : Buffer.concat([pending, bytes]));
    }
    this.close();
  }

  /** Handles all complete frames and returns the rest. */
  async #consume(bytes: Buffer): Promise<Buffer> {
    let position = 0;
    while (bytes.length - position >= 8) {
      const length = bytes.readUIntBE(position + 5, 3);
      if (length > MAX_FRAME) throw new Error('SPDY: a frame is too large');
      if (bytes.length - position < 8 + length) break;
      const first = bytes.readUInt32BE(position);
      const flags = bytes[position + 4] ?? 0;
      const body = bytes.subarray(position + 8, position + 8 + length);
      position += 8 + length;
      if (first >= 0x80000000) await this.#control(first & 0xffff, flags, body);
      else await this.#data(first & 0x7fffffff, flags, body);
    }
    return bytes.subarray(position);
  }

  async #data(id: number, flags: number, body: Buffer): Promise<void> {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    if (body.length > 0) await stream.deliver(body);
    if ((flags & FLAG_FIN) !== 0) stream.finish();
  }

  async #control(type: number, flags: number, body: Buffer): Promise<void> {
    switch (type) {
      case SYN_STREAM: {
        if (body.length < 10) throw new Error('SPDY: SYN_STREAM is too short');
        const id = body.readUInt32BE(0) & 0x7fffffff;
        const headers = await this.#codec.decode(body.subarray(10));
        if (id % 2 === 0 || id <= this.#lastStream || this.#streams.size >= MAX_STREAMS) {
          this.reset(id, 3);
          return;
        }
        this.#lastStream = id;
        const stream = new SpdyStream(id, headers, this);
        this.#streams.set(id, stream);
        await this.#reply(id);
        if ((flags & FLAG_FIN) !== 0) stream.finish();
        this.#onStream(stream);
        return;
      }
      case HEADERS:
        // Nothing in Kubernetes' protocols sends them, but the compression context has to follow.
        if (body.length > 4) await this.#codec.decode(body.subarray(4));
        return;
      case RST_STREAM: {
        const stream = this.#streams.get(body.length >= 4 ? body.readUInt32BE(0) & 0x7fffffff : 0);
        if (stream !== undefined) {
          this.#streams.delete(stream.id);
          stream.destroy();
        }
        return;
      }
      case PING:
        this.#send(controlFrame(PING, 0, body));
        return;
      case GOAWAY:
        return;
      default:
    }
  }

  async #reply(id: number): Promise<void> {
    const block = await this.#codec.encode(new Map());
    this.#send(controlFrame(SYN_REPLY, 0, Buffer.concat([word(id), block])));
  }

  #send(frame: Buffer, callback?: (error?: Error | null) => void): void {
    if (this.#closed || this.#socket.destroyed) {
      callback?.();
      return;
    }
    this.#socket.write(frame, (error) => callback?.(error));
  }

  sendData(id: number, bytes: Buffer, callback: (error?: Error | null) => void): void {
    for (let start = 0; start < bytes.length; start += CHUNK) {
      const part = bytes.subarray(start, start + CHUNK);
      const last = start + CHUNK >= bytes.length;
      this.#send(Buffer.concat([dataHeader(id, 0, part.length), part]), last ? callback : undefined);
    }
    if (bytes.length === 0) callback();
  }

  sendFin(id: number, callback: (error?: Error | null) => void): void {
    this.#send(dataHeader(id, FLAG_FIN, 0), callback);
  }

  reset(id: number, status = 5): void {
    this.#send(controlFrame(RST_STREAM, 0, Buffer.concat([word(id), word(status)])));
  }

  forget(id: number): void {
    this.#streams.delete(id);
  }

  /** Ends the connection after what has been written is sent. */
  end(): void {
    this.#send(controlFrame(GOAWAY, 0, Buffer.concat([word(this.#lastStream), word(0)])));
    this.#socket.end();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const stream of [...this.#streams.values()]) stream.destroy();
    this.#streams.clear();
    this.#codec.close();
    this.#socket.destroy();
  }
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

function controlFrame(type: number, flags: number, body: Buffer): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(0x8003, 0);
  header.writeUInt16BE(type, 2);
  header[4] = flags;
  header.writeUIntBE(body.length, 5, 3);
  return Buffer.concat([header, body]);
}

function dataHeader(id: number, flags: number, length: number): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32BE(id, 0);
  header[4] = flags;
  header.writeUIntBE(length, 5, 3);
  return header;
}
