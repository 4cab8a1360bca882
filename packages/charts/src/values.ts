import { isJsonObject, type Json } from './json.ts';

/** Values of a chart: plain JSON data. */
export type Values = { readonly [key: string]: Json };

/**
 * Lays `over` on `under`: objects merge key by key, anything else replaces. A null removes the key, as in Helm
 * ("Deleting a default key", Helm's documentation of values files).
 */
export function mergeValues(under: Values, over: Values): Values {
  const merged = new Map(Object.entries(under));
  for (const [key, value] of Object.entries(over)) {
    const present = merged.get(key);
    if (value === null) merged.delete(key);
    else if (isJsonObject(present) && isJsonObject(value)) merged.set(key, mergeValues(present, value));
    else merged.set(key, value);
  }
  return Object.fromEntries(merged);
}

/**
 * What a chart's templates see of its defaults and of what the user set. As `mergeValues`, except that a null without a default
 * stays, as in Helm: a chart whose templates layer values themselves has to see it.
 */
export function coalesceValues(defaults: Values, over: Values): Values {
  const merged = new Map(Object.entries(defaults));
  for (const [key, value] of Object.entries(over)) {
    const present = merged.get(key);
    if (value === null && merged.has(key)) merged.delete(key);
    else if (isJsonObject(present) && isJsonObject(value)) merged.set(key, coalesceValues(present, value));
    else merged.set(key, value);
  }
  return Object.fromEntries(merged);
}
