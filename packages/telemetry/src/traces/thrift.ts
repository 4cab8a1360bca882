import { SpanError } from './span.ts';

/** Types of values in Thrift's binary protocol, by their bytes on the wire (apache/thrift, doc/specs/thrift-binary-protocol.md). */
const TYPES = {
  2: 'bool',
  3: 'i8',
  4: 'double',
  6: 'i16',
  8: 'i32',
  10: 'i64',
  11: 'binary',
  12: 'struct',
  13: 'map',
  14: 'set',
  15: 'list',
} as const;
export type ThriftType = (typeof TYPES)[keyof typeof TYPES];

const FIXED_BYTES: Readonly<Partial<Record<ThriftType, number>>> = {
  bool: 1,
  i8: 1,
  double: 8,
  i16: 2,
  i32: 4,
  i64: 8,
};
/** Structures within structures; the messages that are read have four. */
const MAX_DEPTH = 32;

const isType = (byte: number): byte is keyof typeof TYPES => Object.hasOwn(TYPES, byte);

/**
 * Reads Thrift's binary protocol, value by value. What is not asked for is passed over without being kept, and a list says no more items than there are
 * bytes left, so what is kept is bounded by the bytes. Raises SpanError for bytes that are no such values.
 */
export class ThriftReader {
  readonly #bytes: Buffer;
  #at = 0;
  #depth = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  #take(count: number): number {
    const at = this.#at;
    if (count < 0 || count > this.#bytes.length - at) throw new SpanError(`Thrift ends too early, at byte ${at}`);
    this.#at = at + count;
    return at;
  }

  #type(): ThriftType {
    const at = this.#take(1);
    const byte = this.#bytes[at] ?? 0;
    if (!isType(byte)) throw new SpanError(`there is no type ${byte} in Thrift, at byte ${at}`);
    return TYPES[byte];
  }

  #count(): number {
    const at = this.#at;
    const count = this.i32();
    if (count < 0 || count > this.#bytes.length - this.#at)
      throw new SpanError(`Thrift ends before ${count} items do, at byte ${at}`);
    return count;
  }

  #inside<T>(read: () => T): T {
    if (this.#depth >= MAX_DEPTH) throw new SpanError(`Thrift with more than ${MAX_DEPTH} levels`);
    this.#depth++;
    const value = read();
    this.#depth--;
    return value;
  }

  bool(): boolean {
    return this.#bytes[this.#take(1)] !== 0;
  }
  i32(): number {
    return this.#bytes.readInt32BE(this.#take(4));
  }
  i64(): bigint {
    return this.#bytes.readBigInt64BE(this.#take(8));
  }
  double(): number {
    return this.#bytes.readDoubleBE(this.#take(8));
  }
  binary(): Buffer {
    const count = this.i32();
    const at = this.#take(count);
    return this.#bytes.subarray(at, at + count);
  }
  text(): string {
    return this.binary().toString('utf8');
  }

  /** Reads a structure: `fields` has a reader for each field that is wanted, by `NUMBER:TYPE`; others are passed over. */
  struct(fields: Readonly<Record<string, () => void>>): void {
    this.#inside(() => {
      while (this.#bytes[this.#at] !== 0) {
        const type = this.#type();
        const number = this.#bytes.readInt16BE(this.#take(2));
        const key = `${number}:${type}`;
        const read = Object.hasOwn(fields, key) ? fields[key] : undefined;
        if (read === undefined) this.skip(type);
        else read();
      }
      this.#take(1);
    });
  }

  /** Reads a list of structures, each by `read`. */
  structs<T>(read: () => T): readonly T[] {
    const type = this.#type();
    const count = this.#count();
    if (count > 0 && type !== 'struct') throw new SpanError(`a list of ${type} instead of structures`);
    const items: T[] = [];
    for (let i = 0; i < count; i++) items.push(read());
    return items;
  }

  skip(type: ThriftType): void {
    const fixed = FIXED_BYTES[type];
    if (fixed !== undefined) return void this.#take(fixed);
    switch (type) {
      case 'binary':
        this.binary();
        return;
      case 'struct':
        this.struct({});
        return;
      case 'map':
        this.#inside(() => {
          // An empty map has no types, in some writers' form.
          const [key, value] = [this.#bytes[this.#take(1)] ?? 0, this.#bytes[this.#take(1)] ?? 0];
          const count = this.#count();
          if (count > 0 && (!isType(key) || !isType(value))) throw new SpanError('a map of unknown types in Thrift');
          for (let i = 0; i < count && isType(key) && isType(value); i++) {
            this.skip(TYPES[key]);
            this.skip(TYPES[value]);
          }
        });
        return;
      case 'set':
      case 'list':
        this.#inside(() => {
          const items = this.#type();
          const count = this.#count();
          for (let i = 0; i < count; i++) this.skip(items);
        });
    }
  }
}
