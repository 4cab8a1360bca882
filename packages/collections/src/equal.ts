/** Whether two values of a collection are the same to those that depend on them. (Declared as a method for its variance.) */
export type Equality<T> = { equal(a: T, b: T): boolean }['equal'];

/** For values whose maker returns the old instance wherever the new one would be equal. */
export const identical = <T>(a: T, b: T): boolean => Object.is(a, b);

/** Whether two objects have the identical values in their fields, or two lists the identical items. */
export function sameParts<T extends object>(a: T, b: T): boolean {
  const before = a as Readonly<Record<string, unknown>>;
  const after = b as Readonly<Record<string, unknown>>;
  const names = Object.keys(after);
  return Object.keys(before).length === names.length && names.every((name) => Object.is(before[name], after[name]));
}

/**
 * Structural equality of plain data: primitives, arrays, plain objects, Map, Set and byte arrays. Identity is tried first, so data that shares
 * its parts is compared quickly. Functions and instances of other classes are equal only to themselves. An absent field equals one that is
 * `undefined`. Data must be free of cycles.
 */
export function structurallyEqual(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a)) return Array.isArray(b) && arraysEqual(a, b);
  const prototype = Object.getPrototypeOf(a);
  if (prototype !== Object.getPrototypeOf(b)) return false;
  if (a instanceof Map) return mapsEqual(a, b as ReadonlyMap<unknown, unknown>);
  if (a instanceof Set) return setsEqual(a, b as ReadonlySet<unknown>);
  if (a instanceof Uint8Array) return bytesEqual(a, b as Uint8Array);
  if (prototype !== Object.prototype && prototype !== null) return false;
  return objectsEqual(a as Readonly<Record<string, unknown>>, b as Readonly<Record<string, unknown>>);
}

function arraysEqual(a: readonly unknown[], b: readonly unknown[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (!structurallyEqual(a[i], b[i])) return false;
  return true;
}

/** The order of a map's entries is part of it: configuration that is derived from it may depend on the order. */
function mapsEqual(a: ReadonlyMap<unknown, unknown>, b: ReadonlyMap<unknown, unknown>): boolean {
  if (a.size !== b.size) return false;
  const others = b.entries();
  for (const [key, value] of a) {
    const other = others.next().value;
    if (other === undefined || !Object.is(key, other[0]) || !structurallyEqual(value, other[1])) return false;
  }
  return true;
}

function setsEqual(a: ReadonlySet<unknown>, b: ReadonlySet<unknown>): boolean {
  if (a.size !== b.size) return false;
  for (const item of a) if (!b.has(item)) return false;
  return true;
}

function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function objectsEqual(a: Readonly<Record<string, unknown>>, b: Readonly<Record<string, unknown>>): boolean {
  for (const key in a) if (!structurallyEqual(a[key], b[key])) return false;
  for (const key in b) if (b[key] !== undefined && a[key] === undefined) return false;
  return true;
}
