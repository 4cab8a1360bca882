import type { Origin } from './model.ts';

/** Oldest first, then by namespace and name: Istio's order wherever two objects conflict. */
export function byAge(
  a: { readonly origin: Origin; readonly createdAt: number },
  b: { readonly origin: Origin; readonly createdAt: number },
): number {
  return a.createdAt - b.createdAt || byName(a, b);
}

export function byName(a: { readonly origin: Origin }, b: { readonly origin: Origin }): number {
  return compareText(a.origin.namespace, b.origin.namespace) || compareText(a.origin.name, b.origin.name);
}

/** By UTF-16 code units: the same on every machine, unlike `localeCompare`. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
