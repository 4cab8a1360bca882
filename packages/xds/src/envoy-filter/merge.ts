import { decodeUnchecked, encodeUnchecked, registry, TYPE_URL_PREFIX, typeNameOf } from '@istio-ts/envoy';

/** A message in ProtoJSON, as `canonical` gives it. */
export type Message = { readonly [field: string]: unknown };

/** How lists are merged: as protobuf does it, or replaced as a whole (MERGE_AND_REPLACE_LIST). */
export type ListMerge = 'append' | 'replace';

const TYPED_STRUCTS: ReadonlySet<string> = new Set(['udpa.type.v1.TypedStruct', 'xds.type.v3.TypedStruct']);

const isMessage = (value: unknown): value is Message =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * A message as encoding and decoding gives it: camelCase names, no fields with default values, nothing that the type does not have. Raises EncodeError
 * (with the JSON path) for what is no such message.
 */
export function canonical(typeName: string, value: unknown): Message {
  const decoded = decodeUnchecked(typeName, encodeUnchecked(typeName, value));
  return isMessage(decoded) ? decoded : {};
}

/**
 * Merges `patch` into `base`, both canonical messages of a type, as protobuf's Merge does: scalars and members of a oneof are replaced, lists appended,
 * entries of maps replaced, messages merged; in addition the contents of two `Any` of the same type are merged. The arguments stay as they are.
 */
export function merge(typeName: string, base: Message, patch: Message, lists: ListMerge): Message {
  const schema = registry().message(typeName);
  if (schema === undefined) return patch;
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(patch)) {
    const field = schema.byName.get(key);
    if (field === undefined) continue;
    const before = base[key];
    if (field.oneof !== undefined)
      for (const rival of schema.fields)
        if (rival.oneof === field.oneof && rival.jsonName !== key) delete result[rival.jsonName];
    const inner = field.type.kind === 'message' ? field.type.typeName : undefined;
    switch (field.cardinality) {
      case 'repeated':
        result[key] =
          lists === 'append' && Array.isArray(before) && Array.isArray(value) ? [...before, ...value] : value;
        break;
      case 'map':
        result[key] = isMessage(before) && isMessage(value) ? mergeMaps(inner, before, value, lists) : value;
        break;
      case 'singular':
        result[key] =
          inner !== undefined && isMessage(before) && isMessage(value)
            ? mergeMessages(inner, before, value, lists)
            : value;
        break;
    }
  }
  return result;
}

/** Entries are replaced, except those that hold an `Any` of the same type: options of an extension are given by parts. */
function mergeMaps(inner: string | undefined, base: Message, patch: Message, lists: ListMerge): Message {
  if (inner !== 'google.protobuf.Any') return { ...base, ...patch };
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(patch)) {
    const before = base[key];
    result[key] = isMessage(before) && isMessage(value) ? mergeAny(before, value, lists) : value;
  }
  return result;
}

function mergeMessages(typeName: string, base: Message, patch: Message, lists: ListMerge): Message {
  switch (typeName) {
    case 'google.protobuf.Any':
      return mergeAny(base, patch, lists);
    case 'google.protobuf.Struct':
      return { ...base, ...patch };
    case 'google.protobuf.Value':
      return patch;
    default:
      return merge(typeName, base, patch, lists);
  }
}

/** Merges what two `Any` hold where they hold the same type; else the second one stays. */
export function mergeAny(base: Message, patch: Message, lists: ListMerge): Message {
  const first = unwrapped(base);
  const second = unwrapped(patch);
  const typeName = typeOfAny(first);
  if (typeName === undefined || typeName !== typeOfAny(second)) return patch;
  const { '@type': url, ...content } = first;
  const { '@type': _, ...change } = second;
  return { '@type': url, ...merge(typeName, content, change, lists) };
}

/** Whether two `Any` hold the same type, also where one of them holds it as a TypedStruct. */
export const sameAny = (a: unknown, b: unknown): boolean =>
  isMessage(a) && isMessage(b) && typeOfAny(unwrapped(a)) === typeOfAny(unwrapped(b));

export function typeOfAny(any: unknown): string | undefined {
  const url = isMessage(any) ? any['@type'] : undefined;
  return typeof url === 'string' ? typeNameOf(url) : undefined;
}

/** The message that a TypedStruct describes, where it is one that Envoy has; anything else as it is. */
function unwrapped(any: Message): Message {
  const { typeUrl: url, value } = any;
  if (!TYPED_STRUCTS.has(typeOfAny(any) ?? '') || typeof url !== 'string') return any;
  const typeName = typeNameOf(url);
  if (!registry().has(typeName)) return any;
  try {
    return { '@type': `${TYPE_URL_PREFIX}${typeName}`, ...canonical(typeName, value ?? {}) };
  } catch {
    // Not what its type says: it stays as the user wrote it, and Envoy tells.
    return any;
  }
}
