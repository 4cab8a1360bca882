import { create } from '@bufbuild/protobuf';
import {
  type DescriptorProto,
  DescriptorProtoSchema,
  type EnumDescriptorProto,
  EnumDescriptorProtoSchema,
  EnumValueDescriptorProtoSchema,
  type FieldDescriptorProto,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FieldDescriptorProtoSchema,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  MessageOptionsSchema,
  MethodDescriptorProtoSchema,
  OneofDescriptorProtoSchema,
  type ServiceDescriptorProto,
  ServiceDescriptorProtoSchema,
} from '@bufbuild/protobuf/wkt';

const SCALARS: Readonly<Record<string, FieldDescriptorProto_Type>> = {
  double: FieldDescriptorProto_Type.DOUBLE,
  float: FieldDescriptorProto_Type.FLOAT,
  int64: FieldDescriptorProto_Type.INT64,
  uint64: FieldDescriptorProto_Type.UINT64,
  int32: FieldDescriptorProto_Type.INT32,
  uint32: FieldDescriptorProto_Type.UINT32,
  bool: FieldDescriptorProto_Type.BOOL,
  string: FieldDescriptorProto_Type.STRING,
  bytes: FieldDescriptorProto_Type.BYTES,
};

/**
 * Compiles the part of the proto3 language that our own few files use: messages, enums, oneofs, maps and services, no
 * options. Type names stay as written; `resolveTypeNames` makes them full.
 */
export function parseProto(name: string, text: string): FileDescriptorProto {
  const tokens = text.replace(/\/\/[^\n]*/g, '').match(/"[^"]*"|[\w.]+|[{}()<>=;,]/g) ?? [];
  let at = 0;
  const next = (): string => {
    const token = tokens[at++];
    if (token === undefined) throw new Error(`${name}: the file ends too early`);
    return token;
  };
  const expect = (wanted: string): void => {
    const token = next();
    if (token !== wanted) throw new Error(`${name}: expected ${wanted}, found ${token}`);
  };
  const file = create(FileDescriptorProtoSchema, { name, syntax: 'proto3' });

  const parseEnum = (): EnumDescriptorProto => {
    const found = create(EnumDescriptorProtoSchema, { name: next() });
    expect('{');
    for (let token = next(); token !== '}'; token = next()) {
      expect('=');
      found.value.push(create(EnumValueDescriptorProtoSchema, { name: token, number: Number(next()) }));
      expect(';');
    }
    return found;
  };

  const parseField = (message: DescriptorProto, first: string, oneof: number | undefined): void => {
    let label = FieldDescriptorProto_Label.OPTIONAL;
    let type = first;
    if (type === 'repeated') {
      label = FieldDescriptorProto_Label.REPEATED;
      type = next();
    }
    let entry: { key: string; value: string } | undefined;
    if (type === 'map') {
      expect('<');
      const key = next();
      expect(',');
      entry = { key, value: next() };
      expect('>');
    }
    const fieldName = next();
    expect('=');
    const number = Number(next());
    expect(';');
    if (entry !== undefined) {
      const pascal = fieldName.replace(/(^|_)(\w)/g, (_, __, letter: string) => letter.toUpperCase());
      const nested = create(DescriptorProtoSchema, { name: `${pascal}Entry` });
      nested.options = create(MessageOptionsSchema, { mapEntry: true });
      nested.field.push(
        field('key', 1, entry.key, FieldDescriptorProto_Label.OPTIONAL),
        field('value', 2, entry.value, FieldDescriptorProto_Label.OPTIONAL),
      );
      message.nestedType.push(nested);
      type = `${message.name}.${nested.name}`;
      label = FieldDescriptorProto_Label.REPEATED;
    }
    const made = field(fieldName, number, type, label);
    if (oneof !== undefined) made.oneofIndex = oneof;
    message.field.push(made);
  };

  const parseMessage = (): DescriptorProto => {
    const message = create(DescriptorProtoSchema, { name: next() });
    expect('{');
    for (let token = next(); token !== '}'; token = next()) {
      if (token === 'message') message.nestedType.push(parseMessage());
      else if (token === 'enum') message.enumType.push(parseEnum());
      else if (token === 'oneof') {
        message.oneofDecl.push(create(OneofDescriptorProtoSchema, { name: next() }));
        expect('{');
        for (let inner = next(); inner !== '}'; inner = next())
          parseField(message, inner, message.oneofDecl.length - 1);
      } else parseField(message, token, undefined);
    }
    return message;
  };

  const parseService = (): ServiceDescriptorProto => {
    const service = create(ServiceDescriptorProtoSchema, { name: next() });
    expect('{');
    const parseSide = (): { stream: boolean; type: string } => {
      expect('(');
      let type = next();
      const stream = type === 'stream';
      if (stream) type = next();
      expect(')');
      return { stream, type };
    };
    for (let token = next(); token !== '}'; token = next()) {
      if (token !== 'rpc') throw new Error(`${name}: expected rpc, found ${token}`);
      const method = create(MethodDescriptorProtoSchema, { name: next() });
      const input = parseSide();
      expect('returns');
      const output = parseSide();
      expect(';');
      method.inputType = input.type;
      method.outputType = output.type;
      method.clientStreaming = input.stream;
      method.serverStreaming = output.stream;
      service.method.push(method);
    }
    return service;
  };

  while (at < tokens.length) {
    const token = next();
    if (token === 'syntax') {
      expect('=');
      expect('"proto3"');
      expect(';');
    } else if (token === 'package') {
      file.package = next();
      expect(';');
    } else if (token === 'import') {
      file.dependency.push(next().slice(1, -1));
      expect(';');
    } else if (token === 'message') file.messageType.push(parseMessage());
    else if (token === 'enum') file.enumType.push(parseEnum());
    else if (token === 'service') file.service.push(parseService());
    else throw new Error(`${name}: unexpected ${token}`);
  }
  return file;
}

function field(name: string, number: number, type: string, label: FieldDescriptorProto_Label): FieldDescriptorProto {
  const scalar = SCALARS[type];
  const made = create(FieldDescriptorProtoSchema, { name, number, label });
  if (scalar === undefined) made.typeName = type;
  else made.type = scalar;
  return made;
}

/** Makes the type names of a parsed file full (leading dot), given the kind of every type that exists. */
export function resolveTypeNames(file: FileDescriptorProto, kinds: ReadonlyMap<string, 'message' | 'enum'>): void {
  const resolve = (scope: string, name: string): string => {
    for (let outer = scope; ; outer = outer.slice(0, Math.max(0, outer.lastIndexOf('.')))) {
      const full = outer === '' ? name : `${outer}.${name}`;
      if (kinds.has(full)) return full;
      if (outer === '') throw new Error(`${file.name}: unknown type ${name} in ${scope}`);
    }
  };
  const visit = (scope: string, message: DescriptorProto): void => {
    const inside = `${scope}.${message.name}`;
    for (const each of message.field) {
      if (each.typeName === '') continue;
      const full = resolve(inside, each.typeName);
      each.type = kinds.get(full) === 'enum' ? FieldDescriptorProto_Type.ENUM : FieldDescriptorProto_Type.MESSAGE;
      each.typeName = `.${full}`;
    }
    for (const nested of message.nestedType) visit(inside, nested);
  };
  for (const message of file.messageType) visit(file.package, message);
  for (const service of file.service) {
    for (const method of service.method) {
      method.inputType = `.${resolve(file.package, method.inputType)}`;
      method.outputType = `.${resolve(file.package, method.outputType)}`;
    }
  }
}
