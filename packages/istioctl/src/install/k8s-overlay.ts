import { isJsonObject, type Json, type JsonObject } from '@istio-ts/charts/json';
import { type KubeObject, parseYaml } from '@istio-ts/kube';
import { OperatorError } from './failure.ts';
import { patchPath } from './set-path.ts';
import type { K8sSetting } from './k8s-settings.ts';

type Fields = Readonly<Record<string, unknown>>;
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** Mappings key by key; lists and values replace, null takes away. */
function merge(under: Fields, over: Fields): Fields {
  const merged = new Map(Object.entries(under));
  for (const [key, value] of Object.entries(over)) {
    const present = merged.get(key);
    if (value === null) merged.delete(key);
    else merged.set(key, isJsonObject(value) ? merge(isJsonObject(present) ? present : {}, value) : value);
  }
  return Object.fromEntries(merged);
}

/** Items with the same `key` are merged, others are added. */
function mergeList(under: unknown, over: unknown, key: string): readonly unknown[] {
  const merged = [...list(under)];
  for (const item of list(over)) {
    const index = merged.findIndex(
      (present) => isJsonObject(present) && isJsonObject(item) && present[key] === item[key],
    );
    const present = merged[index];
    if (isJsonObject(present) && isJsonObject(item)) merged[index] = merge(present, item);
    else merged.push(item);
  }
  return merged;
}

type Change = (object: Fields, value: unknown) => Fields;
const inSpec =
  (change: (spec: Fields) => Fields): ((object: Fields) => Fields) =>
  (object) => ({ ...object, spec: change(isJsonObject(object.spec) ? object.spec : {}) });
const inTemplateMetadata = (field: 'annotations' | 'labels', value: unknown) =>
  inSpec((spec) => {
    const template = isJsonObject(spec.template) ? spec.template : {};
    const metadata = isJsonObject(template.metadata) ? template.metadata : {};
    return { ...spec, template: { ...template, metadata: withTexts(metadata, field, value) } };
  });
/** Labels and annotations are texts, whatever they look like in YAML. */
function withTexts(metadata: Fields, field: 'annotations' | 'labels', value: unknown): Fields {
  const texts = Object.entries(isJsonObject(value) ? value : {}).map(([key, text]) => [
    key,
    text === null ? null : String(text),
  ]);
  return {
    ...metadata,
    [field]: merge(isJsonObject(metadata[field]) ? metadata[field] : {}, Object.fromEntries(texts)),
  };
}
const inPod = (change: (pod: Fields) => Fields) =>
  inSpec((spec) => {
    const template = isJsonObject(spec.template) ? spec.template : {};
    return { ...spec, template: { ...template, spec: change(isJsonObject(template.spec) ? template.spec : {}) } };
  });
const inContainer = (change: (container: Fields) => Fields) =>
  inPod((pod) => {
    const [first, ...rest] = list(pod.containers);
    return { ...pod, containers: [change(isJsonObject(first) ? first : {}), ...rest] };
  });

const podField =
  (name: string): Change =>
  (object, value) =>
    inPod((pod) => ({ ...pod, [name]: value }))(object);
const containerField =
  (name: string): Change =>
  (object, value) =>
    inContainer((container) => ({ ...container, [name]: value }))(object);

const inMetadata =
  (field: 'annotations' | 'labels'): Change =>
  (object, value) => ({
    ...object,
    metadata: withTexts(isJsonObject(object.metadata) ? object.metadata : {}, field, value),
  });
const mergedSpec: Change = (object, value) => inSpec((spec) => merge(spec, isJsonObject(value) ? value : {}))(object);
const mergedPodField =
  (name: string): Change =>
  (object, value) =>
    inPod((pod) => ({
      ...pod,
      [name]: merge(isJsonObject(pod[name]) ? pod[name] : {}, isJsonObject(value) ? value : {}),
    }))(object);
const byKey = (items: unknown, key: string, over: unknown): readonly unknown[] => mergeList(items, over, key);
/** Values of environment variables are texts. */
const withTextValues = (value: unknown): readonly unknown[] =>
  list(value).map((item) =>
    isJsonObject(item) && (typeof item.value === 'number' || typeof item.value === 'boolean')
      ? { ...item, value: String(item.value) }
      : item,
  );

/** How each setting below `components.*.k8s` changes a Deployment or DaemonSet (Istio, "IstioOperator Options", KubernetesResourcesSpec). */
const workloadChanges: Readonly<Partial<Record<K8sSetting, Change>>> = {
  affinity: podField('affinity'),
  nodeSelector: mergedPodField('nodeSelector'),
  tolerations: podField('tolerations'),
  topologySpreadConstraints: podField('topologySpreadConstraints'),
  priorityClassName: podField('priorityClassName'),
  imagePullSecrets: (object, value) =>
    inPod((pod) => ({
      ...pod,
      imagePullSecrets: list(value).map((name) => (typeof name === 'string' ? { name } : name)),
    }))(object),
  // A pod in the network of its node loses the names of the cluster unless it is told to keep them.
  hostNetwork: (object, value) =>
    inPod((pod) => ({
      ...pod,
      hostNetwork: value,
      ...(value === true && pod.dnsPolicy === undefined && { dnsPolicy: 'ClusterFirstWithHostNet' }),
    }))(object),
  dnsPolicy: podField('dnsPolicy'),
  securityContext: mergedPodField('securityContext'),
  volumes: (object, value) => inPod((pod) => ({ ...pod, volumes: byKey(pod.volumes, 'name', value) }))(object),
  resources: (object, value) =>
    inContainer((container) => ({
      ...container,
      resources: merge(isJsonObject(container.resources) ? container.resources : {}, isJsonObject(value) ? value : {}),
    }))(object),
  readinessProbe: containerField('readinessProbe'),
  livenessProbe: containerField('livenessProbe'),
  imagePullPolicy: containerField('imagePullPolicy'),
  env: (object, value) =>
    inContainer((container) => ({ ...container, env: byKey(container.env, 'name', withTextValues(value)) }))(object),
  volumeMounts: (object, value) =>
    inContainer((container) => ({ ...container, volumeMounts: byKey(container.volumeMounts, 'mountPath', value) }))(
      object,
    ),
  podAnnotations: (object, value) => inTemplateMetadata('annotations', value)(object),
  podLabels: (object, value) => inTemplateMetadata('labels', value)(object),
  deploymentAnnotations: inMetadata('annotations'),
};
const changesByKind: Readonly<Record<string, Readonly<Partial<Record<K8sSetting, Change>>>>> = {
  Deployment: {
    ...workloadChanges,
    replicaCount: (object, value) => inSpec((spec) => ({ ...spec, replicas: value }))(object),
    // The new strategy replaces the old one: of two kinds mixed the cluster takes neither.
    strategy: (object, value) => inSpec((spec) => ({ ...spec, strategy: value }))(object),
  },
  DaemonSet: {
    ...workloadChanges,
    strategy: (object, value) => inSpec((spec) => ({ ...spec, updateStrategy: value }))(object),
  },
  Service: { service: mergedSpec, serviceAnnotations: inMetadata('annotations') },
  HorizontalPodAutoscaler: { hpaSpec: mergedSpec },
  PodDisruptionBudget: { podDisruptionBudget: mergedSpec },
};

interface Overlay {
  readonly where: string;
  readonly apiVersion: string | undefined;
  readonly kind: string;
  readonly name: string;
  readonly patches: readonly { readonly path: string; readonly value: Json | undefined }[];
}

function overlaysOf(k8s: JsonObject, where: string): readonly Overlay[] {
  return list(k8s.overlays).map((overlay, index) => {
    const at = `${where}.overlays[${index}]`;
    if (!isJsonObject(overlay) || typeof overlay.kind !== 'string' || typeof overlay.name !== 'string')
      throw new OperatorError(`${at}: kind and name say which object to change`);
    return {
      where: at,
      apiVersion: typeof overlay.apiVersion === 'string' ? overlay.apiVersion : undefined,
      kind: overlay.kind,
      name: overlay.name,
      patches: list(overlay.patches)
        .filter(isJsonObject)
        // Without a value, or with null, the place is emptied.
        .map((patch) => ({ path: String(patch.path ?? ''), value: (patch.value ?? undefined) as Json | undefined })),
    };
  });
}

const fits = (overlay: Overlay, object: KubeObject): boolean =>
  overlay.kind === object.kind &&
  overlay.name === object.metadata.name &&
  // `extensions/v1beta1` of old files means today's Deployment too.
  (overlay.apiVersion === undefined ||
    overlay.apiVersion === object.apiVersion ||
    overlay.apiVersion.startsWith('extensions/') ||
    overlay.apiVersion.split('/')[0] === object.apiVersion.split('/')[0]);

/**
 * Lays `components.*.k8s` over the objects of a component; `name` is that of its Deployment or DaemonSet. `warn` hears of overlays whose object is not
 * there. Raises OperatorError for patches that do not fit their object.
 */
export function applyK8s(
  objects: readonly KubeObject[],
  name: string,
  k8s: JsonObject,
  where: string,
  warn: (message: string) => void = () => {},
): readonly KubeObject[] {
  const overlays = overlaysOf(k8s, where);
  for (const overlay of overlays)
    if (!objects.some((object) => fits(overlay, object)))
      warn(`${overlay.where}: there is no ${overlay.kind} ${overlay.name} in this part: the patch changes nothing`);
  return objects.map((object) => {
    let changed: Fields = object;
    if (
      object.metadata.name === name ||
      object.kind === 'HorizontalPodAutoscaler' ||
      object.kind === 'PodDisruptionBudget'
    ) {
      for (const [setting, change] of Object.entries(changesByKind[object.kind] ?? {}))
        if (k8s[setting] !== undefined && k8s[setting] !== null) changed = change(changed, k8s[setting]);
    }
    for (const overlay of overlays) {
      if (!fits(overlay, object)) continue;
      for (const [index, { path, value }] of overlay.patches.entries())
        changed = patchPath(
          changed as JsonObject,
          path,
          patchValue(value, object.kind),
          `${overlay.where}.patches[${index}] (${path})`,
        );
    }
    return identified(changed, object, where);
  });
}

/**
 * Objects in patches are often written as a block of text, comments and all, as in Istio's tasks: a text that is a mapping in YAML stands for it. Texts of
 * ConfigMaps and Secrets are their content, and JSON is meant as text.
 */
function patchValue(value: unknown, kind: string): Json | undefined {
  if (typeof value !== 'string' || kind === 'ConfigMap' || kind === 'Secret' || !value.includes(':'))
    return value as Json;
  try {
    JSON.parse(value);
    return value;
  } catch {
    // Not JSON.
  }
  try {
    const read = parseYaml(value, 'value');
    return isJsonObject(read) ? (read as Json) : value;
  } catch {
    return value;
  }
}

/** A patch may change everything but what the object is. */
function identified(changed: Fields, object: KubeObject, where: string): KubeObject {
  const metadata = isJsonObject(changed.metadata) ? changed.metadata : {};
  if (
    changed.kind !== object.kind ||
    changed.apiVersion !== object.apiVersion ||
    typeof metadata.name !== 'string' ||
    metadata.name === ''
  )
    throw new OperatorError(`${where}: a patch makes something else of ${object.kind} ${object.metadata.name}`);
  return changed as KubeObject;
}
