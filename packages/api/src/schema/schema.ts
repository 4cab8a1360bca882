/**
 * The language in which each kind is defined once. From a schema come the TypeScript type (`TypeOf`), decoding
 * (`decode.ts`) and the OpenAPI schema of the CRD (`openapi.ts`).
 */

/** What values look like; the data behind every schema. */
export type Shape =
  | {
      readonly kind: 'string';
      readonly format?: 'duration' | 'regex' | 'base64';
      readonly minLength?: number;
      readonly maxLength?: number;
      readonly pattern?: string;
    }
  | { readonly kind: 'enum'; readonly values: readonly string[] }
  | { readonly kind: 'boolean' }
  | {
      readonly kind: 'integer';
      readonly format: 'int32' | 'int64' | 'uint32' | 'uint64';
      readonly minimum?: number;
      readonly maximum?: number;
    }
  | { readonly kind: 'number'; readonly minimum?: number; readonly maximum?: number }
  | {
      readonly kind: 'list';
      readonly items: AnySchema;
      readonly minItems?: number;
      readonly maxItems?: number;
    }
  | { readonly kind: 'map'; readonly values: AnySchema; readonly maxProperties?: number }
  | {
      readonly kind: 'object';
      readonly fields: Readonly<Record<string, AnySchema>>;
      /** Groups of fields of which at most one may be set (protobuf's oneof). */
      readonly oneofs: readonly (readonly string[])[];
    }
  /** Any JSON object (protobuf's Struct). */
  | { readonly kind: 'struct' };

/** A rule of the Common Expression Language that the API server checks (CRD `x-kubernetes-validations`). */
export interface CelRule {
  readonly rule: string;
  readonly message: string;
}

/** Whether a field of this schema is always there after decoding. */
export type Presence = 'optional' | 'required' | 'defaulted';

declare const typeOf: unique symbol;

/** A schema for values of type `T`. `typeOf` exists for the compiler only. */
export interface Schema<T, P extends Presence = 'optional'> {
  readonly shape: Shape;
  readonly description: string;
  readonly presence: P;
  /** Value of an absent field, when `presence` is `defaulted`. */
  readonly default?: T;
  readonly cel?: readonly CelRule[];
  readonly [typeOf]?: T;
}

export type AnySchema = Schema<unknown, Presence>;

/** The TypeScript type of a schema's values. */
export type TypeOf<S> = S extends Schema<infer T, Presence> ? T : never;

type Fields = Readonly<Record<string, AnySchema>>;
type Flat<T> = { readonly [K in keyof T]: T[K] };
type ObjectOf<F extends Fields> = Flat<
  { [K in keyof F as F[K]['presence'] extends 'optional' ? never : K]: TypeOf<F[K]> } & {
    [K in keyof F as F[K]['presence'] extends 'optional' ? K : never]?: TypeOf<F[K]>;
  }
>;

/** A length of time as text, in Go's form: `2s`, `1.5s`, `1m30s`, `500ms`. `parseDuration` gives milliseconds. */
export type Duration = string;
/** Any JSON object. */
export type Struct = Readonly<Record<string, unknown>>;

function make<T>(shape: Shape, description: string): Schema<T> {
  return { shape, description, presence: 'optional' };
}

/** Longest regular expression taken, in characters: a longer one costs memory in every proxy. */
export const maxRegexLength = 1024;

export function string(
  description = '',
  limits: { readonly minLength?: number; readonly maxLength?: number; readonly pattern?: string } = {},
): Schema<string> {
  return make({ kind: 'string', ...limits }, description);
}

/** A regular expression in RE2 syntax. */
export function regex(description = ''): Schema<string> {
  return make({ kind: 'string', format: 'regex', maxLength: maxRegexLength }, description);
}

/** Bytes as base64. */
export function bytes(description = ''): Schema<string> {
  return make({ kind: 'string', format: 'base64' }, description);
}

export function duration(description = ''): Schema<Duration> {
  return make({ kind: 'string', format: 'duration' }, description);
}

export function enumOf<const V extends readonly string[]>(values: V, description = ''): Schema<V[number]> {
  return make({ kind: 'enum', values }, description);
}

export function boolean(description = ''): Schema<boolean> {
  return make({ kind: 'boolean' }, description);
}

interface Range {
  readonly minimum?: number;
  readonly maximum?: number;
}

export function int32(description = '', range: Range = {}): Schema<number> {
  return make({ kind: 'integer', format: 'int32', ...range }, description);
}

export function uint32(description = '', range: Range = {}): Schema<number> {
  return make({ kind: 'integer', format: 'uint32', minimum: 0, ...range }, description);
}

/** 64-bit numbers are numbers in JavaScript: exact up to 2^53, which no field here comes near. */
export function uint64(description = '', range: Range = {}): Schema<number> {
  return make({ kind: 'integer', format: 'uint64', minimum: 0, ...range }, description);
}

export function int64(description = '', range: Range = {}): Schema<number> {
  return make({ kind: 'integer', format: 'int64', ...range }, description);
}

export function number(description = '', range: Range = {}): Schema<number> {
  return make({ kind: 'number', ...range }, description);
}

export function list<T>(
  items: Schema<T, Presence>,
  description = '',
  limits: { readonly minItems?: number; readonly maxItems?: number } = {},
): Schema<readonly T[]> {
  return make({ kind: 'list', items, ...limits }, description);
}

export function map<T>(
  values: Schema<T, Presence>,
  description = '',
  limits: { readonly maxProperties?: number } = {},
): Schema<Readonly<Record<string, T>>> {
  return make({ kind: 'map', values, ...limits }, description);
}

export function struct(description = ''): Schema<Struct> {
  return make({ kind: 'struct' }, description);
}

export function object<F extends Fields>(
  description: string,
  fields: F,
  oneofs: readonly (readonly (keyof F & string)[])[] = [],
): Schema<ObjectOf<F>> {
  return make({ kind: 'object', fields, oneofs }, description);
}

/** The same values under another description: for a message that several fields use. */
export function as<T, P extends Presence>(schema: Schema<T, P>, description: string): Schema<T, P> {
  return { ...schema, description };
}

/** A field that must be set. */
export function required<T>(schema: Schema<T, Presence>): Schema<T, 'required'> {
  return { ...schema, presence: 'required' };
}

/** A field that decoding fills in. Of an object, only what differs from its own fields' defaults has to be given. */
export function defaulted<T>(schema: Schema<T, Presence>, value: Partial<NoInfer<T>>): Schema<T, 'defaulted'> {
  return { ...schema, presence: 'defaulted', default: value as T };
}

/** Adds rules that the API server checks by itself. */
export function withCel<T, P extends Presence>(schema: Schema<T, P>, ...cel: readonly CelRule[]): Schema<T, P> {
  return { ...schema, cel: [...(schema.cel ?? []), ...cel] };
}
