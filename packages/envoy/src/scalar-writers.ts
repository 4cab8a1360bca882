import { EncodeError } from './errors.ts';
import type { FieldType, ScalarType } from './registry.ts';
import type { ReverseWriter } from './wire.ts';
import { WireType } from './wire.ts';

/** Writes one value, with its length where the wire type has one, without the tag. Raises EncodeError. */
export type ValueWriter = (writer: ReverseWriter, value: unknown) => void;

const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;

/** What was found, for error messages. */
export function describe(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  const text = JSON.stringify(value) ?? String(value);
  return `the ${typeof value} ${text.length > 60 ? `${text.slice(0, 60)}…` : text}`;
}

function integer(value: unknown, min: number, max: number): number {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isInteger(number))
    throw new EncodeError(`expected a whole number, found ${describe(value)}`);
  if (number < min || number > max) throw new EncodeError(`${number} is not between ${min} and ${max}`);
  return number;
}

function integer64(value: unknown, signed: boolean): bigint {
  let number: bigint;
  if (typeof value === 'bigint') number = value;
  else if (typeof value === 'number' && Number.isInteger(value)) number = BigInt(value);
  else if (typeof value === 'string' && /^-?\d{1,20}$/.test(value)) number = BigInt(value);
  else throw new EncodeError(`expected a whole number, found ${describe(value)}`);
  const wrapped = signed ? BigInt.asIntN(64, number) : BigInt.asUintN(64, number);
  if (wrapped !== number) throw new EncodeError(`${number} does not fit 64 bits`);
  return number;
}

function float(value: unknown): number {
  if (typeof value === 'number') return value;
  if (value === 'NaN' || value === 'Infinity' || value === '-Infinity') return Number(value);
  if (typeof value === 'string' && value.trim() !== '' && !Number.isNaN(Number(value))) return Number(value);
  throw new EncodeError(`expected a number, found ${describe(value)}`);
}

function boolean(value: unknown): boolean {
  if (typeof value !== 'boolean') throw new EncodeError(`expected true or false, found ${describe(value)}`);
  return value;
}

/** Bytes from base64 (standard or URL-safe alphabet), or as they are. Raises EncodeError. */
export function toBytes(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (typeof value !== 'string' || !BASE64.test(value))
    throw new EncodeError(`expected base64, found ${describe(value)}`);
  return Buffer.from(value, 'base64');
}

function writeSigned32(writer: ReverseWriter, value: number): void {
  // Negative numbers take ten bytes: sign-extended to 64 bits.
  if (value < 0) writer.varint64(BigInt(value));
  else writer.varint(value);
}

export const SCALAR_WRITERS: Readonly<Record<ScalarType, ValueWriter>> = {
  string(writer, value) {
    if (typeof value !== 'string') throw new EncodeError(`expected a string, found ${describe(value)}`);
    const before = writer.length;
    writer.string(value);
    writer.varint(writer.length - before);
  },
  bytes(writer, value) {
    const bytes = toBytes(value);
    writer.bytes(bytes);
    writer.varint(bytes.length);
  },
  bool: (writer, value) => writer.varint(boolean(value) ? 1 : 0),
  int32: (writer, value) => writeSigned32(writer, integer(value, -0x80000000, 0x7fffffff)),
  uint32: (writer, value) => writer.varint(integer(value, 0, 0xffffffff)),
  sint32(writer, value) {
    const number = integer(value, -0x80000000, 0x7fffffff);
    writer.varint(((number << 1) ^ (number >> 31)) >>> 0);
  },
  fixed32: (writer, value) => writer.fixed32(integer(value, 0, 0xffffffff)),
  sfixed32: (writer, value) => writer.fixed32(integer(value, -0x80000000, 0x7fffffff)),
  int64: (writer, value) => writer.varint64(integer64(value, true)),
  uint64: (writer, value) => writer.varint64(integer64(value, false)),
  sint64(writer, value) {
    const number = integer64(value, true);
    writer.varint64((number << 1n) ^ (number >> 63n));
  },
  fixed64: (writer, value) => writer.fixed64(integer64(value, false)),
  sfixed64: (writer, value) => writer.fixed64(integer64(value, true)),
  float: (writer, value) => writer.float(float(value)),
  double: (writer, value) => writer.double(float(value)),
};

/** Whether a value of the type is the one that proto3 leaves out. A value of a wrong type is not. */
export function isDefaultScalar(scalar: ScalarType, value: unknown): boolean {
  switch (scalar) {
    case 'string':
      return value === '';
    case 'bytes':
      return value === '' || (value instanceof Uint8Array && value.length === 0);
    case 'bool':
      return value === false;
    case 'int64':
    case 'uint64':
    case 'sint64':
    case 'fixed64':
    case 'sfixed64':
      return value === 0 || value === 0n || value === '0';
    default:
      return Object.is(value, 0) || value === '0';
  }
}

export const SCALAR_WIRE_TYPES: Readonly<Record<ScalarType, number>> = {
  string: WireType.Bytes,
  bytes: WireType.Bytes,
  bool: WireType.Varint,
  int32: WireType.Varint,
  uint32: WireType.Varint,
  sint32: WireType.Varint,
  int64: WireType.Varint,
  uint64: WireType.Varint,
  sint64: WireType.Varint,
  fixed32: WireType.Fixed32,
  sfixed32: WireType.Fixed32,
  float: WireType.Fixed32,
  fixed64: WireType.Fixed64,
  sfixed64: WireType.Fixed64,
  double: WireType.Fixed64,
};

/** The wire type of one value of a field; packed lists are Bytes whatever this says. */
export function wireTypeOf(type: FieldType): number {
  switch (type.kind) {
    case 'scalar':
      return SCALAR_WIRE_TYPES[type.scalar];
    case 'enum':
      return WireType.Varint;
    case 'message':
      return WireType.Bytes;
  }
}
