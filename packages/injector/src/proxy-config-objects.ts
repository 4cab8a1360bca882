import { decodeProxyConfig, type ProxyConfig } from '@istio-ts/api';
import type { KubeObject } from '@istio-ts/kube/object';
import { isObject, type Json, type JsonObject, objectAt, textMap } from './json.ts';

/** What of an object of the kind ProxyConfig (networking.istio.io) concerns injection. */
export interface ProxyConfigObject {
  readonly namespace: string;
  readonly name: string;
  /** Milliseconds since 1970: of two objects for the same pods the older one counts. */
  readonly created: number;
  /** Labels of the pods that it is for; undefined: all of its namespace. */
  readonly selector: Readonly<Record<string, string>> | undefined;
  /** Its settings as fields of the mesh configuration's `defaultConfig`. */
  readonly settings: JsonObject;
}

/** Reads an object of the kind ProxyConfig. Fields of a wrong type are left out: the API server refuses them. */
export function readProxyConfigObject(object: KubeObject): ProxyConfigObject {
  const spec = objectAt(object, 'spec');
  const labels = textMap(objectAt(spec, 'selector').matchLabels);
  const variables = textMap(spec.environmentVariables);
  const settings: Record<string, Json> = {};
  if (typeof spec.concurrency === 'number') settings.concurrency = spec.concurrency;
  if (Object.keys(variables).length > 0) settings.proxyMetadata = variables;
  if (isObject(spec.image)) settings.image = spec.image;
  const created = Date.parse(String(object.metadata.creationTimestamp ?? ''));
  return {
    namespace: object.metadata.namespace ?? '',
    name: object.metadata.name ?? '',
    created: Number.isNaN(created) ? 0 : created,
    selector: Object.keys(labels).length > 0 ? labels : undefined,
    settings,
  };
}

/** The settings that objects of the kind ProxyConfig give a pod: those under its annotation `proxy.istio.io/config`, and those over it. */
export interface ObjectSettings {
  readonly under: readonly JsonObject[];
  readonly over: readonly JsonObject[];
}

const NOTHING: ObjectSettings = { under: [], over: [] };

/**
 * Finds the objects for a pod. The root namespace's counts for the mesh, the namespace's for its pods, and one with a selector for the pods with
 * these labels, which wins over the annotation, too (Istio's reference, "ProxyConfig").
 */
export function objectSettings(
  objects: readonly ProxyConfigObject[],
  pod: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> },
  rootNamespace: string,
): ObjectSettings {
  if (objects.length === 0) return NOTHING;
  const oldestFirst = [...objects].sort(
    (a, b) => a.created - b.created || (`${a.namespace}/${a.name}` < `${b.namespace}/${b.name}` ? -1 : 1),
  );
  const first = (matches: (object: ProxyConfigObject) => boolean): readonly JsonObject[] => {
    const found = oldestFirst.find(matches);
    return found === undefined ? [] : [found.settings];
  };
  const selects = ({ selector }: ProxyConfigObject): boolean =>
    selector !== undefined && Object.entries(selector).every(([key, value]) => pod.labels[key] === value);
  const wide = (namespace: string) => first((each) => each.namespace === namespace && each.selector === undefined);
  return {
    under: [...wide(rootNamespace), ...(pod.namespace === rootNamespace ? [] : wide(pod.namespace))],
    over: first((each) => each.namespace === pod.namespace && selects(each)),
  };
}

/** Lays settings over others: fields replace, environment variables add up. */
export function layered(base: ProxyConfig, layers: readonly JsonObject[]): ProxyConfig {
  return layers.reduce<ProxyConfig>((below, layer) => decodeProxyConfig(layer, below).value, base);
}
