import { DecodeError } from './errors.ts';

const UTF8 = new TextDecoder('utf-8', { fatal: true });

/** The wire types of protobuf's encoding; groups (3 and 4) are not used by proto3. */
export const WireType = { Varint: 0, Fixed64: 1, Bytes: 2, Fixed32: 5 } as const;

/** A position in encoded bytes; every step checks the end. Raises DecodeError. */
export class WireReader {
  readonly bytes: Buffer;
  at: number;
  end: number;
  /** How often messages of well-known types occurred again where there may be one. */
  repeats = 0;

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = at;
    this.end = end;
  }

  /** A varint of at most 32 bits; longer ones (negative int32, enums) lose the upper half, as the specification says. */
  uint32(): number {
    let byte = this.#byte();
    let value = byte & 0x7f;
    if (byte < 0x80) return value;
    for (let shift = 7; shift < 70; shift += 7) {
      byte = this.#byte();
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw new DecodeError('a varint is longer than 10 bytes');
  }

  uint64(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new DecodeError('a varint is longer than 10 bytes');
  }

  fixed32(): number {
    return this.bytes.readUInt32LE(this.#take(4));
  }

  fixed64(): bigint {
    return this.bytes.readBigUInt64LE(this.#take(8));
  }

  float(): number {
    return this.bytes.readFloatLE(this.#take(4));
  }

  double(): number {
    return this.bytes.readDoubleLE(this.#take(8));
  }

  /** Reads a length and steps over as many bytes; returns where they begin. `at` is then where they end. */
  lengthDelimited(): number {
    return this.#take(this.uint32());
  }

  string(): string {
    const start = this.lengthDelimited();
    const text = this.bytes.toString('latin1', start, this.at);
    // Plain ASCII is by far the most frequent and needs no second look.
    if (!/[\x80-\xff]/.test(text)) return text;
    try {
      return UTF8.decode(this.bytes.subarray(start, this.at));
    } catch {
      throw new DecodeError('a string is not valid UTF-8');
    }
  }

  skip(wireType: number): void {
    switch (wireType) {
      case WireType.Varint:
        this.uint64();
        return;
      case WireType.Fixed64:
        this.#take(8);
        return;
      case WireType.Bytes:
        this.lengthDelimited();
        return;
      case WireType.Fixed32:
        this.#take(4);
        return;
      default:
        throw new DecodeError(`wire type ${wireType} is not supported`);
    }
  }

  #byte(): number {
    if (this.at >= this.end) throw new DecodeError('the message ends too early');
    return this.bytes[this.at++] ?? 0;
  }

  #take(length: number): number {
    const start = this.at;
    if (length > this.end - start) throw new DecodeError('the message ends too early');
    this.at = start + length;
    return start;
  }
}

/**
 * Writes from the end of a buffer towards its start: a nested message is complete when its length is written, so
 * lengths need no second pass.
 */
export class ReverseWriter {
  #buffer: Buffer;
  #at: number;

  constructor(capacity = 1024) {
    this.#buffer = Buffer.allocUnsafeSlow(capacity);
    this.#at = capacity;
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#buffer.length - this.#at;
  }

  /** A copy of what was written; the writer is then empty and can be used again. */
  take(): Buffer {
    const bytes = Buffer.allocUnsafeSlow(this.length);
    this.#buffer.copy(bytes, 0, this.#at);
    this.reset();
    return bytes;
  }

  reset(): void {
    // A buffer that grew for one huge message is not kept.
    if (this.#buffer.length > 1 << 20) this.#buffer = Buffer.allocUnsafeSlow(1024);
    this.#at = this.#buffer.length;
  }

  varint(value: number): void {
    if (value < 0x80) {
      this.#reserve(1);
      this.#buffer[--this.#at] = value;
      return;
    }
    this.#reserve(5);
    const size = value < 0x4000 ? 2 : value < 0x200000 ? 3 : value < 0x10000000 ? 4 : 5;
    this.#at -= size;
    let at = this.#at;
    let rest = value;
    for (let left = size; left > 1; left--) {
      this.#buffer[at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#buffer[at] = rest;
  }

  varint64(value: bigint): void {
    let rest = BigInt.asUintN(64, value);
    const bytes: number[] = [];
    while (rest > 0x7fn) {
      bytes.push(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    bytes.push(Number(rest));
    this.#reserve(bytes.length);
    this.#at -= bytes.length;
    this.#buffer.set(bytes, this.#at);
  }

  fixed32(value: number): void {
    this.#reserve(4);
    this.#at -= 4;
    this.#buffer.writeUInt32LE(value >>> 0, this.#at);
  }

  fixed64(value: bigint): void {
    this.#reserve(8);
    this.#at -= 8;
    this.#buffer.writeBigUInt64LE(BigInt.asUintN(64, value), this.#at);
  }

  float(value: number): void {
    this.#reserve(4);
    this.#at -= 4;
    this.#buffer.writeFloatLE(value, this.#at);
  }

  double(value: number): void {
    this.#reserve(8);
    this.#at -= 8;
    this.#buffer.writeDoubleLE(value, this.#at);
  }

  bytes(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#at -= value.length;
    this.#buffer.set(value, this.#at);
  }

  /** UTF-8 without its length. */
  string(value: string): void {
    if (value.length <= 48) {
      this.#reserve(value.length);
      let at = this.#at;
      let index = value.length - 1;
      for (; index >= 0; index--) {
        const code = value.charCodeAt(index);
        if (code > 0x7f) break;
        this.#buffer[--at] = code;
      }
      if (index < 0) {
        this.#at = at;
        return;
      }
    }
    const size = Buffer.byteLength(value);
    this.#reserve(size);
    this.#at -= size;
    this.#buffer.write(value, this.#at, size, 'utf8');
  }

  #reserve(size: number): void {
    if (this.#at >= size) return;
    const written = this.length;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, written + size));
    this.#buffer.copy(grown, grown.length - written, this.#at);
    this.#buffer = grown;
    this.#at = grown.length - written;
  }
}
