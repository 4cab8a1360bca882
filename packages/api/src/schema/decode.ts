import { tryParseDuration } from '../duration.ts';
import { fieldPath, itemPath, type ProblemList, quote } from '../problems.ts';
import { regexProblem } from '../regex.ts';
import type { AnySchema, Presence, Schema, Shape } from './schema.ts';

export interface DecodeOptions {
  /** What an unknown field is. Files of users: an error. Objects that the API server let pass: a warning. */
  readonly unknownFields: 'error' | 'warning';
  /** Take `snake_case` names too, as protobuf's JSON does (mesh configuration). */
  readonly snakeCase?: boolean;
}

/** Deepest nesting of free-form objects (EnvoyFilter values). */
const maxStructDepth = 64;

const missing = Symbol('missing');
type Decoded = unknown | typeof missing;

/**
 * Reads a JSON value as `schema` says: reports what does not fit and leaves it out, fills in defaults, and reads `null`
 * as absent. The result is always of the schema's type; what needs no change is shared with the input, not copied.
 * Rules: protobuf's JSON mapping.
 */
export function decode<T>(
  schema: Schema<T, Presence>,
  value: unknown,
  path: string,
  problems: ProblemList,
  options: DecodeOptions,
): T {
  const decoded = value === undefined || value === null ? missing : decodeValue(schema, value, path, problems, options);
  return (decoded === missing ? zeroOf(schema, path, problems, options) : decoded) as T;
}

function decodeValue(
  schema: AnySchema,
  value: unknown,
  path: string,
  problems: ProblemList,
  options: DecodeOptions,
): Decoded {
  const { shape } = schema;
  switch (shape.kind) {
    case 'string':
      return decodeString(shape, value, path, problems);
    case 'boolean':
      if (typeof value === 'boolean') return value;
      problems.error(path, `must be true or false, not ${quote(value)}`);
      return missing;
    case 'enum':
      if (typeof value === 'string' && shape.values.includes(value)) return value;
      problems.error(path, `must be one of ${shape.values.join(', ')}, not ${quote(value)}`);
      return missing;
    case 'integer':
      return decodeInteger(shape, value, path, problems);
    case 'number':
      if (typeof value !== 'number' || !Number.isFinite(value)) {
        problems.error(path, `must be a number, not ${quote(value)}`);
        return missing;
      }
      return inRange(shape, value, path, problems);
    case 'list':
      return decodeList(shape, value, path, problems, options);
    case 'map':
      return decodeMap(shape, value, path, problems, options);
    case 'object':
      return decodeObject(shape, value, path, problems, options);
    case 'struct':
      if (!isFields(value)) {
        problems.error(path, `must be an object, not ${quote(value)}`);
        return missing;
      }
      if (!withinDepth(value, maxStructDepth)) {
        problems.error(path, `is nested deeper than ${maxStructDepth} levels`);
        return missing;
      }
      return value;
    default:
      return shape satisfies never;
  }
}

function decodeString(
  shape: Extract<Shape, { kind: 'string' }>,
  value: unknown,
  path: string,
  problems: ProblemList,
): Decoded {
  if (typeof value !== 'string') {
    const hint = typeof value === 'number' || typeof value === 'boolean' ? ' (put it in quotes)' : '';
    problems.error(path, `must be text, not ${quote(value)}${hint}`);
    return missing;
  }
  if (shape.minLength !== undefined && value.length < shape.minLength) {
    problems.error(path, 'must not be empty');
    return value;
  }
  if (shape.maxLength !== undefined && value.length > shape.maxLength) {
    problems.error(path, `must not be longer than ${shape.maxLength} characters (it has ${value.length})`);
    return missing;
  }
  if (shape.pattern !== undefined && !new RegExp(shape.pattern, 'u').test(value)) {
    problems.error(path, `${quote(value)} must match ${shape.pattern}`);
    return missing;
  }
  switch (shape.format) {
    case 'duration':
      if (tryParseDuration(value) !== undefined) return value;
      problems.error(path, `${quote(value)} is not a duration; write for example 500ms, 1.5s or 1m30s`);
      return missing;
    case 'regex': {
      const problem = regexProblem(value);
      if (problem === undefined) return value;
      problems.error(path, problem);
      return missing;
    }
    case 'base64':
      if (/^[A-Za-z0-9+/_-]*={0,2}$/.test(value)) return value;
      problems.error(path, 'must be base64');
      return missing;
    case undefined:
      return value;
    default:
      return shape.format satisfies never;
  }
}

const integerLimits = {
  int32: [-(2 ** 31), 2 ** 31 - 1],
  uint32: [0, 2 ** 32 - 1],
  int64: [-(2 ** 63), 2 ** 63],
  uint64: [0, 2 ** 64],
} as const;

function decodeInteger(
  shape: Extract<Shape, { kind: 'integer' }>,
  value: unknown,
  path: string,
  problems: ProblemList,
): Decoded {
  // Protobuf's JSON writes 64-bit numbers as text.
  const wide = shape.format === 'int64' || shape.format === 'uint64';
  const number = wide && typeof value === 'string' && /^-?[0-9]{1,20}$/.test(value) ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isInteger(number)) {
    problems.error(path, `must be a whole number, not ${quote(value)}`);
    return missing;
  }
  const [minimum, maximum] = integerLimits[shape.format];
  return inRange(
    { minimum: Math.max(shape.minimum ?? minimum, minimum), maximum: Math.min(shape.maximum ?? maximum, maximum) },
    number,
    path,
    problems,
  );
}

function inRange(
  range: { readonly minimum?: number; readonly maximum?: number },
  value: number,
  path: string,
  problems: ProblemList,
): Decoded {
  const { minimum = Number.NEGATIVE_INFINITY, maximum = Number.POSITIVE_INFINITY } = range;
  if (value >= minimum && value <= maximum) return value;
  const limits =
    minimum === Number.NEGATIVE_INFINITY
      ? `at most ${maximum}`
      : maximum === Number.POSITIVE_INFINITY
        ? `at least ${minimum}`
        : `between ${minimum} and ${maximum}`;
  problems.error(path, `must be ${limits}, not ${value}`);
  return missing;
}

function decodeList(
  shape: Extract<Shape, { kind: 'list' }>,
  value: unknown,
  path: string,
  problems: ProblemList,
  options: DecodeOptions,
): Decoded {
  if (!Array.isArray(value)) {
    problems.error(path, `must be a list, not ${quote(value)}`);
    return missing;
  }
  if (shape.minItems !== undefined && value.length < shape.minItems) {
    problems.error(path, `must have at least ${shape.minItems === 1 ? 'one item' : `${shape.minItems} items`}`);
  }
  if (shape.maxItems !== undefined && value.length > shape.maxItems) {
    problems.error(path, `must not have more than ${shape.maxItems} items (it has ${value.length})`);
    return missing;
  }
  let changed = false;
  const items: unknown[] = [];
  for (let index = 0; index < value.length; index++) {
    const item: unknown = value[index];
    const at = itemPath(path, index);
    // An item cannot be left out without moving the others: an empty object or text takes its place.
    let decoded: Decoded = missing;
    if (item === null || item === undefined) problems.error(at, 'must not be null');
    else decoded = decodeValue(shape.items, item, at, problems, options);
    if (decoded !== item) changed = true;
    if (decoded === missing) {
      if (shape.items.shape.kind === 'object') items.push(zeroValue(shape.items));
    } else items.push(decoded);
  }
  return changed ? items : value;
}

function decodeMap(
  shape: Extract<Shape, { kind: 'map' }>,
  value: unknown,
  path: string,
  problems: ProblemList,
  options: DecodeOptions,
): Decoded {
  if (!isFields(value)) {
    problems.error(path, `must be a mapping, not ${quote(value)}`);
    return missing;
  }
  const keys = Object.keys(value);
  if (shape.maxProperties !== undefined && keys.length > shape.maxProperties) {
    problems.error(path, `must not have more than ${shape.maxProperties} entries (it has ${keys.length})`);
    return missing;
  }
  let changed = false;
  const entries: [string, unknown][] = [];
  for (const key of keys) {
    const item = value[key];
    let decoded: Decoded = missing;
    // A null value stands for an empty message (`headers: {x-user: null}` asks for presence, as `{}` does).
    if (item === null || item === undefined) {
      if (shape.values.shape.kind === 'object') decoded = zeroValue(shape.values);
      else problems.error(fieldPath(path, key), 'must have a value');
    } else decoded = decodeValue(shape.values, item, fieldPath(path, key), problems, options);
    if (decoded !== item) changed = true;
    if (decoded !== missing) entries.push([key, decoded]);
  }
  return changed ? Object.fromEntries(entries) : value;
}

function decodeObject(
  shape: Extract<Shape, { kind: 'object' }>,
  value: unknown,
  path: string,
  problems: ProblemList,
  options: DecodeOptions,
): Decoded {
  if (!isFields(value)) {
    problems.error(path, `must be an object, not ${quote(value)}`);
    return missing;
  }
  const { fields } = shape;
  let changed = false;
  const entries = new Map<string, unknown>();
  for (const key of Object.keys(value)) {
    const item = value[key];
    const name = Object.hasOwn(fields, key) ? key : options.snakeCase ? camelCase(key) : key;
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    const at = fieldPath(path, key);
    if (!field) {
      changed = true;
      const near = nearest(key, Object.keys(fields));
      problems.add({
        severity: options.unknownFields,
        path: at,
        message: `unknown field${near === undefined ? '' : `; did you mean ${near}?`}`,
        about: 'unknown',
      });
      continue;
    }
    const decoded = item === null || item === undefined ? missing : decodeValue(field, item, at, problems, options);
    if (decoded !== item || name !== key) changed = true;
    if (decoded !== missing) entries.set(name, decoded);
  }
  for (const group of shape.oneofs) {
    const set = group.filter((name) => entries.has(name));
    if (set.length > 1) {
      problems.error(path, `only one of ${set.join(', ')} may be set`);
      for (const name of set.slice(1)) entries.delete(name);
      changed = true;
    }
  }
  for (const [name, field] of Object.entries(fields)) {
    if (field.presence === 'optional' || entries.has(name)) continue;
    changed = true;
    if (field.presence === 'required' && (value[name] === undefined || value[name] === null)) {
      problems.error(fieldPath(path, name), 'is required');
    }
    entries.set(name, zeroOf(field, fieldPath(path, name), problems, options));
  }
  return changed ? Object.fromEntries(entries) : value;
}

/** The value of an absent field: its default, decoded so that nested defaults are in it, or the zero of its type. */
function zeroOf(schema: AnySchema, path: string, problems: ProblemList, options: DecodeOptions): unknown {
  if (schema.presence === 'defaulted') {
    const decoded = decodeValue(schema, schema.default, path, problems, options);
    if (decoded !== missing) return decoded;
  }
  return zeroValue(schema);
}

/** Protobuf's zero value, with required and defaulted fields of messages in it. */
function zeroValue(schema: AnySchema): unknown {
  const { shape } = schema;
  switch (shape.kind) {
    case 'string':
      return '';
    case 'enum':
      return shape.values[0];
    case 'boolean':
      return false;
    case 'integer':
    case 'number':
      return 0;
    case 'list':
      return [];
    case 'map':
    case 'struct':
      return {};
    case 'object':
      return Object.fromEntries(
        Object.entries(shape.fields).flatMap(([name, field]) => {
          if (field.presence === 'optional') return [];
          return [
            [name, field.presence === 'defaulted' && field.shape.kind !== 'object' ? field.default : zeroValue(field)],
          ];
        }),
      );
    default:
      return shape satisfies never;
  }
}

function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function withinDepth(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (depth === 0) return false;
  return Object.values(value).every((item) => withinDepth(item, depth - 1));
}

function camelCase(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** The known name that a mistyped one most likely stands for: at most two edits away, or equal without case and `_`. */
function nearest(name: string, known: readonly string[]): string | undefined {
  if (name.length > 64) return undefined;
  const plain = (text: string): string => text.replaceAll('_', '').toLowerCase();
  let best: string | undefined;
  let distance = 3;
  for (const candidate of known) {
    const edits = plain(candidate) === plain(name) ? 0 : editDistance(name, candidate);
    if (edits < distance && edits <= candidate.length / 2) {
      best = candidate;
      distance = edits;
    }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replace, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
