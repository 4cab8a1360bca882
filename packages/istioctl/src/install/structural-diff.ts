import { isJsonObject } from '@istio-ts/charts/json';

/** A leaf that differs between two values; `undefined` is absent. */
export interface Difference {
  /** For example `spec.template.spec.containers[name:discovery].image`. */
  readonly path: string;
  readonly before: unknown;
  readonly after: unknown;
}

type Fields = Readonly<Record<string, unknown>>;
const below = (path: string, key: string): string => {
  const shown = key.replaceAll('.', '\\.');
  return path === '' ? shown : `${path}.${shown}`;
};

/** What identifies the items of a list: a field that all have, as text, each another. */
function identity(items: readonly unknown[]): string | undefined {
  return ['name', 'mountPath', 'port', 'containerPort'].find((field) => {
    const names = items.map((item) => (isJsonObject(item) ? item[field] : undefined));
    return (
      names.every((name) => typeof name === 'string' || typeof name === 'number') &&
      new Set(names).size === names.length
    );
  });
}

/** All leaves that differ, in the order of the first value, then of the second. Lists are compared by the names of their items where they have some. */
export function differences(before: unknown, after: unknown, path = ''): readonly Difference[] {
  if (before === after) return [];
  if (isJsonObject(before) && isJsonObject(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return keys.flatMap((key) =>
      differences(
        Object.hasOwn(before, key) ? before[key] : undefined,
        Object.hasOwn(after, key) ? after[key] : undefined,
        below(path, key),
      ),
    );
  }
  if (Array.isArray(before) && Array.isArray(after)) {
    const field = before.length > 0 && after.length > 0 ? identity(before) : undefined;
    if (field !== undefined && identity(after) === field) {
      const byName = (items: readonly unknown[]) =>
        new Map(items.map((item) => [String((item as Fields)[field]), item]));
      const [a, b] = [byName(before), byName(after)];
      return [...new Set([...a.keys(), ...b.keys()])].flatMap((name) =>
        differences(a.get(name), b.get(name), `${path}[${field}:${name}]`),
      );
    }
    return Array.from({ length: Math.max(before.length, after.length) }, (_, index) =>
      differences(before[index], after[index], `${path}[${index}]`),
    ).flat();
  }
  return [{ path, before, after }];
}

/** A value of a difference for people, on one line. */
export const shownValue = (value: unknown): string => (value === undefined ? '(absent)' : JSON.stringify(value));
