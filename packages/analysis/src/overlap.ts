import type { Visibility } from '@istio-ts/mesh/model';

/** Whether there is a namespace that sees both. */
export function visibilitiesOverlap(a: Visibility, b: Visibility): boolean {
  if (a.kind === 'none' || b.kind === 'none') return false;
  if (a.kind === 'public' || b.kind === 'public') return true;
  return a.namespaces.some((namespace) => b.namespaces.includes(namespace));
}

/** The groups of a list by a key, in order of their first items. */
export function groupBy<T>(items: Iterable<T>, keyOf: (item: T) => string): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}
