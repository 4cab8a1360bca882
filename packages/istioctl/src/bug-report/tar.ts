import { createWriteStream, type WriteStream } from 'node:fs';
import { finished, pipeline } from 'node:stream/promises';
import { createGzip, type Gzip } from 'node:zlib';

const block = 512;
const maxNameBytes = 100;

/** The header of a file in a tar archive (POSIX.1-1988 "ustar"); `name` with `/`, `size` in bytes, `seconds` since 1970. */
export function tarHeader(name: string, size: number, seconds: number): Buffer {
  const header = Buffer.alloc(block);
  const octal = (value: number, length: number) =>
    `${Math.floor(value)
      .toString(8)
      .padStart(length - 1, '0')}\0`;
  const { prefix, rest } = splitName(name);
  header.write(rest, 0);
  header.write(octal(0o644, 8), 100);
  header.write(octal(0, 8), 108);
  header.write(octal(0, 8), 116);
  header.write(octal(size, 12), 124);
  header.write(octal(seconds, 12), 136);
  // The checksum is taken over the header with spaces in its own place.
  header.write('        ', 148);
  header.write('0', 156);
  header.write('ustar\0', 257);
  header.write('00', 263);
  header.write(prefix, 345);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

/** Names over 100 bytes have their first folders in a field of their own. Raises Error for names that do not fit. */
function splitName(name: string): { readonly prefix: string; readonly rest: string } {
  if (Buffer.byteLength(name) <= maxNameBytes) return { prefix: '', rest: name };
  for (let at = name.indexOf('/'); at >= 0; at = name.indexOf('/', at + 1)) {
    const prefix = name.slice(0, at);
    const rest = name.slice(at + 1);
    if (Buffer.byteLength(rest) <= maxNameBytes && Buffer.byteLength(prefix) <= 155) return { prefix, rest };
  }
  throw new Error(`${name}: the name is too long for a tar archive`);
}

/** A `.tar.gz` that is written file by file, each as soon as it is there. */
export class Archive {
  readonly #gzip: Gzip = createGzip();
  readonly #out: WriteStream;
  readonly #done: Promise<void>;
  readonly #seconds: number;
  #queue: Promise<void> = Promise.resolve();
  /** Bytes of the files so far, before compression. */
  size = 0;

  constructor(file: string, now: Date) {
    this.#out = createWriteStream(file, { mode: 0o600 });
    this.#seconds = now.getTime() / 1000;
    this.#done = pipeline(this.#gzip, this.#out);
    // Awaited in close(); until then a failure must not end the process.
    this.#done.catch(() => {});
  }

  /** Adds a file; resolves when it is on its way to the disk. */
  add(name: string, content: Buffer): Promise<void> {
    this.size += content.length;
    this.#queue = this.#queue.then(async () => {
      const padding = Buffer.alloc((block - (content.length % block)) % block);
      for (const piece of [tarHeader(name, content.length, this.#seconds), content, padding]) {
        if (piece.length > 0 && !this.#gzip.write(piece)) await Promise.race([drained(this.#gzip), this.#done]);
      }
    });
    return this.#queue;
  }

  /** Ends the archive; rejects when it could not be written. */
  async close(): Promise<void> {
    await this.#queue;
    this.#gzip.end(Buffer.alloc(2 * block));
    await this.#done;
    await finished(this.#out).catch(() => {});
  }
}

const drained = (stream: Gzip): Promise<void> => new Promise((resolve) => stream.once('drain', resolve));
