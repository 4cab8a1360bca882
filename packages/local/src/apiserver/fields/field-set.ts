import { type JsonObject, isObject } from '../json.ts';

/**
 * A set of field paths in the form of `FieldsV1` (meta/v1): a trie whose keys are `f:<field>`, `k:<keys of a list item>` and
 * `v:<value of a set item>`. A node stands for its own path when it is empty or has the member `.`.
 */
export type FieldSet = JsonObject;

const SELF = '.';

function child(node: FieldSet, key: string): FieldSet | undefined {
  const found = node[key];
  return isObject(found) ? found : undefined;
}

/** Whether the path that leads to this node is in the set. */
export function isMember(node: FieldSet): boolean {
  return SELF in node || Object.keys(node).length === 0;
}

export function isEmptySet(root: FieldSet): boolean {
  return Object.keys(root).length === 0;
}

/** Puts one path into a set that is being built. */
export function insert(root: FieldSet, path: readonly string[]): void {
  let node = root;
  path.forEach((key, index) => {
    const last = index === path.length - 1;
    const existing = child(node, key);
    if (existing !== undefined) {
      if (last && Object.keys(existing).length > 0) existing[SELF] = {};
      // An empty node was a member by itself; it stays one when it gets children.
      if (!last && Object.keys(existing).length === 0) existing[SELF] = {};
      node = existing;
      return;
    }
    const made: FieldSet = {};
    node[key] = made;
    node = made;
  });
}

function children(node: FieldSet): string[] {
  return Object.keys(node).filter((key) => key !== SELF);
}

type Keep = (inA: boolean, inB: boolean) => boolean;

function combine(a: FieldSet | undefined, b: FieldSet | undefined, keep: Keep, root: boolean): FieldSet | undefined {
  const inA = !root && a !== undefined && isMember(a);
  const inB = !root && b !== undefined && isMember(b);
  const member = !root && keep(inA, inB);
  const result: FieldSet = {};
  const keys = new Set([...(a === undefined ? [] : children(a)), ...(b === undefined ? [] : children(b))]);
  for (const key of keys) {
    const merged = combine(
      a === undefined ? undefined : child(a, key),
      b === undefined ? undefined : child(b, key),
      keep,
      false,
    );
    if (merged !== undefined) result[key] = merged;
  }
  if (Object.keys(result).length > 0) {
    if (member) result[SELF] = {};
    return result;
  }
  return member || root ? result : undefined;
}

export function union(a: FieldSet, b: FieldSet): FieldSet {
  return combine(a, b, (inA, inB) => inA || inB, true) ?? {};
}

export function difference(a: FieldSet, b: FieldSet): FieldSet {
  return combine(a, b, (inA, inB) => inA && !inB, true) ?? {};
}

export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  return combine(a, b, (inA, inB) => inA && inB, true) ?? {};
}

/** The set with the paths that lead to its members, so that an item is kept as long as one of its fields is owned. */
export function withAncestors(node: FieldSet): FieldSet {
  const result: FieldSet = {};
  const keys = children(node);
  for (const key of keys) result[key] = withAncestors(child(node, key) ?? {});
  if (keys.length > 0) result[SELF] = {};
  return result;
}

/** All members of `a` except those at or below a member of `b`. */
export function recursiveDifference(a: FieldSet, b: FieldSet): FieldSet {
  const result: FieldSet = {};
  for (const key of Object.keys(a)) {
    if (key === SELF) {
      result[SELF] = {};
      continue;
    }
    const left = child(a, key);
    const right = child(b, key);
    if (left === undefined) continue;
    if (right === undefined) {
      result[key] = left;
      continue;
    }
    if (isMember(right)) continue;
    const rest = recursiveDifference(left, right);
    if (Object.keys(rest).length > 0) result[key] = rest;
    else if (Object.keys(left).length === 0) result[key] = {};
  }
  return result;
}

/** Every path of the set, as lists of keys. */
export function paths(root: FieldSet, prefix: readonly string[] = []): string[][] {
  const found: string[][] = [];
  for (const key of children(root)) {
    const node = child(root, key) ?? {};
    const path = [...prefix, key];
    if (isMember(node)) found.push(path);
    found.push(...paths(node, path));
  }
  return found;
}

/** A path as messages show it, for example `.spec.containers[name="app"].image`. */
export function showPath(path: readonly string[]): string {
  return path
    .map((key) => {
      const rest = key.slice(2);
      if (key.startsWith('f:')) return `.${rest}`;
      if (key.startsWith('k:')) {
        const parts = Object.entries(JSON.parse(rest) as JsonObject);
        return `[${parts.map(([field, value]) => `${field}=${JSON.stringify(value)}`).join(',')}]`;
      }
      if (key.startsWith('v:')) return `[=${rest}]`;
      return `[${rest}]`;
    })
    .join('');
}
