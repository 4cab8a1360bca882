/** An error that Redis answers. */
export class RespError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'RespError';
  }
}

/** A reply of the Redis protocol (RESP2). */
export type RespValue = string | number | null | RespError | readonly RespValue[];

const MAX_REPLY_BYTES = 1024 * 1024;
const MAX_ITEMS = 4096;

/** Reads replies from a stream of bytes. */
export class RespReader {
  #pending: Buffer = Buffer.alloc(0);

  /** The replies that are complete now. Throws on bytes that are no reply. */
  push(chunk: Buffer): readonly RespValue[] {
    const bytes = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    const values: RespValue[] = [];
    let at = 0;
    for (let found = readValue(bytes, at, 0); found !== undefined; found = readValue(bytes, at, 0)) {
      values.push(found.value);
      at = found.end;
    }
    this.#pending = bytes.subarray(at);
    if (this.#pending.length > MAX_REPLY_BYTES) throw new Error('a reply of Redis is too large');
    return values;
  }
}

interface Found {
  readonly value: RespValue;
  readonly end: number;
}

/** The reply that begins at `at`; undefined where it is not complete. */
function readValue(bytes: Buffer, at: number, depth: number): Found | undefined {
  if (depth > 8) throw new Error('a reply of Redis is nested too deep');
  const lineEnd = bytes.indexOf('\r\n', at);
  if (lineEnd < 0) return undefined;
  const kind = bytes[at];
  const line = bytes.toString('utf8', at + 1, lineEnd);
  const end = lineEnd + 2;
  switch (kind) {
    case 0x2b: // +
      return { value: line, end };
    case 0x2d: // -
      return { value: new RespError(line), end };
    case 0x3a: // :
      return { value: whole(line), end };
    case 0x24: {
      // $
      const length = whole(line);
      if (length === -1) return { value: null, end };
      if (length < 0 || length > MAX_REPLY_BYTES) throw new Error('a reply of Redis has an impossible length');
      if (bytes.length < end + length + 2) return undefined;
      return { value: bytes.toString('utf8', end, end + length), end: end + length + 2 };
    }
    case 0x2a: {
      // *
      const count = whole(line);
      if (count === -1) return { value: null, end };
      if (count < 0 || count > MAX_ITEMS) throw new Error('a reply of Redis has too many parts');
      const items: RespValue[] = [];
      let next = end;
      for (let index = 0; index < count; index++) {
        const item = readValue(bytes, next, depth + 1);
        if (item === undefined) return undefined;
        items.push(item.value);
        next = item.end;
      }
      return { value: items, end: next };
    }
    default:
      throw new Error('what answers is no Redis');
  }
}

function whole(text: string): number {
  const value = Number(text);
  if (!/^-?\d+$/.test(text)) throw new Error(`Redis answers ${JSON.stringify(text.slice(0, 40))} for a number`);
  return value;
}
