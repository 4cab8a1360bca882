/**
 * DER, the encoding of X.509 (ITU-T X.690): a writer and a reader that know only what certificates and
 * certificate requests are made of. Both work on bytes and hold no state.
 */

/** Thrown by the reader for anything that is not well-formed DER within the limits. `offset` is in bytes from the start of the outermost value. */
export class DerError extends Error {
  readonly offset: number;
  constructor(message: string, offset: number) {
    super(`invalid DER at byte ${offset}: ${message}`);
    this.name = 'DerError';
    this.offset = offset;
  }
}

/** Tags used by X.509 (class and constructed bit included). */
export const Tag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  t61String: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Context-specific tag `[n]`. */
export function contextTag(n: number, constructed: boolean): number {
  return 0x80 | (constructed ? 0x20 : 0) | n;
}

// ---------------------------------------------------------------- writer

/** One value: the tag, the length in its shortest form and the content. */
export function tlv(tag: number, ...content: readonly Uint8Array[]): Buffer {
  let length = 0;
  for (const part of content) length += part.length;
  const lengthBytes = length < 0x80 ? 1 : length < 0x100 ? 2 : length < 0x10000 ? 3 : 4;
  const out = Buffer.allocUnsafe(1 + lengthBytes + length);
  out[0] = tag;
  if (lengthBytes === 1) out[1] = length;
  else {
    out[1] = 0x80 | (lengthBytes - 1);
    out.writeUIntBE(length, 2, lengthBytes - 1);
  }
  let at = 1 + lengthBytes;
  for (const part of content) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

export function sequence(...content: readonly Uint8Array[]): Buffer {
  return tlv(Tag.sequence, ...content);
}

export function set(...content: readonly Uint8Array[]): Buffer {
  return tlv(Tag.set, ...content);
}

/** A non-negative integer from its big-endian bytes; leading zeros are dropped, a zero is put before a set sign bit. */
export function unsignedInteger(bytes: Uint8Array): Buffer {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const body = bytes.subarray(start);
  const first = body[0] ?? 0;
  return first & 0x80
    ? tlv(Tag.integer, Uint8Array.of(0), body)
    : tlv(Tag.integer, body.length === 0 ? Uint8Array.of(0) : body);
}

export function smallInteger(value: number): Buffer {
  return unsignedInteger(
    Uint8Array.of((value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff),
  );
}

export function boolean(value: boolean): Buffer {
  return tlv(Tag.boolean, Uint8Array.of(value ? 0xff : 0));
}

export function bitString(bytes: Uint8Array, unusedBits = 0): Buffer {
  return tlv(Tag.bitString, Uint8Array.of(unusedBits), bytes);
}

export function octetString(bytes: Uint8Array): Buffer {
  return tlv(Tag.octetString, bytes);
}

export function utf8String(text: string): Buffer {
  return tlv(Tag.utf8String, Buffer.from(text, 'utf8'));
}

/** Object identifier from its dotted form. */
export function oid(dotted: string): Buffer {
  const arcs = dotted.split('.').map(Number);
  const bytes: number[] = [(arcs[0] ?? 0) * 40 + (arcs[1] ?? 0)];
  for (const arc of arcs.slice(2)) {
    const groups = [arc % 128];
    for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128)) groups.unshift((rest % 128) | 0x80);
    bytes.push(...groups);
  }
  return tlv(Tag.oid, Uint8Array.from(bytes));
}

/** Time of a certificate: UTCTime up to 2049, GeneralizedTime from 2050 (RFC 5280, 4.1.2.5). */
export function time(date: Date): Buffer {
  const digits = date.toISOString().replace(/[-:T]/g, '').slice(0, 14);
  const year = date.getUTCFullYear();
  return year >= 1950 && year < 2050
    ? tlv(Tag.utcTime, Buffer.from(`${digits.slice(2)}Z`, 'latin1'))
    : tlv(Tag.generalizedTime, Buffer.from(`${digits}Z`, 'latin1'));
}

// ---------------------------------------------------------------- reader

/** One decoded value: `content` is the bytes inside, `raw` the whole with tag and length; both are views, not copies. */
export interface DerValue {
  readonly tag: number;
  readonly content: Buffer;
  readonly raw: Buffer;
  /** Offset of `content` from the start of the outermost value, for error messages. */
  readonly offset: number;
}

/** Deepest nesting and greatest number of sibling values accepted; a certificate needs about 9 and 30. */
const MAX_SIBLINGS = 512;

/** Reads the value at the start of `bytes`. */
export function readValue(bytes: Buffer, base = 0): DerValue {
  const tag = bytes[0];
  const first = bytes[1];
  if (tag === undefined || first === undefined) throw new DerError('value is cut off', base);
  if ((tag & 0x1f) === 0x1f) throw new DerError('tags above 30 are not used in X.509', base);
  let header = 2;
  let length = first;
  if (first & 0x80) {
    const count = first & 0x7f;
    if (count === 0) throw new DerError('indefinite length is not DER', base + 1);
    if (count > 3) throw new DerError('value is longer than 16 MiB', base + 1);
    if (bytes.length < 2 + count) throw new DerError('length is cut off', base + 1);
    length = bytes.readUIntBE(2, count);
    if (length < 0x80 || (count > 1 && length < 2 ** (8 * (count - 1))))
      throw new DerError('length is not in its shortest form', base + 1);
    header += count;
  }
  if (bytes.length < header + length) throw new DerError(`value of ${length} bytes is cut off`, base);
  return {
    tag,
    content: bytes.subarray(header, header + length),
    raw: bytes.subarray(0, header + length),
    offset: base + header,
  };
}

/** Reads exactly one value that fills `bytes`. */
export function readWhole(bytes: Buffer): DerValue {
  const value = readValue(bytes);
  if (value.raw.length !== bytes.length) throw new DerError('bytes after the end of the value', value.raw.length);
  return value;
}

/** The values inside a constructed one. */
export function children(value: DerValue): readonly DerValue[] {
  const out: DerValue[] = [];
  let at = 0;
  while (at < value.content.length) {
    if (out.length >= MAX_SIBLINGS) throw new DerError(`more than ${MAX_SIBLINGS} values`, value.offset + at);
    const child = readValue(value.content.subarray(at), value.offset + at);
    out.push(child);
    at += child.raw.length;
  }
  return out;
}

/** Checks the tag, for values at fixed places. */
export function expectTag(value: DerValue | undefined, tag: number, what: string): DerValue {
  if (value === undefined) throw new DerError(`${what} is missing`, 0);
  if (value.tag !== tag)
    throw new DerError(`${what} has tag 0x${value.tag.toString(16)}, expected 0x${tag.toString(16)}`, value.offset);
  return value;
}

export function readOid(value: DerValue | undefined, what: string): string {
  const { content, offset } = expectTag(value, Tag.oid, what);
  if (content.length === 0 || content.length > 64) throw new DerError(`${what} has ${content.length} bytes`, offset);
  const arcs: number[] = [];
  let arc = 0;
  let open = false;
  for (const byte of content) {
    if (!open && byte === 0x80) throw new DerError(`${what} has a padded arc`, offset);
    arc = arc * 128 + (byte & 0x7f);
    if (arc > Number.MAX_SAFE_INTEGER / 128) throw new DerError(`${what} has an arc above 2^46`, offset);
    open = (byte & 0x80) !== 0;
    if (open) continue;
    if (arcs.length === 0) {
      const root = Math.min(2, Math.floor(arc / 40));
      arcs.push(root, arc - root * 40);
    } else arcs.push(arc);
    arc = 0;
  }
  if (open) throw new DerError(`${what} is cut off`, offset);
  return arcs.join('.');
}

/** The bytes of a bit string that holds whole bytes, as keys and signatures do: any unused bit makes it another encoding of the same value. */
export function readBitString(value: DerValue | undefined, what: string): Buffer {
  const { content, offset } = expectTag(value, Tag.bitString, what);
  if (content[0] !== 0) throw new DerError(`${what} is malformed`, offset);
  return content.subarray(1);
}

/** Text of the string types a name or an alternative name can have. */
export function readText(value: DerValue): string {
  switch (value.tag) {
    case Tag.utf8String:
      return value.content.toString('utf8');
    case Tag.printableString:
    case Tag.ia5String:
    case Tag.t61String:
      return value.content.toString('latin1');
    case Tag.bmpString:
      return Buffer.from(value.content.subarray(0, value.content.length & ~1))
        .swap16()
        .toString('utf16le');
    default:
      throw new DerError(`tag 0x${value.tag.toString(16)} is no string`, value.offset);
  }
}

export function readTime(value: DerValue | undefined, what: string): Date {
  if (value === undefined) throw new DerError(`${what} is missing`, 0);
  const text = value.content.toString('latin1');
  let digits: string;
  if (value.tag === Tag.utcTime && /^\d{12}Z$/.test(text))
    digits = (Number(text.slice(0, 2)) >= 50 ? '19' : '20') + text.slice(0, 12);
  else if (value.tag === Tag.generalizedTime && /^\d{14}Z$/.test(text)) digits = text.slice(0, 14);
  else throw new DerError(`${what} is no time`, value.offset);
  const iso = `${digits.slice(0, 4)}-${digits.slice(4, 6)}-${digits.slice(6, 8)}T${digits.slice(8, 10)}:${digits.slice(10, 12)}:${digits.slice(12, 14)}Z`;
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) throw new DerError(`${what} is no time`, value.offset);
  return date;
}
