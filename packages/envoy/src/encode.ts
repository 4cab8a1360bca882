import type { MessageName, MessageTypes } from '../generated/types.d.ts';
import { EncodeError } from './errors.ts';
import type { FieldSchema, FieldType } from './registry.ts';
import { registry } from './registry.ts';
import {
  describe,
  isDefaultScalar,
  SCALAR_WIRE_TYPES,
  SCALAR_WRITERS,
  toBytes,
  type ValueWriter,
  wireTypeOf,
} from './scalar-writers.ts';
import { hasSpecialJson, parseDuration, parseTimestamp, typeNameOf, WRAPPERS } from './well-known.ts';
import { ReverseWriter, WireType } from './wire.ts';

const MAX_DEPTH = 100;

type PlainObject = { readonly [key: string]: unknown };

/** The writer of a field under one of its names; `write` writes value and tag, or nothing. */
interface FieldWriter {
  readonly key: string;
  readonly number: number;
  readonly oneof: string | undefined;
  readonly nullable: boolean;
  readonly write: ValueWriter;
}

const bodies = new Map<string, ValueWriter>();
const writer = new ReverseWriter(64 * 1024);
let depth = 0;
let busy = false;

/**
 * Encodes an object in ProtoJSON form. Equal objects give equal bytes: fields go by number, map entries by key.
 * Field names may be camelCase or as in the .proto file; a Uint8Array stands for a message that is encoded already.
 * Raises EncodeError (with the JSON path) for unknown fields, wrong types and two members of one oneof.
 */
export function encode<N extends MessageName>(typeName: N, message: MessageTypes[N]): Buffer {
  return encodeUnchecked(typeName, message);
}

/** `encode` for objects whose type is only known at run time; also for well-known types such as google.protobuf.Any. */
export function encodeUnchecked(typeName: string, message: unknown): Buffer {
  // A getter inside the message could call back; the second call then gets a writer of its own.
  const target = busy ? new ReverseWriter() : writer;
  const outer = busy;
  busy = true;
  depth = 0;
  try {
    bodyWriter(typeName)(target, message);
    return target.take();
  } catch (error) {
    target.reset();
    throw error instanceof EncodeError ? error.in(typeName) : error;
  } finally {
    busy = outer;
  }
}

/** Encodes a google.protobuf.Any from an object with `@type`. Raises EncodeError. */
export function encodeAny(resource: { readonly '@type': string }): Buffer {
  return encodeUnchecked('google.protobuf.Any', resource);
}

/** Writes the fields of a message, without a length. */
function bodyWriter(typeName: string): ValueWriter {
  const known = bodies.get(typeName);
  if (known !== undefined) return known;
  const made = specialBody(typeName) ?? messageBody(typeName);
  bodies.set(typeName, made);
  return made;
}

function isObject(value: unknown): value is PlainObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function messageBody(typeName: string): ValueWriter {
  const schema = registry().message(typeName);
  if (schema === undefined) throw new EncodeError(`there is no message type ${typeName}`);
  const writers = new Map<string, FieldWriter>();
  for (const [key, field] of schema.byName) {
    writers.set(key, {
      key,
      number: field.number,
      oneof: field.oneof,
      nullable: field.type.kind !== 'scalar' && /^google\.protobuf\.(Null)?Value$/.test(field.type.typeName),
      write: fieldWriter(field),
    });
  }
  return (w, value) => {
    if (!isObject(value)) throw new EncodeError(`expected an object (${typeName}), found ${describe(value)}`);
    if (value instanceof Uint8Array) {
      w.bytes(value);
      return;
    }
    if (++depth > MAX_DEPTH) throw new EncodeError(`nested deeper than ${MAX_DEPTH} levels`);
    const present: FieldWriter[] = [];
    for (const key of Object.keys(value)) {
      const content = value[key];
      if (content === undefined) continue;
      const field = writers.get(key);
      if (field === undefined) {
        if (key === '@type' && typeNameOf(String(content)) === typeName) continue;
        throw new EncodeError(`${typeName} has no such field`, key);
      }
      if (content === null && !field.nullable) continue;
      // Insertion keeps the list in ascending order; objects are mostly written in it already.
      let at = present.length;
      for (let before = present[at - 1]; before !== undefined && before.number > field.number; before = present[at - 1])
        present[at--] = before;
      present[at] = field;
    }
    checkOneofs(present);
    let field: FieldWriter | undefined;
    try {
      for (let index = present.length - 1; index >= 0; index--) {
        field = present[index];
        field?.write(w, value[field.key]);
      }
    } catch (error) {
      throw error instanceof EncodeError && field !== undefined ? error.within(field.key) : error;
    }
    depth--;
  };
}

function checkOneofs(present: readonly FieldWriter[]): void {
  for (let index = 0; index < present.length; index++) {
    const field = present[index];
    if (field === undefined) continue;
    const before = present[index - 1];
    if (before?.number === field.number) throw new EncodeError(`given twice, also as ${before.key}`, field.key);
    if (field.oneof === undefined) continue;
    for (let other = 0; other < index; other++) {
      const rival = present[other];
      if (rival?.oneof === field.oneof)
        throw new EncodeError(`only one of ${rival.key} and ${field.key} may be set (oneof ${field.oneof})`, field.key);
    }
  }
}

function fieldWriter(field: FieldSchema): ValueWriter {
  switch (field.cardinality) {
    case 'map':
      return mapWriter(field);
    case 'repeated':
      return listWriter(field);
    case 'singular': {
      const write = valueWriter(field.type);
      const tag = tagOf(field);
      const { type } = field;
      if (field.presence || type.kind === 'message')
        return (w, value) => {
          write(w, value);
          w.varint(tag);
        };
      if (type.kind === 'scalar') {
        const { scalar } = type;
        return (w, value) => {
          if (isDefaultScalar(scalar, value)) return;
          write(w, value);
          w.varint(tag);
        };
      }
      const zero = registry().enum(type.typeName)?.names.get(0);
      return (w, value) => {
        if (value === 0 || value === zero) return;
        write(w, value);
        w.varint(tag);
      };
    }
  }
}

function listWriter(field: FieldSchema): ValueWriter {
  const write = valueWriter(field.type);
  const tag = tagOf(field);
  const packedTag = field.number * 8 + WireType.Bytes;
  return (w, value) => {
    if (!Array.isArray(value)) throw new EncodeError(`expected a list, found ${describe(value)}`);
    if (value.length === 0) return;
    const before = w.length;
    let index = value.length - 1;
    try {
      for (; index >= 0; index--) {
        write(w, value[index]);
        if (!field.packed) w.varint(tag);
      }
    } catch (error) {
      throw error instanceof EncodeError ? error.within(`[${index}]`) : error;
    }
    if (!field.packed) return;
    w.varint(w.length - before);
    w.varint(packedTag);
  };
}

function mapWriter(field: FieldSchema): ValueWriter {
  const write = valueWriter(field.type);
  const valueTag = 2 * 8 + wireTypeOf(field.type);
  const keyScalar = field.mapKey ?? 'string';
  const writeKey = SCALAR_WRITERS[keyScalar];
  const keyTag = 8 + SCALAR_WIRE_TYPES[keyScalar];
  const tag = field.number * 8 + WireType.Bytes;
  return (w, value) => {
    if (!isObject(value)) throw new EncodeError(`expected an object, found ${describe(value)}`);
    const keys = Object.keys(value).sort();
    for (let index = keys.length - 1; index >= 0; index--) {
      const key = keys[index] ?? '';
      const content = value[key];
      if (content === undefined) continue;
      const before = w.length;
      try {
        write(w, content);
        w.varint(valueTag);
        writeKey(w, keyScalar === 'bool' ? key === 'true' : key);
      } catch (error) {
        throw error instanceof EncodeError ? error.within(`[${JSON.stringify(key)}]`) : error;
      }
      w.varint(keyTag);
      w.varint(w.length - before);
      w.varint(tag);
    }
  };
}

function valueWriter(type: FieldType): ValueWriter {
  switch (type.kind) {
    case 'scalar':
      return SCALAR_WRITERS[type.scalar];
    case 'enum':
      return enumWriter(type.typeName);
    case 'message': {
      // Types refer to one another in circles, so the inner writer is looked up at first use.
      let body: ValueWriter | undefined;
      return (w, value) => {
        body ??= bodyWriter(type.typeName);
        const before = w.length;
        body(w, value);
        w.varint(w.length - before);
      };
    }
  }
}

function enumWriter(typeName: string): ValueWriter {
  if (typeName === 'google.protobuf.NullValue') return (w) => w.varint(0);
  const schema = registry().enum(typeName);
  if (schema === undefined) throw new EncodeError(`there is no enum type ${typeName}`);
  return (w, value) => {
    const number = typeof value === 'string' ? schema.numbers.get(value) : value;
    if (typeof number !== 'number' || !Number.isInteger(number)) {
      const names = [...schema.numbers.keys()];
      throw new EncodeError(
        `expected one of ${names.slice(0, 12).join(', ')}${names.length > 12 ? ', …' : ''}, found ${describe(value)}`,
      );
    }
    SCALAR_WRITERS.int32(w, number);
  };
}

function tagOf(field: FieldSchema): number {
  return field.number * 8 + wireTypeOf(field.type);
}

function secondsNanosBody(parse: (value: unknown) => { seconds: bigint; nanos: number }): ValueWriter {
  return (w, value) => {
    const { seconds, nanos } = parse(value);
    if (nanos !== 0) {
      SCALAR_WRITERS.int32(w, nanos);
      w.varint(16);
    }
    if (seconds !== 0n) {
      w.varint64(seconds);
      w.varint(8);
    }
  };
}

function specialBody(typeName: string): ValueWriter | undefined {
  const scalar = WRAPPERS[typeName as keyof typeof WRAPPERS];
  if (scalar !== undefined) {
    const write = SCALAR_WRITERS[scalar];
    const tag = 8 + SCALAR_WIRE_TYPES[scalar];
    return (w, value) => {
      if (isDefaultScalar(scalar, value)) return;
      write(w, value);
      w.varint(tag);
    };
  }
  switch (typeName) {
    case 'google.protobuf.Any':
      return writeAny;
    case 'google.protobuf.Duration':
      return secondsNanosBody(parseDuration);
    case 'google.protobuf.Timestamp':
      return secondsNanosBody(parseTimestamp);
    case 'google.protobuf.FieldMask':
      return writeFieldMask;
    case 'google.protobuf.Struct':
      return writeStruct;
    case 'google.protobuf.Value':
      return writeJsonValue;
    case 'google.protobuf.ListValue':
      return writeJsonList;
    default:
      return undefined;
  }
}

function writeAny(w: ReverseWriter, value: unknown): void {
  if (!isObject(value)) throw new EncodeError(`expected an object with @type, found ${describe(value)}`);
  if (value instanceof Uint8Array) {
    w.bytes(value);
    return;
  }
  const url = value['@type'];
  if (typeof url !== 'string' || url === '') {
    if (Object.keys(value).length === 0) return;
    throw new EncodeError('an object of any type needs its type URL in @type', '@type');
  }
  const typeName = typeNameOf(url);
  const before = w.length;
  if (hasSpecialJson(typeName)) {
    try {
      bodyWriter(typeName)(w, value.value);
    } catch (error) {
      throw error instanceof EncodeError ? error.within('value') : error;
    }
  } else if (registry().has(typeName)) bodyWriter(typeName)(w, value);
  else {
    // The form in which decoding gives a type that is not in the registry.
    const keys = Object.keys(value).filter((key) => key !== '@type');
    if (keys.length !== 1 || keys[0] !== 'value' || typeof value.value !== 'string')
      throw new EncodeError(`there is no message type ${typeName}`, '@type');
    w.bytes(toBytes(value.value));
  }
  if (w.length > before) {
    w.varint(w.length - before);
    w.varint(18);
  }
  SCALAR_WRITERS.string(w, url);
  w.varint(10);
}

function writeFieldMask(w: ReverseWriter, value: unknown): void {
  if (typeof value !== 'string') throw new EncodeError(`expected a field mask, found ${describe(value)}`);
  for (const path of value.split(',').filter(Boolean).reverse()) {
    SCALAR_WRITERS.string(
      w,
      path.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    );
    w.varint(10);
  }
}

function writeStruct(w: ReverseWriter, value: unknown): void {
  if (!isObject(value)) throw new EncodeError(`expected an object, found ${describe(value)}`);
  if (value instanceof Uint8Array) {
    w.bytes(value);
    return;
  }
  const keys = Object.keys(value).sort();
  for (let index = keys.length - 1; index >= 0; index--) {
    const key = keys[index] ?? '';
    const content = value[key];
    if (content === undefined) continue;
    const before = w.length;
    try {
      writeJsonValue(w, content);
    } catch (error) {
      throw error instanceof EncodeError ? error.within(key) : error;
    }
    w.varint(w.length - before);
    w.varint(18);
    SCALAR_WRITERS.string(w, key);
    w.varint(10);
    w.varint(w.length - before);
    w.varint(10);
  }
}

function writeJsonValue(w: ReverseWriter, value: unknown): void {
  if (++depth > MAX_DEPTH) throw new EncodeError(`nested deeper than ${MAX_DEPTH} levels`);
  const before = w.length;
  if (value === null) {
    w.varint(0);
    w.varint(8);
  } else if (typeof value === 'number') {
    w.double(value);
    w.varint(17);
  } else if (typeof value === 'string') {
    SCALAR_WRITERS.string(w, value);
    w.varint(26);
  } else if (typeof value === 'boolean') {
    w.varint(value ? 1 : 0);
    w.varint(32);
  } else if (Array.isArray(value)) {
    writeJsonList(w, value);
    w.varint(w.length - before);
    w.varint(50);
  } else if (isObject(value)) {
    writeStruct(w, value);
    w.varint(w.length - before);
    w.varint(42);
  } else throw new EncodeError(`expected a JSON value, found ${describe(value)}`);
  depth--;
}

function writeJsonList(w: ReverseWriter, value: unknown): void {
  if (!Array.isArray(value)) throw new EncodeError(`expected a list, found ${describe(value)}`);
  for (let index = value.length - 1; index >= 0; index--) {
    const before = w.length;
    try {
      writeJsonValue(w, value[index]);
    } catch (error) {
      throw error instanceof EncodeError ? error.within(`[${index}]`) : error;
    }
    w.varint(w.length - before);
    w.varint(10);
  }
}
