/**
 * Values of the template language are plain JavaScript data: null (nil), booleans, strings, arrays, plain objects (map[string]any) and numbers.
 * A whole number stands for Go's int; a number with a fraction, or a `Float`, for float64. `undefined` is what Go calls an invalid value:
 * the absence of any value, for example a missing key.
 */
export type GoValue = unknown;
export type GoMap = Record<string, GoValue>;

/** A float64 that happens to be whole: `1.0` in a template, the results of `float64` or `divf`, numbers read by `fromYaml`. */
export class Float {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
  toJSON(): number {
    return this.value;
  }
}

export interface GoObjectOptions {
  /** What `{{ . }}` prints. */
  readonly text?: string;
  /** A map with methods: `range` goes over its fields. */
  readonly iterable?: boolean;
  /** A field that is not there reads as nil, like an unset pointer of a Go struct, instead of being an error. */
  readonly lenient?: boolean;
  /** What the value is as YAML or JSON; without it, its fields. */
  readonly data?: unknown;
}

/** A Go value with methods or struct fields, such as Helm's `.Files` and `.Capabilities`. */
export class GoObject {
  readonly typeName: string;
  readonly fields: Readonly<GoMap>;
  readonly methods: Readonly<Record<string, (...args: readonly GoValue[]) => GoValue>>;
  readonly options: GoObjectOptions;
  constructor(
    typeName: string,
    fields: Readonly<GoMap>,
    methods: Readonly<Record<string, (...args: readonly GoValue[]) => GoValue>> = {},
    options: GoObjectOptions = {},
  ) {
    this.typeName = typeName;
    this.fields = fields;
    this.methods = methods;
    this.options = options;
  }
  get text(): string | undefined {
    return this.options.text;
  }
  toJSON(): unknown {
    return this.options.data ?? this.fields;
  }
}

export type Kind = 'invalid' | 'nil' | 'bool' | 'string' | 'int' | 'float' | 'slice' | 'map' | 'object' | 'func';

export function kindOf(value: GoValue): Kind {
  switch (typeof value) {
    case 'undefined':
      return 'invalid';
    case 'boolean':
      return 'bool';
    case 'string':
      return 'string';
    case 'bigint':
      return 'int';
    case 'number':
      return Number.isInteger(value) ? 'int' : 'float';
    case 'function':
    case 'symbol':
      return 'func';
    case 'object':
      if (value === null) return 'nil';
      if (Array.isArray(value)) return 'slice';
      if (value instanceof Float) return 'float';
      if (value instanceof GoObject) return 'object';
      return 'map';
  }
}

/** The name of the value's type as Go prints it in messages and for `%T`. */
export function typeName(value: GoValue): string {
  const kind = kindOf(value);
  switch (kind) {
    case 'invalid':
    case 'nil':
      return '<nil>';
    case 'bool':
    case 'string':
    case 'int':
    case 'func':
      return kind;
    case 'float':
      return 'float64';
    case 'slice':
      return '[]interface {}';
    case 'map':
      return 'map[string]interface {}';
    case 'object':
      return (value as GoObject).typeName;
  }
}

export function isMap(value: GoValue): value is GoMap {
  return kindOf(value) === 'map';
}

export function isList(value: GoValue): value is readonly GoValue[] {
  return Array.isArray(value);
}

/** The number behind an int or float64; undefined for anything else. */
export function numberOf(value: GoValue): number | undefined {
  if (typeof value === 'number') return value;
  if (value instanceof Float) return value.value;
  return undefined;
}

/** A float64: a bare number where it has a fraction, else a `Float`. */
export function toFloat(value: number): GoValue {
  return Number.isInteger(value) ? new Float(value) : value;
}

/** A map without a prototype, so that no key of a user's data has a special meaning. */
export function newMap(entries: Iterable<readonly [string, GoValue]> = []): GoMap {
  const map: GoMap = Object.create(null);
  for (const [key, value] of entries) map[key] = value;
  return map;
}

export function getKey(map: Readonly<GoMap>, key: string): GoValue {
  return Object.hasOwn(map, key) ? map[key] : undefined;
}

/** Orders strings by code point, as Go orders their UTF-8 bytes. */
export function compareStrings(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    const xs = x >= 0xd800 && x <= 0xdfff;
    const ys = y >= 0xd800 && y <= 0xdfff;
    if (xs !== ys) return xs ? 1 : -1;
    return x - y;
  }
  return a.length - b.length;
}

export function sortedKeys(map: Readonly<GoMap>): string[] {
  return Object.keys(map).sort(compareStrings);
}

/** Truth of a value in `if`, `with`, `and`, `or`, `not`: false, 0, nil, and empty strings, lists and maps are false. */
export function isTrue(value: GoValue): boolean {
  switch (kindOf(value)) {
    case 'invalid':
    case 'nil':
      return false;
    case 'bool':
      return value === true;
    case 'string':
      return value !== '';
    case 'int':
    case 'float':
      return numberOf(value) !== 0;
    case 'slice':
      return (value as readonly GoValue[]).length > 0;
    case 'map':
      return Object.keys(value as GoMap).length > 0;
    case 'object':
      return (value as GoObject).options.iterable !== true || Object.keys((value as GoObject).fields).length > 0;
    case 'func':
      return true;
  }
}

/** Deep equality in the sense of Go's reflect.DeepEqual on decoded YAML or JSON. */
export function deepEqual(a: GoValue, b: GoValue): boolean {
  const kind = kindOf(a);
  if (kind !== kindOf(b)) return (kind === 'invalid' || kind === 'nil') && (b === null || b === undefined);
  switch (kind) {
    case 'invalid':
    case 'nil':
      return true;
    case 'int':
    case 'float':
      return numberOf(a) === numberOf(b);
    case 'slice': {
      const x = a as readonly GoValue[];
      const y = b as readonly GoValue[];
      return x.length === y.length && x.every((item, i) => deepEqual(item, y[i]));
    }
    case 'map': {
      const x = a as GoMap;
      const y = b as GoMap;
      const keys = Object.keys(x);
      return (
        keys.length === Object.keys(y).length && keys.every((key) => Object.hasOwn(y, key) && deepEqual(x[key], y[key]))
      );
    }
    case 'bool':
    case 'string':
    case 'object':
    case 'func':
      return a === b;
  }
}

export function deepCopy(value: GoValue): GoValue {
  if (isList(value)) return value.map(deepCopy);
  if (isMap(value)) return newMap(Object.entries(value).map(([key, item]) => [key, deepCopy(item)] as const));
  return value;
}
