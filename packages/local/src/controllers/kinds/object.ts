import type { KubeObject } from '@istio-ts/kube';

export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
  readonly lastUpdateTime?: string;
  readonly observedGeneration?: number;
}

/** Namespace of an object, '' for cluster-scoped ones. */
export function namespaceOf(object: KubeObject): string {
  return object.metadata.namespace ?? '';
}

/** Name of an object; every object that comes from the API server has one. */
export function nameOf(object: KubeObject): string {
  return object.metadata.name ?? '';
}

/** `namespace/name`, the key of caches and work queues. */
export function keyOf(object: KubeObject): string {
  return `${namespaceOf(object)}/${nameOf(object)}`;
}

export function uidOf(object: KubeObject): string {
  return object.metadata.uid ?? '';
}

/** The owner that manages the object (`controller: true`), if any. */
export function controllerOf(object: KubeObject) {
  return object.metadata.ownerReferences?.find((owner) => owner.controller === true);
}
