import { type JsonObject, asArray, clone, equal, isObject } from '../json.ts';
import { fieldSchema, resolve, type Schema } from '../schema/schema.ts';
import { type FieldSet, insert } from './field-set.ts';

/** How ownership and merging see a value (structured merge, as described in the Kubernetes documentation on server-side apply). */
export type Shape =
  /** Compared and replaced as a whole. */
  | { readonly kind: 'atomic' }
  | { readonly kind: 'object'; readonly schema: Schema | undefined; readonly isMap: boolean }
  | { readonly kind: 'set' }
  | { readonly kind: 'keyed'; readonly keys: readonly string[]; readonly items: Schema | undefined };

/** Without a schema (unknown fields): objects are granular, lists atomic. */
export function shapeOf(schema: Schema | undefined, value: unknown): Shape {
  if (Array.isArray(value)) {
    const listType = schema?.['x-kubernetes-list-type'];
    const items = schema?.items === undefined ? undefined : resolve(schema.items);
    if (listType === 'map') return { kind: 'keyed', keys: schema?.['x-kubernetes-list-map-keys'] ?? [], items };
    if (listType === 'set') return { kind: 'set' };
    return { kind: 'atomic' };
  }
  if (!isObject(value) || schema?.['x-kubernetes-map-type'] === 'atomic') return { kind: 'atomic' };
  return { kind: 'object', schema, isMap: schema?.properties === undefined };
}

/** Keys that Kubernetes gives a default when they are left out of a list item (for example `ports[].protocol`). */
function defaultKey(key: string, items: Schema | undefined): unknown {
  const schema = items === undefined ? undefined : fieldSchema(items, key);
  if (schema?.default !== undefined) return schema.default;
  return key === 'protocol' ? 'TCP' : undefined;
}

/** The trie key of an item of a keyed list. */
export function itemKey(item: unknown, keys: readonly string[], items: Schema | undefined): string {
  const values: JsonObject = {};
  for (const key of [...keys].sort()) {
    const value = isObject(item) ? (item[key] ?? defaultKey(key, items)) : undefined;
    if (value !== undefined) values[key] = value;
  }
  return `k:${JSON.stringify(values)}`;
}

export function setKey(item: unknown): string {
  return `v:${JSON.stringify(item)}`;
}

/** Items of a list by trie key; of equal keys the first counts. */
export function itemsByKey(list: readonly unknown[], shape: Shape): Map<string, unknown> {
  const found = new Map<string, unknown>();
  for (const item of list) {
    const key = shape.kind === 'keyed' ? itemKey(item, shape.keys, shape.items) : setKey(item);
    if (!found.has(key)) found.set(key, item);
  }
  return found;
}

/** All fields of a value, as an applier owns them. */
export function fieldsOf(
  value: unknown,
  schema: Schema | undefined,
  root: FieldSet = {},
  path: readonly string[] = [],
): FieldSet {
  const shape = shapeOf(schema, value);
  if (shape.kind === 'object' && isObject(value)) {
    const keys = Object.keys(value);
    if (keys.length === 0 && path.length > 0) insert(root, path);
    for (const key of keys) {
      fieldsOf(value[key], shape.schema === undefined ? undefined : fieldSchema(shape.schema, key), root, [
        ...path,
        `f:${key}`,
      ]);
    }
    return root;
  }
  if ((shape.kind === 'keyed' || shape.kind === 'set') && Array.isArray(value)) {
    if (value.length === 0) insert(root, path);
    for (const [key, item] of itemsByKey(value, shape)) {
      const itemPath = [...path, key];
      if (shape.kind === 'keyed') fieldsOf(item, shape.items, root, itemPath);
      insert(root, itemPath);
    }
    return root;
  }
  if (path.length > 0) insert(root, path);
  return root;
}

export interface Comparison {
  /** Fields that exist only in the new value, or differ. */
  readonly changed: FieldSet;
  readonly removed: FieldSet;
}

function markAll(value: unknown, schema: Schema | undefined, root: FieldSet, path: readonly string[]): void {
  const shape = shapeOf(schema, value);
  if (shape.kind === 'object' && isObject(value)) {
    const keys = Object.keys(value);
    if (shape.isMap || keys.length === 0) insert(root, path);
    for (const key of keys) {
      markAll(value[key], shape.schema === undefined ? undefined : fieldSchema(shape.schema, key), root, [
        ...path,
        `f:${key}`,
      ]);
    }
    return;
  }
  if ((shape.kind === 'keyed' || shape.kind === 'set') && Array.isArray(value)) {
    insert(root, path);
    for (const [key, item] of itemsByKey(value, shape)) {
      insert(root, [...path, key]);
      if (shape.kind === 'keyed') markAll(item, shape.items, root, [...path, key]);
    }
    return;
  }
  insert(root, path);
}

function compareInto(
  before: unknown,
  after: unknown,
  schema: Schema | undefined,
  result: Comparison,
  path: readonly string[],
): void {
  if (before === after) return;
  if (before === undefined) {
    markAll(after, schema, result.changed, path);
    return;
  }
  if (after === undefined) {
    markAll(before, schema, result.removed, path);
    return;
  }
  const shape = shapeOf(schema, after);
  if (shape.kind === 'object' && isObject(before) && isObject(after)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
      const below = shape.schema === undefined ? undefined : fieldSchema(shape.schema, key);
      compareInto(before[key], after[key], below, result, [...path, `f:${key}`]);
    }
    return;
  }
  if ((shape.kind === 'keyed' || shape.kind === 'set') && Array.isArray(before) && Array.isArray(after)) {
    const old = itemsByKey(before, shape);
    const current = itemsByKey(after, shape);
    for (const key of new Set([...old.keys(), ...current.keys()])) {
      const itemPath = [...path, key];
      const was = old.get(key);
      const is = current.get(key);
      if (was === undefined) insert(result.changed, itemPath);
      if (is === undefined) insert(result.removed, itemPath);
      if (shape.kind === 'keyed') compareInto(was, is, shape.items, result, itemPath);
    }
    return;
  }
  if (!equal(before, after)) insert(result.changed, path);
}

/** Which fields differ between two states of an object. */
export function compare(before: JsonObject, after: JsonObject, schema: Schema | undefined): Comparison {
  const result: Comparison = { changed: {}, removed: {} };
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    compareInto(before[key], after[key], schema === undefined ? undefined : fieldSchema(schema, key), result, [
      `f:${key}`,
    ]);
  }
  return result;
}

/** `config` laid over `live`: what the applier names wins, everything else stays. Lists with keys merge item by item in the applier's order. */
export function merge(live: unknown, config: unknown, schema: Schema | undefined): unknown {
  if (live === undefined || config === null) return clone(config);
  const shape = shapeOf(schema, config);
  if (shape.kind === 'object' && isObject(live) && isObject(config)) {
    const merged: JsonObject = { ...live };
    for (const key of Object.keys(config)) {
      merged[key] = merge(
        live[key],
        config[key],
        shape.schema === undefined ? undefined : fieldSchema(shape.schema, key),
      );
    }
    return merged;
  }
  if ((shape.kind === 'keyed' || shape.kind === 'set') && Array.isArray(live) && Array.isArray(config)) {
    return mergeLists(live, config, shape);
  }
  return clone(config);
}

function mergeLists(live: readonly unknown[], config: readonly unknown[], shape: Shape): unknown[] {
  const old = itemsByKey(live, shape);
  const wanted = itemsByKey(config, shape);
  const result: unknown[] = [];
  const order = [...wanted.keys()];
  let next = 0;
  const emit = (key: string) => {
    const item = wanted.get(key);
    const was = old.get(key);
    result.push(shape.kind === 'keyed' && was !== undefined ? merge(was, item, shape.items) : clone(item));
  };
  for (const [key, item] of old) {
    if (!wanted.has(key)) {
      result.push(item);
      continue;
    }
    const index = order.indexOf(key);
    while (next <= index) emit(order[next++] ?? key);
  }
  while (next < order.length) emit(order[next++] ?? '');
  return result;
}

/** `value` without the fields of `set`; returns undefined when the value itself goes. */
export function removeFields(value: unknown, set: FieldSet, schema: Schema | undefined): unknown {
  const shape = shapeOf(schema, value);
  const gone = (key: string): boolean => isObject(set[key]) && Object.keys(set[key] as JsonObject).length === 0;
  const below = (key: string): FieldSet | undefined => {
    const node = set[key];
    return isObject(node) ? node : undefined;
  };
  if (shape.kind === 'object' && isObject(value)) {
    const result: JsonObject = {};
    for (const key of Object.keys(value)) {
      const id = `f:${key}`;
      const node = below(id);
      if (node === undefined) result[key] = value[key];
      else if (!gone(id)) {
        const rest = removeFields(
          value[key],
          node,
          shape.schema === undefined ? undefined : fieldSchema(shape.schema, key),
        );
        // What became empty by the removal goes as well.
        if (!isHollow(rest)) result[key] = rest;
      }
    }
    return result;
  }
  if (shape.kind === 'keyed' || shape.kind === 'set') {
    const result: unknown[] = [];
    for (const item of asArray(value)) {
      const id = shape.kind === 'keyed' ? itemKey(item, shape.keys, shape.items) : setKey(item);
      const node = below(id);
      if (node === undefined) result.push(item);
      else if (!gone(id) && !('.' in node))
        result.push(removeFields(item, node, shape.kind === 'keyed' ? shape.items : undefined));
    }
    return result;
  }
  return value;
}

function isHollow(value: unknown): boolean {
  return (Array.isArray(value) && value.length === 0) || (isObject(value) && Object.keys(value).length === 0);
}
