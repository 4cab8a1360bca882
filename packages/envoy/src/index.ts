export type * from '../generated/types.d.ts';
export { TYPE_URL_PREFIX, typedAny, typeUrl } from './any.ts';
export { decode, decodeUnchecked, toCanonicalJson } from './decode.ts';
export { encode, encodeAny, encodeUnchecked } from './encode.ts';
export { DecodeError, EncodeError } from './errors.ts';
export type { EnumSchema, FieldSchema, FieldType, MessageSchema, MethodSchema, ScalarType } from './registry.ts';
export { Registry, registry, setDescriptorFile } from './registry.ts';
export { typeNameOf } from './well-known.ts';
