import { asDecoded, isEmpty, listOf, readJson, toText, toTexts, writeJson } from './convert.ts';
import { FunctionError } from './errors.ts';
import { type FunctionTable, fn, variadic } from './functions.ts';
import {
  deepCopy,
  deepEqual,
  type GoMap,
  type GoValue,
  getKey,
  isList,
  isMap,
  kindOf,
  newMap,
  sortedKeys,
  typeName,
} from './value.ts';

/** Longest list one function call may make. */
const MAX_LIST = 1_000_000;

export function bounded(count: number): number {
  if (count > MAX_LIST) throw new FunctionError(`result would have more than ${MAX_LIST} elements`);
  return count;
}

/** The words of Go for a kind, as `kindOf` and `kindIs` show them. */
function goKind(value: GoValue): string {
  const kind = kindOf(value);
  switch (kind) {
    case 'nil':
    case 'invalid':
      return 'invalid';
    case 'float':
      return 'float64';
    case 'object':
      return 'ptr';
    default:
      return kind;
  }
}

function setKey(map: GoMap, key: string, value: GoValue): void {
  Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });
}

/** Sprig's merge into `target`: with `overwrite` the source wins, else the target's values that are not empty stay. Maps merge key by key. */
function mergeInto(target: GoMap, source: Readonly<GoMap>, overwrite: boolean): void {
  for (const [key, value] of Object.entries(source)) {
    const present = getKey(target, key);
    if (isMap(present) && isMap(value)) mergeInto(present, value, overwrite);
    else if (overwrite || isEmpty(present)) setKey(target, key, value);
  }
}

const merge = (overwrite: boolean) =>
  variadic(['map'], 'map', ([target], sources) => {
    for (const source of sources) mergeInto(target, source, overwrite);
    return target;
  });

function dig(args: readonly GoValue[]): GoValue {
  if (args.length < 3) throw new FunctionError('dig needs at least three arguments');
  const dict = args[args.length - 1];
  const fallback = args[args.length - 2];
  let at: GoValue = dict;
  for (const [i, key] of args.slice(0, -2).entries()) {
    if (!isMap(at))
      throw new FunctionError(`interface conversion: interface {} is ${typeName(at)}, not map[string]interface {}`);
    const value = getKey(at, toText(key));
    if (value === undefined) return fallback;
    if (i === args.length - 3) return value;
    at = value;
  }
  return fallback;
}

function sprigSlice(list: GoValue, indexes: readonly GoValue[]): GoValue {
  if (!isList(list)) throw new FunctionError(`list should be type of slice or array but ${kindOf(list)}`);
  const items = list;
  if (items.length === 0) return null;
  const from = indexes.length > 0 ? Number(indexes[0]) : 0;
  const to = indexes.length > 1 ? Number(indexes[1]) : items.length;
  if (!(from >= 0 && from <= to && to <= items.length))
    throw new FunctionError(`slice bounds out of range [${from}:${to}]`);
  return items.slice(from, to);
}

const both = (name: string, call: FunctionTable[string]): FunctionTable => ({
  [name]: call,
  [`must${name.slice(0, 1).toUpperCase()}${name.slice(1)}`]: call,
});
const push = fn(['any', 'any'], (list, value) => [...listOf('push', list), value]);
const list = variadic([], 'any', (_, items) => [...items]);

export const DATA_FUNCTIONS: FunctionTable = {
  default: variadic(['any'], 'any', ([fallback], given) =>
    given.length === 0 || isEmpty(given[0]) ? fallback : given[0],
  ),
  empty: fn(['any'], isEmpty),
  coalesce: variadic([], 'any', (_, values) => values.find((value) => !isEmpty(value)) ?? null),
  all: variadic([], 'any', (_, values) => values.every((value) => !isEmpty(value))),
  any: variadic([], 'any', (_, values) => values.some((value) => !isEmpty(value))),
  ternary: fn(['any', 'any', 'bool'], (yes, no, test) => (test ? yes : no)),
  ...both('deepCopy', fn(['any'], deepCopy)),
  toRawJson: fn(['any'], (value) => writeJson(value, { raw: true })),
  mustToRawJson: fn(['any'], (value) => writeJson(value, { raw: true })),
  toPrettyJson: fn(['any'], (value) => writeJson(value, { indent: '  ' })),
  mustToPrettyJson: fn(['any'], (value) => writeJson(value, { indent: '  ' })),
  mustToJson: fn(['any'], (value) => writeJson(value)),
  mustFromJson: fn(['string'], (text) => {
    try {
      return asDecoded(readJson(text));
    } catch (error) {
      throw new FunctionError(error instanceof Error ? error.message : String(error));
    }
  }),
  typeOf: fn(['any'], typeName),
  typeIs: fn(['string', 'any'], (name, value) => typeName(value) === name),
  typeIsLike: fn(['string', 'any'], (name, value) => typeName(value) === name || typeName(value) === `*${name}`),
  kindOf: fn(['any'], goKind),
  kindIs: fn(['string', 'any'], (name, value) => goKind(value) === name),
  deepEqual: fn(['any', 'any'], deepEqual),

  tuple: list,
  list,
  dict: variadic([], 'any', (_, args) => {
    const map = newMap();
    for (let i = 0; i < args.length; i += 2) setKey(map, toText(args[i]), i + 1 < args.length ? args[i + 1] : '');
    return map;
  }),
  get: fn(['map', 'string'], (map, key) => getKey(map, key) ?? ''),
  set: fn(['map', 'string', 'any'], (map, key, value) => {
    setKey(map, key, value);
    return map;
  }),
  unset: fn(['map', 'string'], (map, key) => {
    delete map[key];
    return map;
  }),
  hasKey: fn(['map', 'string'], (map, key) => Object.hasOwn(map, key)),
  pluck: variadic(['string'], 'map', ([key], maps) =>
    maps.filter((map) => Object.hasOwn(map, key)).map((map) => map[key]),
  ),
  keys: variadic([], 'map', (_, maps) => maps.flatMap(sortedKeys)),
  values: fn(['map'], (map) => sortedKeys(map).map((key) => map[key])),
  pick: variadic(['map'], 'string', ([map], keys) =>
    newMap(keys.filter((key) => Object.hasOwn(map, key)).map((key) => [key, map[key]] as const)),
  ),
  omit: variadic(['map'], 'string', ([map], keys) =>
    newMap(Object.entries(map).filter(([key]) => !keys.includes(key))),
  ),
  merge: merge(false),
  mustMerge: merge(false),
  mergeOverwrite: merge(true),
  mustMergeOverwrite: merge(true),
  dig: variadic([], 'any', (_, args) => dig(args)),

  append: push,
  mustAppend: push,
  push,
  mustPush: push,
  ...both(
    'prepend',
    fn(['any', 'any'], (items, value) => [value, ...listOf('prepend', items)]),
  ),
  ...both(
    'first',
    fn(['any'], (items) => listOf('first', items)[0] ?? null),
  ),
  ...both(
    'last',
    fn(['any'], (items) => listOf('last', items).at(-1) ?? null),
  ),
  ...both(
    'rest',
    fn(['any'], (items) => listOf('rest', items).slice(1)),
  ),
  ...both(
    'initial',
    fn(['any'], (items) => listOf('initial', items).slice(0, -1)),
  ),
  ...both(
    'reverse',
    fn(['any'], (items) => [...listOf('reverse', items)].reverse()),
  ),
  ...both(
    'compact',
    fn(['any'], (items) => listOf('compact', items).filter((item) => !isEmpty(item))),
  ),
  ...both(
    'uniq',
    fn(['any'], (items) =>
      listOf('uniq', items).filter((item, i, all) => all.findIndex((other) => deepEqual(item, other)) === i),
    ),
  ),
  ...both(
    'without',
    variadic(['any'], 'any', ([items], omitted) =>
      listOf('without', items).filter((item) => !omitted.some((other) => deepEqual(item, other))),
    ),
  ),
  ...both(
    'has',
    fn(['any', 'any'], (needle, items) =>
      items === null ? false : listOf('has', items).some((item) => deepEqual(item, needle)),
    ),
  ),
  ...both(
    'slice',
    variadic(['any'], 'any', ([items], indexes) => sprigSlice(items, indexes)),
  ),
  ...both(
    'chunk',
    fn(['int', 'any'], (size, items) => {
      const all = listOf('chunk', items);
      if (size < 1) throw new FunctionError('chunk size must be positive');
      return Array.from({ length: Math.ceil(all.length / size) }, (_, i) => all.slice(i * size, (i + 1) * size));
    }),
  ),
  concat: variadic([], 'any', (_, lists) => lists.flatMap((item) => (isList(item) ? item : listOf('concat', item)))),
  toStringList: fn(['any'], toTexts),
};
