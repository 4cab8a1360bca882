import type { KubeObject } from '@istio-ts/kube/object';
import { type InjectionInput, injectPod } from './inject.ts';
import { isObject, type Json, type JsonObject, objectAt } from './json.ts';

export interface ObjectInjection {
  readonly object: KubeObject;
  /** Names of what was injected, and of what was left alone with the reason. */
  readonly changes: readonly {
    readonly kind: string;
    readonly name: string;
    readonly injected: boolean;
    readonly reason?: string;
  }[];
}

export type ObjectInput = Omit<InjectionInput, 'pod' | 'workload' | 'namespace'> & {
  /** Namespace of objects that name none. */
  readonly namespace: string;
};

/** Path of the pod in objects of a kind; undefined for a kind that has none. */
function templatePath(object: JsonObject): readonly string[] | undefined {
  if (object.kind === 'Pod') return [];
  if (object.kind === 'CronJob') return ['spec', 'jobTemplate', 'spec', 'template'];
  // Every other workload, known or by a custom resource, has its pods under spec.template.
  return Array.isArray(objectAt(object, 'spec', 'template', 'spec').containers) ? ['spec', 'template'] : undefined;
}

function replaceAt(object: JsonObject, path: readonly string[], value: Json): Json {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  return { ...object, [key]: replaceAt(objectAt(object, key), rest, value) };
}

/** Puts the proxy into every workload of an object, which may be a List. Objects without pods come back as they are. Throws `InjectionError`. */
export function injectObject(object: KubeObject, input: ObjectInput): ObjectInjection {
  if (Array.isArray(object.items) && object.kind.endsWith('List')) {
    const results = object.items.filter(isObject).map((item) => injectObject(item as unknown as KubeObject, input));
    return {
      object: { ...object, items: results.map((result) => result.object) },
      changes: results.flatMap((result) => result.changes),
    };
  }
  const data = object as unknown as JsonObject;
  const path = templatePath(data);
  if (path === undefined) return { object, changes: [] };
  const { name = '', generateName = '' } = object.metadata ?? {};
  const shown = { kind: object.kind, name: name || generateName };
  const namespace = object.metadata?.namespace ?? input.namespace;
  const result = injectPod({
    ...input,
    namespace,
    pod: path.length === 0 ? data : objectAt(data, ...path),
    ...(path.length === 0 ? {} : { workload: { apiVersion: object.apiVersion, kind: object.kind, name, namespace } }),
  });
  if (!result.injected) return { object, changes: [{ ...shown, injected: false, reason: result.reason }] };
  return {
    object: replaceAt(data, path, result.pod as Json) as unknown as KubeObject,
    changes: [{ ...shown, injected: true }],
  };
}
