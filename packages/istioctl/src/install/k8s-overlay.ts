import type { Json, JsonObject } from '@istio-ts/charts';
import type { KubeObject } from '@istio-ts/kube';
import { OperatorError } from './failure.ts';
import { setPath } from './set-path.ts';

type Fields = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** Mappings key by key; lists and values replace. */
function merge(under: Fields, over: Fields): Fields {
  const merged: Record<string, unknown> = { ...under };
  for (const [key, value] of Object.entries(over))
    merged[key] = isObject(merged[key]) && isObject(value) ? merge(merged[key], value) : value;
  return merged;
}

/** Items with the same `key` are merged, others are added. */
function mergeList(under: unknown, over: unknown, key: string): readonly unknown[] {
  const merged = [...list(under)];
  for (const item of list(over)) {
    const index = merged.findIndex((present) => isObject(present) && isObject(item) && present[key] === item[key]);
    const present = merged[index];
    if (isObject(present) && isObject(item)) merged[index] = merge(present, item);
    else merged.push(item);
  }
  return merged;
}

type Change = (object: Fields, value: unknown) => Fields;
const inSpec =
  (change: (spec: Fields) => Fields): ((object: Fields) => Fields) =>
  (object) => ({ ...object, spec: change(isObject(object.spec) ? object.spec : {}) });
const inPod = (change: (pod: Fields) => Fields) =>
  inSpec((spec) => {
    const template = isObject(spec.template) ? spec.template : {};
    return { ...spec, template: { ...template, spec: change(isObject(template.spec) ? template.spec : {}) } };
  });
const inContainer = (change: (container: Fields) => Fields) =>
  inPod((pod) => {
    const [first, ...rest] = list(pod.containers);
    return { ...pod, containers: [change(isObject(first) ? first : {}), ...rest] };
  });

const podField =
  (name: string): Change =>
  (object, value) =>
    inPod((pod) => ({ ...pod, [name]: value }))(object);
const containerField =
  (name: string): Change =>
  (object, value) =>
    inContainer((container) => ({ ...container, [name]: value }))(object);

/** How each setting below `components.*.k8s` changes a Deployment (Istio, "IstioOperator Options", KubernetesResourcesSpec). */
const deploymentChanges: Readonly<Record<string, Change>> = {
  affinity: podField('affinity'),
  nodeSelector: podField('nodeSelector'),
  tolerations: podField('tolerations'),
  priorityClassName: podField('priorityClassName'),
  imagePullSecrets: (object, value) =>
    inPod((pod) => ({
      ...pod,
      imagePullSecrets: list(value).map((name) => (typeof name === 'string' ? { name } : name)),
    }))(object),
  hostNetwork: podField('hostNetwork'),
  dnsPolicy: podField('dnsPolicy'),
  securityContext: podField('securityContext'),
  volumes: (object, value) => inPod((pod) => ({ ...pod, volumes: mergeList(pod.volumes, value, 'name') }))(object),
  resources: containerField('resources'),
  readinessProbe: containerField('readinessProbe'),
  imagePullPolicy: containerField('imagePullPolicy'),
  env: (object, value) =>
    inContainer((container) => ({ ...container, env: mergeList(container.env, value, 'name') }))(object),
  volumeMounts: (object, value) =>
    inContainer((container) => ({ ...container, volumeMounts: mergeList(container.volumeMounts, value, 'mountPath') }))(
      object,
    ),
  replicaCount: (object, value) => inSpec((spec) => ({ ...spec, replicas: value }))(object),
  strategy: (object, value) => inSpec((spec) => ({ ...spec, strategy: value }))(object),
  podAnnotations: (object, value) =>
    inSpec((spec) => {
      const template = isObject(spec.template) ? spec.template : {};
      const metadata = isObject(template.metadata) ? template.metadata : {};
      return {
        ...spec,
        template: {
          ...template,
          metadata: {
            ...metadata,
            annotations: merge(
              isObject(metadata.annotations) ? metadata.annotations : {},
              isObject(value) ? value : {},
            ),
          },
        },
      };
    })(object),
};

const serviceChanges: Readonly<Record<string, Change>> = {
  service: (object, value) => inSpec((spec) => merge(spec, isObject(value) ? value : {}))(object),
  serviceAnnotations: (object, value) => {
    const metadata = isObject(object.metadata) ? object.metadata : {};
    return {
      ...object,
      metadata: {
        ...metadata,
        annotations: merge(isObject(metadata.annotations) ? metadata.annotations : {}, isObject(value) ? value : {}),
      },
    };
  },
};
const autoscalerChanges: Readonly<Record<string, Change>> = {
  hpaSpec: (object, value) => inSpec((spec) => merge(spec, isObject(value) ? value : {}))(object),
};
const budgetChanges: Readonly<Record<string, Change>> = {
  podDisruptionBudget: (object, value) => inSpec((spec) => merge(spec, isObject(value) ? value : {}))(object),
};
const changesByKind: Readonly<Record<string, Readonly<Record<string, Change>>>> = {
  Deployment: deploymentChanges,
  Service: serviceChanges,
  HorizontalPodAutoscaler: autoscalerChanges,
  PodDisruptionBudget: budgetChanges,
};
const known = new Set([...Object.values(changesByKind).flatMap((changes) => Object.keys(changes)), 'overlays']);

interface Overlay {
  readonly kind: string;
  readonly name: string;
  readonly patches: readonly { readonly path: string; readonly value: Json }[];
}

function overlaysOf(k8s: JsonObject, where: string): readonly Overlay[] {
  return list(k8s.overlays).map((overlay, index) => {
    if (!isObject(overlay) || typeof overlay.kind !== 'string' || typeof overlay.name !== 'string')
      throw new OperatorError(`${where}.overlays[${index}]: kind and name say which object to change`);
    return {
      kind: overlay.kind,
      name: overlay.name,
      patches: list(overlay.patches)
        .filter(isObject)
        .map((patch) => ({ path: String(patch.path ?? ''), value: (patch.value ?? null) as Json })),
    };
  });
}

/** Lays `components.*.k8s` over the objects of a component. Raises OperatorError for settings that it does not know. */
export function applyK8s(
  objects: readonly KubeObject[],
  name: string,
  k8s: JsonObject,
  where: string,
): readonly KubeObject[] {
  const unknown = Object.keys(k8s).find((key) => !known.has(key));
  if (unknown !== undefined)
    throw new OperatorError(`${where}.${unknown} is not a known setting: use one of ${[...known].sort().join(', ')}`);
  const overlays = overlaysOf(k8s, where);
  return objects.map((object) => {
    let changed: Fields = object;
    if (
      object.metadata.name === name ||
      object.kind === 'HorizontalPodAutoscaler' ||
      object.kind === 'PodDisruptionBudget'
    ) {
      for (const [setting, change] of Object.entries(changesByKind[object.kind] ?? {}))
        if (k8s[setting] !== undefined) changed = change(changed, k8s[setting]);
    }
    for (const overlay of overlays) {
      if (overlay.kind !== object.kind || overlay.name !== object.metadata.name) continue;
      for (const { path, value } of overlay.patches) changed = setPath(changed as JsonObject, path, value);
    }
    return changed as KubeObject;
  });
}
