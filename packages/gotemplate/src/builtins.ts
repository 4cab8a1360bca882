import { FunctionError } from './errors.ts';
import { type FunctionTable, fn, variadic } from './functions.ts';
import { sprint, sprintf } from './print.ts';
import {
  compareStrings,
  deepEqual,
  type GoMap,
  type GoObject,
  type GoValue,
  getKey,
  isTrue,
  kindOf,
  numberOf,
  typeName,
} from './value.ts';

/** One step of the `index` function. */
function indexInto(item: GoValue, key: GoValue): GoValue {
  switch (kindOf(item)) {
    case 'nil':
    case 'invalid':
      throw new FunctionError('index of untyped nil');
    case 'object':
      return getKey((item as GoObject).fields, String(key)) ?? null;
    case 'map':
      if (typeof key !== 'string')
        throw new FunctionError(
          key === null ? 'value is nil; should be of type string' : `value has type ${typeName(key)}; should be string`,
        );
      return getKey(item as GoMap, key) ?? null;
    case 'slice':
    case 'string': {
      const list = kindOf(item) === 'slice' ? (item as readonly GoValue[]) : Buffer.from(item as string, 'utf8');
      const index = checkIndex(key, list.length);
      if (index >= list.length) throw new FunctionError(`index out of range: ${index}`);
      return list[index];
    }
    default:
      throw new FunctionError(`can't index item of type ${typeName(item)}`);
  }
}

function checkIndex(key: GoValue, length: number): number {
  if (kindOf(key) !== 'int')
    throw new FunctionError(
      key === null || key === undefined
        ? 'cannot index slice/array with nil'
        : `cannot index slice/array with type ${typeName(key)}`,
    );
  const index = Number(key);
  if (index < 0 || index > length) throw new FunctionError(`index out of range: ${index}`);
  return index;
}

type Basic = 'bool' | 'string' | 'int' | 'float' | 'nil' | undefined;

function basicKind(value: GoValue): Basic {
  const kind = kindOf(value);
  switch (kind) {
    case 'bool':
    case 'string':
    case 'int':
    case 'float':
    case 'nil':
      return kind;
    case 'invalid':
      return 'nil';
    default:
      return undefined;
  }
}

function equal(a: GoValue, b: GoValue): boolean {
  const ka = basicKind(a);
  const kb = basicKind(b);
  if (ka === 'nil' || kb === 'nil') return ka === kb;
  if (ka === undefined || kb === undefined) {
    if (ka === kb && kindOf(a) !== kindOf(b))
      throw new FunctionError(`incompatible types for comparison: ${typeName(a)} and ${typeName(b)}`);
    const odd = ka === undefined ? a : b;
    throw new FunctionError(`non-comparable type ${sprint([odd])}: ${typeName(odd)}`);
  }
  if (ka !== kb) throw new FunctionError(`incompatible types for comparison: ${typeName(a)} and ${typeName(b)}`);
  return deepEqual(a, b);
}

function less(a: GoValue, b: GoValue): boolean {
  const ka = basicKind(a);
  const kb = basicKind(b);
  if (ka === undefined || kb === undefined || ka === 'nil' || kb === 'nil')
    throw new FunctionError('invalid type for comparison');
  if (ka !== kb) throw new FunctionError(`incompatible types for comparison: ${typeName(a)} and ${typeName(b)}`);
  if (ka === 'bool') throw new FunctionError('invalid type for comparison');
  if (ka === 'string') return compareStrings(a as string, b as string) < 0;
  return (numberOf(a) ?? 0) < (numberOf(b) ?? 0);
}

function escapeHtml(text: string): string {
  return text
    .replaceAll('\0', '\uFFFD')
    .replace(
      /["'&<>]/g,
      (char) => ({ '"': '&#34;', "'": '&#39;', '&': '&amp;', '<': '&lt;', '>': '&gt;' })[char] ?? char,
    );
}

function escapeJs(text: string): string {
  return text.replace(/[\\'"<>&=]|[\0-\x1f]|\u2028|\u2029/g, (char) => {
    if (char === '\\' || char === "'" || char === '"') return `\\${char}`;
    return `\\u${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
  });
}

/** What the escaping functions escape: a nil is shown as an action would show it. */
function argumentsText(args: readonly GoValue[]): string {
  return sprint(args.map((arg) => arg ?? '<no value>'));
}

/** The functions that every Go template has. `and` and `or` stand here for their names; the evaluator stops at the first deciding argument. */
export const BUILTINS: FunctionTable = {
  and: variadic(['any'], 'any', ([first], rest) =>
    [first, ...rest].find((arg, i, all) => !isTrue(arg) || i === all.length - 1),
  ),
  or: variadic(['any'], 'any', ([first], rest) =>
    [first, ...rest].find((arg, i, all) => isTrue(arg) || i === all.length - 1),
  ),
  not: fn(['any'], (value) => !isTrue(value)),
  len: fn(['any'], (value) => {
    switch (kindOf(value)) {
      case 'string':
        return Buffer.byteLength(value as string, 'utf8');
      case 'slice':
        return (value as readonly GoValue[]).length;
      case 'map':
        return Object.keys(value as GoMap).length;
      case 'nil':
        throw new FunctionError('reflect: call of reflect.Value.Type on zero Value');
      default:
        throw new FunctionError(`len of type ${typeName(value)}`);
    }
  }),
  index: variadic(['any'], 'any', ([item], keys) => keys.reduce<GoValue>((at, key) => indexInto(at, key), item)),
  slice: variadic(['any'], 'any', ([item], indexes) => {
    if (indexes.length > 3) throw new FunctionError(`too many slice indexes: ${indexes.length}`);
    const kind = kindOf(item);
    if (kind !== 'slice' && kind !== 'string')
      throw new FunctionError(kind === 'nil' ? 'slice of untyped nil' : `can't slice item of type ${typeName(item)}`);
    if (kind === 'string' && indexes.length === 3) throw new FunctionError('cannot 3-index slice a string');
    const data = kind === 'string' ? Buffer.from(item as string, 'utf8') : (item as readonly GoValue[]);
    const from = indexes.length > 0 ? checkIndex(indexes[0], data.length) : 0;
    const to = indexes.length > 1 ? checkIndex(indexes[1], data.length) : data.length;
    if (from > to) throw new FunctionError(`invalid slice index: ${from} > ${to}`);
    return kind === 'string' ? (data as Buffer).subarray(from, to).toString('utf8') : data.slice(from, to);
  }),
  print: variadic([], 'any', (_, args) => sprint(args)),
  println: variadic([], 'any', (_, args) => `${args.map((arg) => sprint([arg])).join(' ')}\n`),
  printf: variadic(['string'], 'any', ([format], args) => sprintf(format, args)),
  html: variadic([], 'any', (_, args) => escapeHtml(argumentsText(args))),
  js: variadic([], 'any', (_, args) => escapeJs(argumentsText(args))),
  urlquery: variadic([], 'any', (_, args) =>
    encodeURIComponent(argumentsText(args))
      .replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
      .replaceAll('%20', '+'),
  ),
  call: variadic(['any'], 'any', ([target]) => {
    throw new FunctionError(
      target === null ? 'call of nil' : `non-function ${sprintf('%#v', [target])} of type ${typeName(target)}`,
    );
  }),
  eq: variadic(['any'], 'any', ([first], rest) => {
    if (rest.length === 0) throw new FunctionError('missing argument for comparison');
    return rest.some((other) => equal(first, other));
  }),
  ne: fn(['any', 'any'], (a, b) => !equal(a, b)),
  lt: fn(['any', 'any'], (a, b) => less(a, b)),
  le: fn(['any', 'any'], (a, b) => less(a, b) || equal(a, b)),
  gt: fn(['any', 'any'], (a, b) => !(less(a, b) || equal(a, b))),
  ge: fn(['any', 'any'], (a, b) => !less(a, b)),
};
