import { GoObject, type GoValue } from '@istio-ts/gotemplate';
import { isObject } from './json.ts';

/** Fields of Kubernetes objects and of the mesh's configuration that are maps in Go, with the user's own keys. */
const MAPS: ReadonlySet<string> = new Set([
  'labels',
  'annotations',
  'nodeSelector',
  'limits',
  'requests',
  'matchLabels',
  'proxyMetadata',
  'runtimeValues',
  'overhead',
  'data',
]);
const INITIALISMS: Readonly<Record<string, string>> = {
  uid: 'UID',
  podIP: 'PodIP',
  hostIP: 'HostIP',
  hostPID: 'HostPID',
  hostIPC: 'HostIPC',
  apiVersion: 'APIVersion',
  meshId: 'MeshId',
};

/**
 * Shows plain data the way Go's structs show it to a template: `.Spec.Containers` as well as `.Spec.containers`, unset fields
 * as nil. Templates that users wrote for Istio read pods and proxy configuration by these names. `toYaml` and `toJson` give the data itself.
 */
export function goView(value: unknown): GoValue {
  if (Array.isArray(value)) return value.map(goView);
  if (!isObject(value)) return value ?? null;
  const fields: Record<string, GoValue> = {};
  for (const [key, item] of Object.entries(value)) {
    if (item === undefined || key === '__proto__') continue;
    const shown = MAPS.has(key) ? item : goView(item);
    fields[key] = shown;
    fields[INITIALISMS[key] ?? key.slice(0, 1).toUpperCase() + key.slice(1)] = shown;
  }
  return new GoObject('struct', fields, {}, { lenient: true, data: value });
}
