import type { MessageName, MessageTypes } from '../generated/types.d.ts';
import { encodeUnchecked } from './encode.ts';
import { DecodeError } from './errors.ts';
import type { FieldSchema, FieldType, ScalarType } from './registry.ts';
import { registry } from './registry.ts';
import { isDefaultScalar, SCALAR_WIRE_TYPES, wireTypeOf } from './scalar-writers.ts';
import { formatDuration, formatTimestamp, hasSpecialJson, typeNameOf, WRAPPERS } from './well-known.ts';
import { WireReader, WireType } from './wire.ts';

/** As in protobuf's own libraries: deeper input is an attack or an accident. */
const MAX_DEPTH = 100;
/**
 * How often a field that holds one message of a well-known type may occur again. Each time what was read before is read once more, so that a few
 * megabytes from somebody unknown could keep the process busy for hours; who encodes messages writes such a field once.
 */
const MAX_REPEATS = 8;

type Target = { [key: string]: unknown };
/** `into` is a message of the same type that was read before and goes on with these bytes; well-known types do not know it. */
type ValueReader = (reader: WireReader, depth: number, into?: Target) => unknown;
/** Reads one occurrence of a field into the object. */
type FieldReader = (reader: WireReader, wireType: number, target: Target, depth: number) => void;

const bodies = new Map<string, ValueReader>();

/**
 * Decodes a message into its ProtoJSON form: default values of fields without presence are left out, 64-bit integers
 * are strings, the content of an Any of unknown type is base64 in `value`; unknown fields are dropped.
 * Raises DecodeError for bytes that are no such message.
 */
export function decode<N extends MessageName>(typeName: N, bytes: Uint8Array): MessageTypes[N] {
  return decodeUnchecked(typeName, bytes) as MessageTypes[N];
}

/** `decode` for types only known at run time; also for well-known types such as google.protobuf.Any. */
export function decodeUnchecked(typeName: string, bytes: Uint8Array): unknown {
  try {
    return bodyReader(typeName)(new WireReader(bytes), 0);
  } catch (error) {
    throw error instanceof DecodeError ? error.in(typeName) : error;
  }
}

/**
 * The one spelling of an object in ProtoJSON form, as decoding gives it: camelCase names whichever the input used, enum
 * names for numbers, no default values. Raises EncodeError when the object does not fit the type.
 */
export function toCanonicalJson(typeName: string, message: unknown): unknown {
  return decodeUnchecked(typeName, encodeUnchecked(typeName, message));
}

function bodyReader(typeName: string): ValueReader {
  const known = bodies.get(typeName);
  if (known !== undefined) return known;
  const made = specialBody(typeName) ?? messageBody(typeName);
  bodies.set(typeName, made);
  return made;
}

function put(target: Target, key: string, value: unknown): void {
  // A map key from outside may be __proto__, which a plain assignment would obey.
  if (key === '__proto__')
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  else target[key] = value;
}

/** Reads a length-delimited value with a reader of its content. */
function within<T>(reader: WireReader, read: () => T): T {
  const start = reader.lengthDelimited();
  const { at: stop, end } = reader;
  reader.at = start;
  reader.end = stop;
  const value = read();
  reader.end = end;
  reader.at = stop;
  return value;
}

function messageBody(typeName: string): ValueReader {
  const schema = registry().message(typeName);
  if (schema === undefined) throw new DecodeError(`there is no message type ${typeName}`);
  const readers = new Map<number, { readonly name: string; readonly read: FieldReader }>();
  for (const field of schema.fields) {
    const rivals = schema.fields.filter((other) => other.oneof === field.oneof && other !== field);
    const siblings = field.oneof === undefined ? [] : rivals.map((other) => other.jsonName);
    readers.set(field.number, { name: field.jsonName, read: fieldReader(field, siblings) });
  }
  return (reader, depth, into) => {
    if (depth > MAX_DEPTH) throw new DecodeError(`nested deeper than ${MAX_DEPTH} levels`);
    const target: Target = into ?? {};
    while (reader.at < reader.end) {
      const tag = reader.uint32();
      const field = readers.get(tag >>> 3);
      if (tag >>> 3 === 0) throw new DecodeError('a field has number 0');
      if (field === undefined) {
        reader.skip(tag & 7);
        continue;
      }
      try {
        field.read(reader, tag & 7, target, depth);
      } catch (error) {
        throw error instanceof DecodeError ? error.within(field.name) : error;
      }
    }
    return target;
  };
}

function fieldReader(field: FieldSchema, siblings: readonly string[]): FieldReader {
  const key = field.jsonName;
  const expected = wireTypeOf(field.type);
  const read = valueReader(field.type);
  switch (field.cardinality) {
    case 'map':
      return mapReader(field, read, expected);
    case 'repeated': {
      const packable = expected !== WireType.Bytes;
      return (reader, wireType, target, depth) => {
        const list = (target[key] ?? []) as unknown[];
        if (wireType === expected) {
          list.push(read(reader, depth));
        } else if (packable && wireType === WireType.Bytes) {
          within(reader, () => {
            while (reader.at < reader.end) list.push(read(reader, depth));
          });
        } else {
          reader.skip(wireType);
          return;
        }
        if (list.length > 0) target[key] = list;
      };
    }
    case 'singular': {
      const { type } = field;
      const zero = type.kind === 'enum' ? registry().enum(type.typeName)?.names.get(0) : undefined;
      return (reader, wireType, target, depth) => {
        if (wireType !== expected) {
          reader.skip(wireType);
          return;
        }
        const start = reader.at;
        // A message that occurs twice is merged, which is what decoding both one after the other does.
        const occurred = type.kind === 'message' && Object.hasOwn(target, key);
        const inPlace = occurred && !hasSpecialJson(type.typeName);
        let value = read(reader, depth, inPlace ? (target[key] as Target) : undefined);
        if (occurred && !inPlace) {
          if (++reader.repeats > MAX_REPEATS) throw new DecodeError(`occurs more than ${MAX_REPEATS} times`);
          const again = new WireReader(reader.bytes, start, reader.at);
          const second = reader.bytes.subarray(again.lengthDelimited(), again.at);
          const first = encodeUnchecked(type.typeName, target[key]);
          value = bodyReader(type.typeName)(new WireReader(Buffer.concat([first, second])), depth + 1);
        }
        for (const sibling of siblings) if (sibling in target) delete target[sibling];
        const isDefault =
          !field.presence &&
          (type.kind === 'scalar' ? isDefaultScalar(type.scalar, value) : type.kind === 'enum' && value === zero);
        if (isDefault) delete target[key];
        else target[key] = value;
      };
    }
  }
}

function mapReader(field: FieldSchema, readValue: ValueReader, valueWireType: number): FieldReader {
  const keyScalar = field.mapKey ?? 'string';
  const readKey = SCALAR_READERS[keyScalar];
  return (reader, wireType, target, depth) => {
    if (wireType !== WireType.Bytes) {
      reader.skip(wireType);
      return;
    }
    const map = (target[field.jsonName] ?? {}) as Target;
    target[field.jsonName] = map;
    within(reader, () => {
      let key: unknown = keyScalar === 'string' ? '' : keyScalar === 'bool' ? false : 0;
      let value: unknown = defaultValue(field.type);
      while (reader.at < reader.end) {
        const tag = reader.uint32();
        if (tag === 8 + SCALAR_WIRE_TYPES[keyScalar]) key = readKey(reader);
        else if (tag === 16 + valueWireType) value = readValue(reader, depth);
        else reader.skip(tag & 7);
      }
      put(map, String(key), value);
    });
  };
}

/** What a map entry without a value means. */
function defaultValue(type: FieldType): unknown {
  switch (type.kind) {
    case 'message':
      return bodyReader(type.typeName)(new WireReader(new Uint8Array()), 0);
    case 'enum':
      return registry().enum(type.typeName)?.names.get(0) ?? 0;
    case 'scalar':
      if (type.scalar === 'string' || type.scalar === 'bytes') return '';
      if (type.scalar === 'bool') return false;
      return type.scalar.endsWith('64') ? '0' : 0;
  }
}

function valueReader(type: FieldType): ValueReader {
  switch (type.kind) {
    case 'scalar':
      return SCALAR_READERS[type.scalar];
    case 'enum': {
      if (type.typeName === 'google.protobuf.NullValue')
        return (reader) => {
          reader.uint32();
          return null;
        };
      const schema = registry().enum(type.typeName);
      return (reader) => {
        const number = reader.uint32() | 0;
        return schema?.names.get(number) ?? number;
      };
    }
    case 'message': {
      let body: ValueReader | undefined;
      return (reader, depth, into) => {
        body ??= bodyReader(type.typeName);
        const read = body;
        return within(reader, () => read(reader, depth + 1, into));
      };
    }
  }
}

function jsonNumber(value: number): number | string {
  return Number.isFinite(value) ? value : String(value);
}

const SCALAR_READERS: Readonly<Record<ScalarType, (reader: WireReader) => unknown>> = {
  string: (reader) => reader.string(),
  bytes(reader) {
    const start = reader.lengthDelimited();
    return reader.bytes.toString('base64', start, reader.at);
  },
  bool: (reader) => reader.uint64() !== 0n,
  int32: (reader) => reader.uint32() | 0,
  uint32: (reader) => reader.uint32(),
  sint32(reader) {
    const value = reader.uint32();
    return (value >>> 1) ^ -(value & 1);
  },
  fixed32: (reader) => reader.fixed32(),
  sfixed32: (reader) => reader.fixed32() | 0,
  int64: (reader) => BigInt.asIntN(64, reader.uint64()).toString(),
  uint64: (reader) => reader.uint64().toString(),
  sint64(reader) {
    const value = reader.uint64();
    return ((value >> 1n) ^ -(value & 1n)).toString();
  },
  fixed64: (reader) => reader.fixed64().toString(),
  sfixed64: (reader) => BigInt.asIntN(64, reader.fixed64()).toString(),
  float: (reader) => jsonNumber(reader.float()),
  double: (reader) => jsonNumber(reader.double()),
};

function specialBody(typeName: string): ValueReader | undefined {
  const scalar = WRAPPERS[typeName as keyof typeof WRAPPERS];
  if (scalar !== undefined) {
    const expected = 8 + SCALAR_WIRE_TYPES[scalar];
    return (reader) => {
      let value = defaultValue({ kind: 'scalar', scalar });
      eachField(reader, (tag) => {
        if (tag !== expected) return false;
        value = SCALAR_READERS[scalar](reader);
        return true;
      });
      return value;
    };
  }
  switch (typeName) {
    case 'google.protobuf.Any':
      return readAny;
    case 'google.protobuf.Duration':
      return (reader) => formatDuration(readSecondsNanos(reader));
    case 'google.protobuf.Timestamp':
      return (reader) => formatTimestamp(readSecondsNanos(reader));
    case 'google.protobuf.FieldMask':
      return readFieldMask;
    case 'google.protobuf.Struct':
      return readStruct;
    case 'google.protobuf.Value':
      return readJsonValue;
    case 'google.protobuf.ListValue':
      return readJsonList;
    default:
      return undefined;
  }
}

/** Reads all fields; `read` says whether it took the one with this tag. */
function eachField(reader: WireReader, read: (tag: number) => boolean): void {
  while (reader.at < reader.end) {
    const tag = reader.uint32();
    if (!read(tag)) reader.skip(tag & 7);
  }
}

function readSecondsNanos(reader: WireReader): { seconds: bigint; nanos: number } {
  let seconds = 0n;
  let nanos = 0;
  eachField(reader, (tag) => {
    if (tag === 8) seconds = BigInt.asIntN(64, reader.uint64());
    else if (tag === 16) nanos = reader.uint32() | 0;
    else return false;
    return true;
  });
  return { seconds, nanos };
}

function readAny(reader: WireReader, depth: number): unknown {
  if (depth > MAX_DEPTH) throw new DecodeError(`nested deeper than ${MAX_DEPTH} levels`);
  let url = '';
  let start = 0;
  let stop = 0;
  eachField(reader, (tag) => {
    if (tag === 10) url = reader.string();
    else if (tag === 18) {
      start = reader.lengthDelimited();
      stop = reader.at;
    } else return false;
    return true;
  });
  if (url === '') return {};
  const typeName = typeNameOf(url);
  if (!registry().has(typeName) && !hasSpecialJson(typeName))
    return { '@type': url, value: reader.bytes.toString('base64', start, stop) };
  const content = bodyReader(typeName)(new WireReader(reader.bytes, start, stop), depth + 1);
  if (hasSpecialJson(typeName)) return { '@type': url, value: content };
  return { '@type': url, ...(content as Target) };
}

function readFieldMask(reader: WireReader): unknown {
  const paths: string[] = [];
  eachField(reader, (tag) => {
    if (tag !== 10) return false;
    paths.push(reader.string().replace(/_(.)/g, (_, letter: string) => letter.toUpperCase()));
    return true;
  });
  return paths.join(',');
}

function readStruct(reader: WireReader, depth: number): unknown {
  const target: Target = {};
  eachField(reader, (tag) => {
    if (tag !== 10) return false;
    within(reader, () => {
      let key = '';
      let value: unknown = null;
      eachField(reader, (inner) => {
        if (inner === 10) key = reader.string();
        else if (inner === 18) value = within(reader, () => readJsonValue(reader, depth + 1));
        else return false;
        return true;
      });
      put(target, key, value);
    });
    return true;
  });
  return target;
}

function readJsonValue(reader: WireReader, depth: number): unknown {
  if (depth > MAX_DEPTH) throw new DecodeError(`nested deeper than ${MAX_DEPTH} levels`);
  let value: unknown = null;
  eachField(reader, (tag) => {
    switch (tag) {
      case 8:
        reader.uint32();
        value = null;
        return true;
      case 17:
        value = jsonNumber(reader.double());
        return true;
      case 26:
        value = reader.string();
        return true;
      case 32:
        value = reader.uint64() !== 0n;
        return true;
      case 42:
        value = within(reader, () => readStruct(reader, depth + 1));
        return true;
      case 50:
        value = within(reader, () => readJsonList(reader, depth + 1));
        return true;
      default:
        return false;
    }
  });
  return value;
}

function readJsonList(reader: WireReader, depth: number): unknown {
  const list: unknown[] = [];
  eachField(reader, (tag) => {
    if (tag !== 10) return false;
    list.push(within(reader, () => readJsonValue(reader, depth + 1)));
    return true;
  });
  return list;
}
