import { clone } from '@bufbuild/protobuf';
import {
  type DescriptorProto,
  DescriptorProtoSchema,
  type EnumDescriptorProto,
  EnumDescriptorProtoSchema,
  type FieldDescriptorProto,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
} from '@bufbuild/protobuf/wkt';

/** Every message and enum of the files by full name. */
export function typeKinds(files: readonly FileDescriptorProto[]): Map<string, 'message' | 'enum'> {
  const kinds = new Map<string, 'message' | 'enum'>();
  const visit = (scope: string, message: DescriptorProto): void => {
    const name = `${scope}.${message.name}`;
    kinds.set(name, 'message');
    for (const nested of message.nestedType) visit(name, nested);
    for (const each of message.enumType) kinds.set(`${name}.${each.name}`, 'enum');
  };
  for (const file of files) {
    for (const message of file.messageType) visit(file.package, message);
    for (const each of file.enumType) kinds.set(`${file.package}.${each.name}`, 'enum');
  }
  return kinds;
}

/**
 * Keeps the top-level types of the packages that `isRoot` admits and everything they refer to; drops options that have
 * no part in encoding, extensions and comments, and recomputes the imports. Files come out after their imports.
 */
export function trimFiles(
  files: readonly FileDescriptorProto[],
  isRoot: (packageName: string) => boolean,
): FileDescriptorProto[] {
  const owner = new Map<string, { file: FileDescriptorProto; type: DescriptorProto | EnumDescriptorProto }>();
  const topLevel = new Map<string, string>();
  const index = (top: string, name: string, message: DescriptorProto): void => {
    topLevel.set(name, top);
    for (const nested of message.nestedType) index(top, `${name}.${nested.name}`, nested);
    for (const each of message.enumType) topLevel.set(`${name}.${each.name}`, top);
  };
  for (const file of files) {
    for (const message of file.messageType) {
      const name = `${file.package}.${message.name}`;
      owner.set(name, { file, type: message });
      index(name, name, message);
    }
    for (const each of file.enumType) {
      const name = `${file.package}.${each.name}`;
      owner.set(name, { file, type: each });
      topLevel.set(name, name);
    }
  }

  const keep = new Set<string>();
  const pending: string[] = [];
  const want = (name: string): string => {
    const top = topLevel.get(name.replace(/^\./, ''));
    if (top === undefined) throw new Error(`no file holds the type ${name}`);
    if (!keep.has(top)) {
      keep.add(top);
      pending.push(top);
    }
    return top;
  };
  for (const [name, { file }] of owner) if (isRoot(file.package)) want(name);
  for (const file of files) {
    if (!isRoot(file.package)) continue;
    for (const method of file.service.flatMap((service) => service.method)) {
      want(method.inputType);
      want(method.outputType);
    }
  }
  const references = (message: DescriptorProto): string[] => [
    ...message.field.flatMap((field) => (field.typeName === '' ? [] : [field.typeName])),
    ...message.nestedType.flatMap(references),
  ];
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    const type = owner.get(name)?.type;
    if (type?.$typeName === 'google.protobuf.DescriptorProto') references(type).forEach(want);
  }

  const trimmed: FileDescriptorProto[] = [];
  for (const file of files) {
    const kept = clone(FileDescriptorProtoSchema, file);
    const wanted = (type: { name: string }): boolean => keep.has(`${file.package}.${type.name}`);
    kept.messageType = file.messageType.filter(wanted).map(bareMessage);
    kept.enumType = file.enumType.filter(wanted).map(bareEnum);
    if (!isRoot(file.package)) kept.service = [];
    if (kept.messageType.length + kept.enumType.length + kept.service.length === 0) continue;
    for (const service of kept.service) {
      service.options = undefined;
      for (const method of service.method) method.options = undefined;
    }
    const used = new Set<string>();
    for (const message of kept.messageType)
      for (const reference of references(message)) used.add(owner.get(want(reference))?.file.name ?? '');
    for (const method of kept.service.flatMap((service) => service.method))
      for (const reference of [method.inputType, method.outputType])
        used.add(owner.get(want(reference))?.file.name ?? '');
    used.delete(file.name);
    kept.dependency = [...used].sort();
    kept.publicDependency = [];
    kept.weakDependency = [];
    kept.optionDependency = [];
    kept.extension = [];
    kept.options = undefined;
    kept.sourceCodeInfo = undefined;
    kept.$unknown = undefined;
    trimmed.push(kept);
  }
  return importsFirst(trimmed.sort((a, b) => (a.name < b.name ? -1 : 1)));
}

/** A file comes after the files it imports, as readers of descriptor sets expect. */
function importsFirst(files: readonly FileDescriptorProto[]): FileDescriptorProto[] {
  const byName = new Map(files.map((file) => [file.name, file]));
  const sorted = new Set<FileDescriptorProto>();
  const visit = (file: FileDescriptorProto): void => {
    if (sorted.has(file)) return;
    for (const name of file.dependency) {
      const imported = byName.get(name);
      if (imported !== undefined) visit(imported);
    }
    sorted.add(file);
  };
  files.forEach(visit);
  return [...sorted];
}

function bareMessage(message: DescriptorProto): DescriptorProto {
  const bare = clone(DescriptorProtoSchema, message);
  const isMapEntry = bare.options?.mapEntry ?? false;
  bare.options = undefined;
  if (isMapEntry) bare.options = clone(DescriptorProtoSchema, message).options;
  if (bare.options !== undefined) bare.options.$unknown = undefined;
  bare.field.forEach(bareField);
  for (const oneof of bare.oneofDecl) oneof.options = undefined;
  bare.nestedType = bare.nestedType.map(bareMessage);
  bare.enumType = bare.enumType.map(bareEnum);
  bare.extension = [];
  bare.extensionRange = [];
  bare.reservedName = [];
  bare.reservedRange = [];
  return bare;
}

function bareField(field: FieldDescriptorProto): void {
  // Whether a repeated number is packed is the only field option that shows on the wire.
  if (field.options === undefined) return;
  field.options.$unknown = undefined;
  field.options.deprecated = false;
  if (field.options.packed) return;
  field.options = undefined;
}

function bareEnum(type: EnumDescriptorProto): EnumDescriptorProto {
  const bare = clone(EnumDescriptorProtoSchema, type);
  if (bare.options !== undefined) {
    bare.options.$unknown = undefined;
    if (!bare.options.allowAlias) bare.options = undefined;
  }
  for (const value of bare.value) value.options = undefined;
  bare.reservedName = [];
  bare.reservedRange = [];
  return bare;
}
