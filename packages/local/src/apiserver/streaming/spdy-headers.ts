import { constants, createDeflate, createInflate, type Deflate, type Inflate } from 'node:zlib';

/** Words of the dictionary that header blocks are compressed with (SPDY Protocol, Draft 3, section 2.6.10.1); each is preceded by its length. */
const WORDS =
  'options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow authorization ' +
  'cache-control connection content-base content-encoding content-language content-length content-location content-md5 content-range ' +
  'content-type date etag expect expires from host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified ' +
  'location max-forwards pragma proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding ' +
  'upgrade user-agent vary via warning www-authenticate method get status';
const TAIL =
  '100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative Information' +
  '204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error' +
  '501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, ' +
  'Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,' +
  'publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.';

function prefixed(text: string): Buffer {
  const bytes = Buffer.alloc(4 + text.length);
  bytes.writeUInt32BE(text.length);
  bytes.write(text, 4, 'latin1');
  return bytes;
}

function dictionary(): Buffer {
  const words = [
    ...WORDS.split(' '),
    '200 OK',
    'version',
    'HTTP/1.1',
    'url',
    'public',
    'set-cookie',
    'keep-alive',
    'origin',
  ];
  return Buffer.concat([...words.map(prefixed), Buffer.from(TAIL, 'latin1')]);
}

const DICTIONARY = dictionary();
const MAX_HEADERS = 64 * 1024;

/** The two compression contexts of a connection. Blocks must be handed over in the order of their frames. */
export class HeaderCodec {
  readonly #inflate: Inflate = createInflate({ dictionary: DICTIONARY, finishFlush: constants.Z_SYNC_FLUSH });
  readonly #deflate: Deflate = createDeflate({ dictionary: DICTIONARY });

  constructor() {
    // Who waits for a block hears of its error; one that comes when nobody waits must not end the process.
    this.#inflate.on('error', () => {});
    this.#deflate.on('error', () => {});
  }

  /** Names in lower case. Rejects malformed and too large blocks. */
  async decode(block: Buffer): Promise<Map<string, string>> {
    const bytes = await through(this.#inflate, block);
    const headers = new Map<string, string>();
    let position = 0;
    const number = (): number => {
      if (position + 4 > bytes.length) throw new Error('SPDY: a header block ends too early');
      const value = bytes.readUInt32BE(position);
      position += 4;
      return value;
    };
    const text = (): string => {
      const length = number();
      if (length > bytes.length - position) throw new Error('SPDY: a header block ends too early');
      const value = bytes.toString('latin1', position, position + length);
      position += length;
      return value;
    };
    const count = number();
    if (count > 256) throw new Error('SPDY: too many headers');
    for (let index = 0; index < count; index += 1) headers.set(text().toLowerCase(), text());
    return headers;
  }

  encode(headers: ReadonlyMap<string, string>): Promise<Buffer> {
    const count = Buffer.alloc(4);
    count.writeUInt32BE(headers.size);
    const parts = [...headers].flatMap(([name, value]) => [prefixed(name), prefixed(value)]);
    return through(this.#deflate, Buffer.concat([count, ...parts]));
  }

  close(): void {
    this.#inflate.destroy();
    this.#deflate.destroy();
  }
}

/** Puts bytes through a zlib stream that stays open, and collects what comes out for them. */
function through(stream: Inflate | Deflate, bytes: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const finish = (error?: Error) => {
      stream.off('data', onData);
      stream.off('error', finish);
      if (error === undefined) resolve(Buffer.concat(chunks));
      else reject(error);
    };
    const onData = (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_HEADERS) finish(new Error('SPDY: a header block is too large'));
      else chunks.push(chunk);
    };
    stream.on('data', onData);
    stream.once('error', finish);
    stream.write(bytes);
    stream.flush(constants.Z_SYNC_FLUSH, () => finish());
  });
}
