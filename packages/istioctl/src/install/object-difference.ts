import { isJsonObject } from '@istio-ts/charts/json';
import type { KubeObject } from '@istio-ts/kube';

/** An object without what the API server writes by itself, so that two states of it can be compared. */
function ofUsers(object: KubeObject): Readonly<Record<string, unknown>> {
  const { status: _status, metadata, ...rest } = object;
  const { labels = {}, annotations = {}, ownerReferences = [] } = metadata;
  return { ...rest, metadata: { labels, annotations, ownerReferences } };
}

/** The name of a list's item, where all items of both lists have one of their own: such lists are compared by name. */
function byName(items: readonly unknown[]): ReadonlyMap<string, unknown> | undefined {
  const named = new Map(
    items.flatMap((item) => (isJsonObject(item) && typeof item.name === 'string' ? [[item.name, item] as const] : [])),
  );
  return items.length > 0 && named.size === items.length ? named : undefined;
}

function differences(path: string, before: unknown, after: unknown, found: string[]): void {
  if (before === after) return;
  if (isJsonObject(before) && isJsonObject(after)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
      const shown = /[./]/.test(key) ? `["${key}"]` : `${path === '' ? '' : '.'}${key}`;
      differences(`${path}${shown}`, before[key], after[key], found);
    }
    return;
  }
  if (Array.isArray(before) && Array.isArray(after)) {
    const old = byName(before);
    const now = byName(after);
    if (old && now) {
      for (const name of new Set([...old.keys(), ...now.keys()]))
        differences(`${path}[${name}]`, old.get(name), now.get(name), found);
      return;
    }
    if (before.length === after.length) {
      for (const [index, item] of before.entries()) differences(`${path}[${index}]`, item, after[index], found);
      return;
    }
  }
  found.push(path);
}

/**
 * The paths of all settings in which two states of an object differ, for example `spec.template.spec.containers[discovery].image`. What only the API server
 * writes (status, versions, who manages what) does not count.
 */
export function differingPaths(before: KubeObject, after: KubeObject): readonly string[] {
  const found: string[] = [];
  differences('', ofUsers(before), ofUsers(after), found);
  return found;
}
