import { gunzipSync } from 'node:zlib';
import { GrpcError } from './status.ts';

const HEADER_BYTES = 5;
/** About what Node needs for a Buffer beside its bytes. */
const CHUNK_COST = 128;

/** One message as one buffer or as parts that follow one another. */
export type MessageParts = Uint8Array | readonly Uint8Array[];

/** How many bytes of unfinished messages may be kept, shared by the streams of a connection (and, by `parent`, by all connections). */
export class ReceiveBudget {
  readonly #limit: number;
  readonly #parent: ReceiveBudget | undefined;
  #used = 0;

  constructor(limit: number, parent?: ReceiveBudget) {
    this.#limit = limit;
    this.#parent = parent;
  }

  get used(): number {
    return this.#used;
  }

  /** Raises GrpcError RESOURCE_EXHAUSTED when it does not fit; nothing is taken then. */
  take(bytes: number): void {
    if (this.#used + bytes > this.#limit)
      throw new GrpcError('RESOURCE_EXHAUSTED', `unfinished messages hold more than ${this.#limit} bytes`);
    this.#parent?.take(bytes);
    this.#used += bytes;
  }

  give(bytes: number): void {
    this.#parent?.give(bytes);
    this.#used -= bytes;
  }
}

/**
 * Cuts a byte stream into messages (gRPC over HTTP2, "Length-Prefixed-Message"). A message over the limit is refused by
 * its header, before its bytes are kept. Raises GrpcError.
 */
export class MessageParser {
  readonly #limit: number;
  readonly #gzip: boolean;
  #chunks: Buffer[] = [];
  #buffered = 0;
  /** Header of the message whose bytes are being gathered. */
  #header: { readonly compressed: boolean; readonly length: number } | undefined;

  constructor(options: { readonly limit: number; readonly encoding: string | undefined }) {
    this.#limit = options.limit;
    this.#gzip = options.encoding === 'gzip';
  }

  /** Memory that a message takes that is not complete yet: its bytes, and what each piece costs, for a client may send it byte by byte. */
  get held(): number {
    return this.#buffered + this.#chunks.length * CHUNK_COST;
  }

  /** The messages that this chunk completes. */
  *push(chunk: Buffer): Generator<Buffer, void> {
    this.#chunks.push(chunk);
    this.#buffered += chunk.length;
    for (;;) {
      if (this.#header === undefined) {
        if (this.#buffered < HEADER_BYTES) return;
        const bytes = this.#take(HEADER_BYTES);
        const header = { compressed: bytes[0] === 1, length: bytes.readUInt32BE(1) };
        if ((bytes[0] ?? 0) > 1) throw new GrpcError('INTERNAL', `a message has the compression flag ${bytes[0]}`);
        this.#checkSize(header.length);
        this.#header = header;
      }
      if (this.#buffered < this.#header.length) return;
      const { compressed, length } = this.#header;
      this.#header = undefined;
      const message = this.#take(length);
      yield compressed ? this.#decompress(message) : message;
    }
  }

  /** Call when the stream ended: raises GrpcError when that was inside a message. */
  end(): void {
    if (this.#buffered > 0 || this.#header !== undefined)
      throw new GrpcError('INTERNAL', 'the stream ended inside a message');
  }

  #checkSize(length: number): void {
    if (length > this.#limit)
      throw new GrpcError('RESOURCE_EXHAUSTED', `a message of ${length} bytes is over the limit of ${this.#limit}`);
  }

  #decompress(message: Buffer): Buffer {
    if (!this.#gzip) throw new GrpcError('UNIMPLEMENTED', 'only gzip compression is supported');
    try {
      return gunzipSync(message, { maxOutputLength: this.#limit });
    } catch {
      throw new GrpcError(
        'RESOURCE_EXHAUSTED',
        `a compressed message is damaged or over the limit of ${this.#limit} bytes`,
      );
    }
  }

  #take(length: number): Buffer {
    const [first] = this.#chunks;
    this.#buffered -= length;
    if (first !== undefined && first.length >= length) {
      const taken = first.subarray(0, length);
      if (first.length === length) this.#chunks.shift();
      else this.#chunks[0] = first.subarray(length);
      return taken;
    }
    const all = Buffer.concat(this.#chunks);
    this.#chunks = all.length === length ? [] : [all.subarray(length)];
    return all.subarray(0, length);
  }
}

/** How many bytes are copied and handed to the transport at a time. */
const SLICE_BYTES = 64 * 1024;
/** Parts of this size go to the transport as they are. */
const UNCOPIED_BYTES = 16 * 1024;

/**
 * A framed message in slices for the transport. Small parts are gathered a slice at a time, large ones are handed over uncopied, so a large response
 * that many connections share exists once plus at most one slice per connection. Nobody may change the parts afterwards.
 */
export function* frameSlices(message: MessageParts): Generator<Uint8Array, void> {
  const parts = message instanceof Uint8Array ? [message] : message;
  let length = 0;
  for (const part of parts) length += part.length;
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header[0] = 0;
  header.writeUInt32BE(length, 1);
  let gathered: Uint8Array[] = [header];
  let size = HEADER_BYTES;
  for (const part of parts) {
    const isLarge = part.length >= UNCOPIED_BYTES;
    if (isLarge || size + part.length > SLICE_BYTES) {
      if (size > 0) yield Buffer.concat(gathered, size);
      gathered = [];
      size = 0;
    }
    if (isLarge) {
      yield part;
      continue;
    }
    gathered.push(part);
    size += part.length;
  }
  if (size > 0) yield Buffer.concat(gathered, size);
}
