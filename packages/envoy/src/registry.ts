import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { jsonName } from './field-name.ts';
import { WireReader, WireType } from './wire.ts';

/** The scalar types of protobuf by their names in the language. */
export type ScalarType =
  | 'double'
  | 'float'
  | 'int64'
  | 'uint64'
  | 'int32'
  | 'fixed64'
  | 'fixed32'
  | 'bool'
  | 'string'
  | 'bytes'
  | 'uint32'
  | 'sfixed32'
  | 'sfixed64'
  | 'sint32'
  | 'sint64';

/** What a field, a list's element or a map's value holds. */
export type FieldType =
  | { readonly kind: 'scalar'; readonly scalar: ScalarType }
  | { readonly kind: 'enum'; readonly typeName: string }
  | { readonly kind: 'message'; readonly typeName: string };

/** One field of a message. */
export interface FieldSchema {
  /** As in the .proto file: `stat_prefix`. */
  readonly name: string;
  /** As in our objects: `statPrefix`. */
  readonly jsonName: string;
  readonly number: number;
  readonly cardinality: 'singular' | 'repeated' | 'map';
  readonly type: FieldType;
  /** The type of a map's keys. */
  readonly mapKey: ScalarType | undefined;
  readonly packed: boolean;
  /** The oneof that it is a member of; an `optional` scalar is in none. */
  readonly oneof: string | undefined;
  /** Whether absent differs from the default value. */
  readonly presence: boolean;
}

/** A message type. */
export interface MessageSchema {
  readonly typeName: string;
  /** Ascending by number. */
  readonly fields: readonly FieldSchema[];
  /** By JSON name and by proto name. */
  readonly byName: ReadonlyMap<string, FieldSchema>;
}

/** An enum type. */
export interface EnumSchema {
  readonly typeName: string;
  readonly numbers: ReadonlyMap<string, number>;
  /** The first name of each number. */
  readonly names: ReadonlyMap<number, string>;
}

/** A method of a gRPC service. */
export interface MethodSchema {
  readonly name: string;
  readonly input: string;
  readonly output: string;
  readonly clientStreaming: boolean;
  readonly serverStreaming: boolean;
}

const SCALARS: readonly (ScalarType | undefined)[] = [
  undefined,
  'double',
  'float',
  'int64',
  'uint64',
  'int32',
  'fixed64',
  'fixed32',
  'bool',
  'string',
  undefined,
  undefined,
  'bytes',
  'uint32',
  undefined,
  'sfixed32',
  'sfixed64',
  'sint32',
  'sint64',
];

interface Slice {
  readonly start: number;
  readonly end: number;
}

/**
 * Message types from an encoded google.protobuf.FileDescriptorSet (proto3 files only). Opening it only notes where each
 * file's bytes are; packages are indexed and types read when they are asked for, so a program pays for what it uses.
 */
export class Registry {
  readonly #bytes: Buffer;
  readonly #messageSlices = new Map<string, Slice>();
  readonly #enumSlices = new Map<string, Slice>();
  readonly #mapEntries = new Map<string, Slice>();
  readonly #services = new Map<string, readonly MethodSchema[]>();
  readonly #files = new Map<string, Slice>();
  /** Files whose types are not indexed yet, by package. */
  readonly #waiting = new Map<string, Slice[]>();
  readonly #fileOf = new Map<string, string>();
  readonly #messages = new Map<string, MessageSchema>();
  readonly #enums = new Map<string, EnumSchema>();

  constructor(fileDescriptorSet: Uint8Array) {
    const set = new WireReader(fileDescriptorSet);
    this.#bytes = set.bytes;
    for (const file of this.#fields(set)) if (file.number === 1) this.#noteFile(file);
  }

  /** The message type, or undefined when the registry does not have it. */
  message(typeName: string): MessageSchema | undefined {
    const known = this.#messages.get(typeName);
    if (known !== undefined) return known;
    this.#indexPackageOf(typeName);
    const slice = this.#messageSlices.get(typeName);
    if (slice === undefined) return undefined;
    const schema = this.#readMessage(typeName, slice);
    this.#messages.set(typeName, schema);
    return schema;
  }

  enum(typeName: string): EnumSchema | undefined {
    const known = this.#enums.get(typeName);
    if (known !== undefined) return known;
    this.#indexPackageOf(typeName);
    const slice = this.#enumSlices.get(typeName);
    if (slice === undefined) return undefined;
    const numbers = new Map<string, number>();
    const names = new Map<number, string>();
    for (const value of this.#fields(slice)) {
      if (value.number !== 2) continue;
      let name = '';
      let number = 0;
      for (const part of this.#fields(value)) {
        if (part.number === 1) name = this.#text(part);
        else if (part.number === 2) number = part.varint | 0;
      }
      numbers.set(name, number);
      if (!names.has(number)) names.set(number, name);
    }
    const schema: EnumSchema = { typeName, numbers, names };
    this.#enums.set(typeName, schema);
    return schema;
  }

  has(typeName: string): boolean {
    this.#indexPackageOf(typeName);
    return this.#messageSlices.has(typeName);
  }

  /** Full names of all messages. */
  messageNames(): IterableIterator<string> {
    this.#indexAll();
    return this.#messageSlices.keys();
  }

  /** The gRPC services by full name. */
  services(): ReadonlyMap<string, readonly MethodSchema[]> {
    this.#indexAll();
    return this.#services;
  }

  /** The encoded FileDescriptorProto of a file name, or of the file that defines a message, enum or service. */
  fileDescriptor(nameOrSymbol: string): Uint8Array | undefined {
    if (!this.#files.has(nameOrSymbol)) this.#indexPackageOf(nameOrSymbol);
    const slice = this.#files.get(this.#fileOf.get(nameOrSymbol) ?? nameOrSymbol);
    return slice === undefined ? undefined : this.#bytes.subarray(slice.start, slice.end);
  }

  *#fields(slice: Slice | WireReader): Generator<Slice & { number: number; varint: number }> {
    const reader = slice instanceof WireReader ? slice : new WireReader(this.#bytes, slice.start, slice.end);
    while (reader.at < reader.end) {
      const tag = reader.uint32();
      if ((tag & 7) === WireType.Bytes) {
        const start = reader.lengthDelimited();
        yield { number: tag >>> 3, varint: 0, start, end: reader.at };
      } else if ((tag & 7) === WireType.Varint) {
        yield { number: tag >>> 3, varint: reader.uint32(), start: 0, end: 0 };
      } else reader.skip(tag & 7);
    }
  }

  #text(slice: Slice): string {
    return this.#bytes.toString('utf8', slice.start, slice.end);
  }

  #noteFile(file: Slice): void {
    for (const field of this.#fields(file)) {
      if (field.number === 1) this.#files.set(this.#text(field), file);
      if (field.number !== 2) continue;
      const name = this.#text(field);
      const waiting = this.#waiting.get(name);
      if (waiting === undefined) this.#waiting.set(name, [file]);
      else waiting.push(file);
      return;
    }
  }

  #indexPackageOf(symbol: string): void {
    for (let at = symbol.lastIndexOf('.'); at > 0; at = symbol.lastIndexOf('.', at - 1)) {
      const name = symbol.slice(0, at);
      const files = this.#waiting.get(name);
      if (files === undefined) continue;
      this.#waiting.delete(name);
      for (const file of files) this.#indexFile(file);
    }
  }

  #indexAll(): void {
    for (const files of this.#waiting.values()) for (const file of files) this.#indexFile(file);
    this.#waiting.clear();
  }

  #indexFile(file: Slice): void {
    let name = '';
    let scope = '';
    for (const field of this.#fields(file)) {
      if (field.number === 1) name = this.#text(field);
      else if (field.number === 2) scope = this.#text(field);
      else if (field.number === 4) this.#indexMessage(name, scope, field);
      else if (field.number === 5) this.#indexEnum(name, scope, field);
      else if (field.number === 6) this.#indexService(name, scope, field);
    }
  }

  #indexMessage(file: string, scope: string, message: Slice): void {
    let name = '';
    for (const field of this.#fields(message)) {
      if (field.number === 1) {
        name = `${scope}.${this.#text(field)}`;
        this.#messageSlices.set(name, message);
        this.#fileOf.set(name, file);
      } else if (field.number === 3) this.#indexMessage(file, name, field);
      else if (field.number === 4) this.#indexEnum(file, name, field);
      else if (field.number === 7) {
        for (const option of this.#fields(field)) {
          if (option.number !== 7 || option.varint === 0) continue;
          this.#mapEntries.set(name, message);
          this.#messageSlices.delete(name);
        }
      }
    }
  }

  #indexEnum(file: string, scope: string, type: Slice): void {
    for (const field of this.#fields(type)) {
      if (field.number !== 1) continue;
      const name = `${scope}.${this.#text(field)}`;
      this.#enumSlices.set(name, type);
      this.#fileOf.set(name, file);
      return;
    }
  }

  #indexService(file: string, scope: string, service: Slice): void {
    let name = '';
    const methods: MethodSchema[] = [];
    for (const field of this.#fields(service)) {
      if (field.number === 1) name = `${scope}.${this.#text(field)}`;
      if (field.number !== 2) continue;
      const method = { name: '', input: '', output: '', clientStreaming: false, serverStreaming: false };
      for (const part of this.#fields(field)) {
        if (part.number === 1) method.name = this.#text(part);
        else if (part.number === 2) method.input = this.#text(part).slice(1);
        else if (part.number === 3) method.output = this.#text(part).slice(1);
        else if (part.number === 5) method.clientStreaming = part.varint === 1;
        else if (part.number === 6) method.serverStreaming = part.varint === 1;
      }
      methods.push(method);
    }
    this.#services.set(name, methods);
    this.#fileOf.set(name, file);
  }

  #readMessage(typeName: string, slice: Slice): MessageSchema {
    const oneofs: string[] = [];
    const raw: Slice[] = [];
    for (const field of this.#fields(slice)) {
      if (field.number === 2) raw.push(field);
      if (field.number !== 8) continue;
      for (const part of this.#fields(field)) if (part.number === 1) oneofs.push(this.#text(part));
    }
    const fields = raw.map((field) => this.#readField(field, oneofs)).sort((a, b) => a.number - b.number);
    const byName = new Map<string, FieldSchema>();
    for (const field of fields) byName.set(field.name, field);
    for (const field of fields) byName.set(field.jsonName, field);
    return { typeName, fields, byName };
  }

  #readField(slice: Slice, oneofs: readonly string[]): FieldSchema {
    let name = '';
    let declared = '';
    let number = 0;
    let label = 0;
    let type = 0;
    let typeName = '';
    let oneof: string | undefined;
    let optional = false;
    let packed: boolean | undefined;
    for (const part of this.#fields(slice)) {
      if (part.number === 1) name = this.#text(part);
      else if (part.number === 3) number = part.varint;
      else if (part.number === 4) label = part.varint;
      else if (part.number === 5) type = part.varint;
      else if (part.number === 6) typeName = this.#text(part).slice(1);
      else if (part.number === 9) oneof = oneofs[part.varint];
      else if (part.number === 10) declared = this.#text(part);
      else if (part.number === 17) optional = part.varint === 1;
      else if (part.number === 8) {
        for (const option of this.#fields(part)) if (option.number === 2) packed = option.varint === 1;
      }
    }
    const names = { name, jsonName: jsonName({ name, jsonName: declared }), number };
    if (typeName !== '') this.#indexPackageOf(typeName);
    const entry = this.#mapEntries.get(typeName);
    if (entry !== undefined) {
      const parts: FieldSchema[] = [];
      for (const part of this.#fields(entry)) if (part.number === 2) parts.push(this.#readField(part, []));
      const key = parts.find((part) => part.number === 1)?.type;
      const value = parts.find((part) => part.number === 2)?.type;
      if (key?.kind !== 'scalar' || value === undefined) throw new Error(`${typeName} is no map entry`);
      return {
        ...names,
        cardinality: 'map',
        type: value,
        mapKey: key.scalar,
        packed: false,
        oneof: undefined,
        presence: false,
      };
    }
    const scalar = SCALARS[type];
    const repeated = label === 3;
    const fieldType: FieldType =
      scalar !== undefined
        ? { kind: 'scalar', scalar }
        : type === 14
          ? { kind: 'enum', typeName }
          : { kind: 'message', typeName };
    const packable = fieldType.kind === 'enum' || (scalar !== undefined && scalar !== 'string' && scalar !== 'bytes');
    return {
      ...names,
      cardinality: repeated ? 'repeated' : 'singular',
      type: fieldType,
      mapKey: undefined,
      packed: repeated && packable && packed !== false,
      oneof: optional ? undefined : oneof,
      presence: !repeated && (fieldType.kind === 'message' || oneof !== undefined),
    };
  }
}

let shared: Registry | undefined;
let descriptorFile: string | undefined;

/** Says where the descriptors are when they are not at one of the usual places; before the first use. */
export function setDescriptorFile(path: string): void {
  descriptorFile = path;
  shared = undefined;
}

/** The registry of all messages that Envoy and Istio exchange, read at first use. */
export function registry(): Registry {
  if (shared !== undefined) return shared;
  // In the sources, beside a bundle, in the bundle's data folder.
  const places = ['../generated/descriptors.binpb', './descriptors.binpb', '../data/descriptors.binpb'];
  const candidates = descriptorFile !== undefined ? [descriptorFile] : places.map(beside);
  const path = candidates.find((candidate) => existsSync(candidate));
  if (path === undefined)
    throw new Error(`Envoy's message descriptors are missing; looked at ${candidates.join(', ')}`);
  shared = new Registry(readFileSync(path));
  return shared;
}

function beside(relative: string): string {
  return fileURLToPath(new URL(relative, import.meta.url));
}
