import { ensureObject, type JsonObject } from '../json.ts';
import { badRequest } from '../status.ts';
import { wireFieldsJson } from './generated/wire-fields.ts';

/** One field of a message: its name in JSON ('' when its fields belong to the parent) and how it is encoded. */
interface WireField {
  readonly name: string;
  readonly type: string;
  readonly repeated: boolean;
  readonly map: boolean;
  /** Lists inside maps are wrapped in a message. */
  readonly listValue: boolean;
  /** Absent and zero are different (a pointer in Go), or the zero is always written. */
  readonly keepZero: boolean;
  /** Written even when empty. */
  readonly required: boolean;
}

const MAGIC = Buffer.from('k8s\0');
const MAX_DEPTH = 60;

let table: Record<string, string> | undefined;
const messages = new Map<string, Map<number, WireField>>();

function parseField(text: string): [number, WireField] {
  const [name = '', number = '', encoded = ''] = text.split(',');
  const required = encoded.endsWith('!');
  const type = required ? encoded.slice(0, -1) : encoded;
  const match = /^(\[\]|%)?(L)?(\*)?(.*)$/.exec(type);
  return [
    Number(number),
    {
      name,
      type: match?.[4] ?? type,
      repeated: match?.[1] === '[]',
      map: match?.[1] === '%',
      listValue: match?.[2] === 'L',
      keepZero: match?.[3] === '*' || required,
      required,
    },
  ];
}

function fieldsOf(message: string): Map<number, WireField> {
  let fields = messages.get(message);
  if (fields === undefined) {
    table ??= JSON.parse(wireFieldsJson) as Record<string, string>;
    const text = table[message];
    if (text === undefined) throw badRequest(`no kind ${JSON.stringify(message)} is known in protobuf`);
    fields = new Map(text === '' ? [] : text.split(';').map(parseField));
    messages.set(message, fields);
  }
  return fields;
}

class Reader {
  readonly bytes: Buffer;
  position = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  get done(): boolean {
    return this.position >= this.bytes.length;
  }

  varint(): bigint {
    let result = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.bytes[this.position];
      if (byte === undefined) throw badRequest('the protobuf body ends too early');
      this.position += 1;
      result |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, result);
    }
    throw badRequest('the protobuf body has a number that is too long');
  }

  take(length: number): Buffer {
    if (length < 0 || this.position + length > this.bytes.length) throw badRequest('the protobuf body ends too early');
    const part = this.bytes.subarray(this.position, this.position + length);
    this.position += length;
    return part;
  }
}

type Raw = { readonly wire: 0; readonly value: bigint } | { readonly wire: 1 | 2 | 5; readonly bytes: Buffer };

function* rawFields(bytes: Buffer): Generator<readonly [number: number, raw: Raw]> {
  const reader = new Reader(bytes);
  while (!reader.done) {
    const tag = Number(reader.varint());
    const wire = tag & 7;
    const number = tag >>> 3;
    if (wire === 0) yield [number, { wire, value: reader.varint() }];
    else if (wire === 1) yield [number, { wire, bytes: reader.take(8) }];
    else if (wire === 5) yield [number, { wire, bytes: reader.take(4) }];
    else if (wire === 2) yield [number, { wire, bytes: reader.take(Number(reader.varint())) }];
    else throw badRequest(`the protobuf body has wire type ${wire}`);
  }
}

const bytesOf = (raw: Raw): Buffer => (raw.wire === 0 ? Buffer.alloc(0) : raw.bytes);
const numberOf = (raw: Raw): number => (raw.wire === 0 ? Number(BigInt.asIntN(64, raw.value)) : 0);

function values(bytes: Buffer): Map<number, Raw> {
  return new Map(rawFields(bytes));
}

/** Types with a JSON form of their own. */
const SPECIAL: Readonly<Record<string, (bytes: Buffer) => unknown>> = {
  '^Time': (bytes) => time(bytes, false),
  '^MicroTime': (bytes) => time(bytes, true),
  'io.k8s.apimachinery.pkg.api.resource.Quantity': (bytes) => {
    const text = values(bytes).get(1);
    return text === undefined ? '0' : bytesOf(text).toString('utf8');
  },
  'io.k8s.apimachinery.pkg.util.intstr.IntOrString': (bytes) => {
    const fields = values(bytes);
    const type = fields.get(1);
    const text = fields.get(3);
    const number = fields.get(2);
    if (type !== undefined && numberOf(type) === 1) return text === undefined ? '' : bytesOf(text).toString('utf8');
    return number === undefined ? 0 : numberOf(number);
  },
  '^FieldsV1': embeddedJson,
  'io.k8s.apimachinery.pkg.runtime.RawExtension': embeddedJson,
};

function embeddedJson(bytes: Buffer): unknown {
  const raw = values(bytes).get(1);
  if (raw === undefined) return undefined;
  try {
    return JSON.parse(bytesOf(raw).toString('utf8')) as unknown;
  } catch {
    throw badRequest('the protobuf body has an embedded object that is not JSON');
  }
}

function time(bytes: Buffer, micro: boolean): unknown {
  const fields = values(bytes);
  const seconds = fields.get(1);
  if (seconds === undefined) return undefined;
  const nanos = fields.get(2);
  const date = new Date(numberOf(seconds) * 1000);
  if (Number.isNaN(date.getTime()) || numberOf(seconds) <= 0) return undefined;
  const text = date.toISOString().slice(0, 19);
  if (!micro) return `${text}Z`;
  return `${text}.${String(Math.floor((nanos === undefined ? 0 : numberOf(nanos)) / 1000)).padStart(6, '0')}Z`;
}

function scalar(raw: Raw, type: string, depth: number): unknown {
  switch (type) {
    case 's':
      return bytesOf(raw).toString('utf8');
    case 'y':
      return bytesOf(raw).toString('base64');
    case 'i':
      return numberOf(raw);
    case 'b':
      return numberOf(raw) !== 0;
    case 'f':
      return raw.wire === 1 ? raw.bytes.readDoubleLE() : 0;
    default: {
      const special = SPECIAL[type];
      return special === undefined ? message(bytesOf(raw), type, depth + 1) : special(bytesOf(raw));
    }
  }
}

function isZero(value: unknown): boolean {
  if (value === '' || value === 0 || value === false || value === undefined) return true;
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

function message(bytes: Buffer, type: string, depth: number): JsonObject {
  if (depth > MAX_DEPTH) throw badRequest('the protobuf body is nested too deeply');
  const fields = fieldsOf(type);
  const result: JsonObject = {};
  for (const [number, raw] of rawFields(bytes)) {
    const field = fields.get(number);
    if (field === undefined) continue;
    if (field.map) {
      const entry = values(bytesOf(raw));
      const key = entry.get(1);
      const value = entry.get(2);
      const map = ensureObject(result, field.name);
      const name = key === undefined ? '' : bytesOf(key).toString('utf8');
      if (field.listValue) {
        map[name] =
          value === undefined ? [] : [...rawFields(bytesOf(value))].map(([, item]) => scalar(item, field.type, depth));
      } else map[name] = value === undefined ? '' : scalar(value, field.type, depth);
      continue;
    }
    if (field.repeated) {
      const known = result[field.name];
      const item = scalar(raw, field.type, depth);
      if (Array.isArray(known)) known.push(item);
      else result[field.name] = [item];
      continue;
    }
    if (field.listValue) {
      result[field.name] = [...rawFields(bytesOf(raw))].map(([, item]) => scalar(item, field.type, depth));
      continue;
    }
    const value = scalar(raw, field.type, depth);
    if (field.name === '') Object.assign(result, value);
    else if (value !== undefined && (field.keepZero || !isZero(value))) result[field.name] = value;
  }
  return result;
}

/** Name of the message of a kind in the table. */
function messageName(apiVersion: string, kind: string): string {
  if (['DeleteOptions', 'CreateOptions', 'UpdateOptions', 'PatchOptions'].includes(kind)) return `^${kind}`;
  const [group = '', version = ''] = apiVersion.includes('/') ? apiVersion.split('/') : ['core', apiVersion];
  return `~${group.split('.')[0] ?? ''}.${version}.${kind}`;
}

/**
 * Decodes a body of `application/vnd.kubernetes.protobuf` (Kubernetes documentation, "Kubernetes Protobuf encoding"): four bytes of
 * magic, then an envelope with kind and apiVersion around the message. Throws a 400 `ApiError`.
 */
export function decodeProtobuf(bytes: Buffer): JsonObject {
  if (!bytes.subarray(0, 4).equals(MAGIC))
    throw badRequest('the protobuf body does not start with the expected four bytes');
  const envelope = values(bytes.subarray(4));
  const typeMeta = values(bytesOf(envelope.get(1) ?? { wire: 2, bytes: Buffer.alloc(0) }));
  const text = (number: number) =>
    bytesOf(typeMeta.get(number) ?? { wire: 2, bytes: Buffer.alloc(0) }).toString('utf8');
  const apiVersion = text(1);
  const kind = text(2);
  const raw = envelope.get(2);
  const body = raw === undefined ? {} : message(bytesOf(raw), messageName(apiVersion, kind), 0);
  return { apiVersion, kind, ...body };
}
