import { Http2Error } from './frames.ts';

/** Header compression of HTTP/2 (RFC 7541): a full decoder, and an encoder that compresses nothing. */

export type Header = readonly [name: string, value: string];

/** Appendix A, from index 1. */
const STATIC_TABLE: readonly Header[] = (
  ':authority|:method=GET|:method=POST|:path=/|:path=/index.html|:scheme=http|:scheme=https|:status=200|:status=204|:status=206|:status=304|:status=400|' +
  ':status=404|:status=500|accept-charset|accept-encoding=gzip, deflate|accept-language|accept-ranges|accept|access-control-allow-origin|age|allow|' +
  'authorization|cache-control|content-disposition|content-encoding|content-language|content-length|content-location|content-range|content-type|cookie|' +
  'date|etag|expect|expires|from|host|if-match|if-modified-since|if-none-match|if-range|if-unmodified-since|last-modified|link|location|max-forwards|' +
  'proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after|server|set-cookie|strict-transport-security|transfer-encoding|user-agent|' +
  'vary|via|www-authenticate'
)
  .split('|')
  .map((entry) => {
    const equals = entry.indexOf('=');
    return equals < 0 ? [entry, ''] : [entry.slice(0, equals), entry.slice(equals + 1)];
  });

/** Appendix B: bits of each symbol's code, as `symbol run length` by ranges; the codes follow, as the code is canonical. */
const CODE_LENGTHS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
  28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6,
  5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23,
  22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22,
  23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26,
  20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27,
  27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27,
  27, 27, 27, 26, 30,
];

/** By length: the first code and the symbols in order of their codes. */
const CODES = ((): readonly {
  readonly bits: number;
  readonly first: number;
  readonly symbols: readonly number[];
}[] => {
  const out: { bits: number; first: number; symbols: number[] }[] = [];
  let code = 0;
  for (let bits = 5; bits <= 30; bits++) {
    code *= 2;
    const symbols = CODE_LENGTHS.flatMap((length, symbol) => (length === bits ? [symbol] : []));
    if (symbols.length > 0) out.push({ bits, first: code, symbols });
    code += symbols.length;
  }
  return out;
})();

function decodeHuffman(bytes: Buffer): string {
  const out: number[] = [];
  let code = 0;
  let bits = 0;
  for (const byte of bytes) {
    for (let mask = 0x80; mask !== 0; mask >>= 1) {
      code = code * 2 + (byte & mask ? 1 : 0);
      bits++;
      if (bits < 5) continue;
      const group = CODES.find((entry) => entry.bits === bits);
      const symbol = group?.symbols[code - group.first];
      if (symbol === undefined || group === undefined || code < group.first) {
        if (bits >= 30) throw new Http2Error('a header is not Huffman code');
        continue;
      }
      if (symbol === 256) throw new Http2Error('a header has the end symbol inside');
      out.push(symbol);
      code = 0;
      bits = 0;
    }
  }
  // Padding: the start of the end symbol, all ones, shorter than a byte.
  if (bits > 7 || code !== 2 ** bits - 1) throw new Http2Error('a header ends inside a symbol');
  return Buffer.from(out).toString('latin1');
}

const MAX_TABLE = 4096;
const MAX_HEADERS = 16 * 1024;

/** One direction of one connection; it remembers headers, so every block has to pass through it in order. */
export class HpackDecoder {
  #dynamic: Header[] = [];
  #size = 0;
  #limit = MAX_TABLE;

  /** Raises {@link Http2Error} for a malformed block or more than 16 KiB of headers. */
  decode(block: Buffer): readonly Header[] {
    const headers: Header[] = [];
    const cursor = { at: 0 };
    let total = 0;
    while (cursor.at < block.length) {
      const byte = block[cursor.at] ?? 0;
      if ((byte & 0xe0) === 0x20) {
        this.#resize(readInteger(block, cursor, 5));
        continue;
      }
      const header = this.#field(block, cursor, byte);
      total += sizeOf(header);
      if (total > MAX_HEADERS) throw new Http2Error('the headers are longer than 16 KiB');
      headers.push(header);
    }
    return headers;
  }

  #field(block: Buffer, cursor: { at: number }, byte: number): Header {
    if (byte & 0x80) return this.#entry(readInteger(block, cursor, 7));
    const indexed = (byte & 0x40) !== 0;
    const index = readInteger(block, cursor, indexed ? 6 : 4);
    const name = index === 0 ? readString(block, cursor) : this.#entry(index)[0];
    const header: Header = [name, readString(block, cursor)];
    if (indexed) {
      this.#dynamic.unshift(header);
      this.#size += sizeOf(header);
      this.#evict();
    }
    return header;
  }

  #entry(index: number): Header {
    const entry =
      index <= STATIC_TABLE.length ? STATIC_TABLE[index - 1] : this.#dynamic[index - STATIC_TABLE.length - 1];
    if (entry === undefined) throw new Http2Error(`there is no header number ${index}`);
    return entry;
  }

  #resize(limit: number): void {
    if (limit > MAX_TABLE) throw new Http2Error('the header table may have 4096 bytes');
    this.#limit = limit;
    this.#evict();
  }

  #evict(): void {
    while (this.#size > this.#limit) {
      const last = this.#dynamic.pop();
      if (last === undefined) break;
      this.#size -= sizeOf(last);
    }
  }
}

function sizeOf([name, value]: Header): number {
  return name.length + value.length + 32;
}

function readInteger(block: Buffer, cursor: { at: number }, prefix: number): number {
  const max = 2 ** prefix - 1;
  let value = (block[cursor.at++] ?? 0) & max;
  if (value < max) return value;
  for (let shift = 0; shift <= 21; shift += 7) {
    const byte = block[cursor.at++];
    if (byte === undefined) break;
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return value;
  }
  throw new Http2Error('a number in the headers is malformed');
}

function readString(block: Buffer, cursor: { at: number }): string {
  const huffman = ((block[cursor.at] ?? 0) & 0x80) !== 0;
  const length = readInteger(block, cursor, 7);
  const bytes = block.subarray(cursor.at, cursor.at + length);
  if (bytes.length < length) throw new Http2Error('a header is cut off');
  cursor.at += length;
  return huffman ? decodeHuffman(bytes) : bytes.toString('latin1');
}

/** Headers as literals that the peer does not remember (RFC 7541, 6.2.2). Names in lower case. */
export function encodeHeaders(headers: readonly Header[]): Buffer {
  const string = (text: string): Buffer => {
    const bytes = Buffer.from(text, 'latin1');
    return Buffer.concat([encodeLength(bytes.length), bytes]);
  };
  return Buffer.concat(headers.map(([name, value]) => Buffer.concat([Buffer.of(0), string(name), string(value)])));
}

function encodeLength(length: number): Buffer {
  if (length < 127) return Buffer.of(length);
  const bytes = [127];
  let rest = length - 127;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}
