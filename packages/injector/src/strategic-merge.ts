import { isObject, type Json, type JsonObject } from './json.ts';

/**
 * Lists of a pod that merge element by element, and the keys that name an element (`x-kubernetes-patch-merge-key` and
 * `x-kubernetes-list-map-keys` of the Kubernetes API). All others are replaced as a whole.
 */
const MERGE_KEYS: Readonly<Record<string, readonly string[]>> = {
  'spec.containers': ['name'],
  'spec.initContainers': ['name'],
  'spec.ephemeralContainers': ['name'],
  'spec.volumes': ['name'],
  'spec.imagePullSecrets': ['name'],
  'spec.hostAliases': ['ip'],
  'spec.topologySpreadConstraints': ['topologyKey', 'whenUnsatisfiable'],
  'spec.containers.env': ['name'],
  'spec.containers.ports': ['containerPort', 'protocol'],
  'spec.containers.volumeMounts': ['mountPath'],
  'spec.containers.volumeDevices': ['devicePath'],
  'spec.initContainers.env': ['name'],
  'spec.initContainers.ports': ['containerPort', 'protocol'],
  'spec.initContainers.volumeMounts': ['mountPath'],
  'spec.initContainers.volumeDevices': ['devicePath'],
};

/** Unions: a patch that names another member takes the former one out. */
const UNIONS: readonly (readonly string[])[] = [
  ['httpGet', 'tcpSocket', 'grpc', 'exec', 'sleep'],
  ['value', 'valueFrom'],
];

/**
 * Lays a partial pod over a pod as Kubernetes' strategic merge patch does. Elements that are new come after those that were there.
 * `null` removes a field; `$patch: delete` in an element of a list removes the element, `$patch: replace` in an object replaces it.
 */
export function mergePod(pod: JsonObject, over: JsonObject): JsonObject {
  return mergeObject(pod, over, '');
}

/** The same for one container of the list `containers` or `initContainers`. */
export function mergeContainer(container: JsonObject, over: JsonObject): JsonObject {
  return mergeObject(container, over, 'spec.containers');
}

function mergeObject(base: JsonObject, over: JsonObject, path: string): JsonObject {
  if (over.$patch === 'replace') {
    const { $patch: _, ...rest } = over;
    return rest;
  }
  const merged = new Map<string, Json | undefined>(Object.entries(base));
  // A volume has one source, whatever it is called.
  if (path === 'spec.volumes' && Object.keys(over).some((key) => key !== 'name' && !merged.has(key)))
    for (const key of Object.keys(base)) if (key !== 'name' && over[key] === undefined) merged.delete(key);
  for (const union of UNIONS) {
    const chosen = union.filter((member) => over[member] !== undefined && over[member] !== null);
    if (chosen.length > 0) for (const member of union) if (!chosen.includes(member)) merged.delete(member);
  }
  for (const [key, value] of Object.entries(over)) {
    if (value === undefined) continue;
    const at = path === '' ? key : `${path}.${key}`;
    const present = merged.get(key);
    if (value === null) merged.delete(key);
    else if (isObject(value) && isObject(present)) merged.set(key, mergeObject(present, value, at));
    else if (Array.isArray(value)) merged.set(key, mergeList(Array.isArray(present) ? present : [], value, at));
    else merged.set(key, value);
  }
  return Object.fromEntries(merged);
}

function mergeList(base: readonly Json[], over: readonly Json[], path: string): readonly Json[] {
  const keys = MERGE_KEYS[path];
  if (keys === undefined) return over;
  const merged: Json[] = [...base];
  const nameOf = (item: Json): string | undefined => {
    if (!isObject(item)) return undefined;
    return JSON.stringify(keys.map((key) => item[key] ?? (key === 'protocol' ? 'TCP' : null)));
  };
  for (const item of over) {
    const name = nameOf(item);
    const index = name === undefined ? -1 : merged.findIndex((other) => nameOf(other) === name);
    const present = merged[index];
    if (isObject(item) && item.$patch === 'delete') {
      if (index !== -1) merged.splice(index, 1);
    } else if (index !== -1 && isObject(item) && isObject(present)) merged[index] = mergeObject(present, item, path);
    else merged.push(item);
  }
  return merged;
}
