import type { KubeObject } from './object.ts';

/** An object's name for people: `VirtualService istio-app/frontend`, `Namespace istio-app`. */
export function describeObject(object: Pick<KubeObject, 'kind' | 'metadata'>): string {
  const name =
    object.metadata.name ?? (object.metadata.generateName ? `${object.metadata.generateName}*` : '(no name)');
  return object.metadata.namespace ? `${object.kind} ${object.metadata.namespace}/${name}` : `${object.kind} ${name}`;
}

/** `group`, `version` of an `apiVersion`; the core group is ''. */
export function splitApiVersion(apiVersion: string): { readonly group: string; readonly version: string } {
  const slash = apiVersion.indexOf('/');
  return slash < 0
    ? { group: '', version: apiVersion }
    : { group: apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1) };
}

/** `apiVersion` of a group and version. */
export function joinApiVersion(group: string, version: string): string {
  return group === '' ? version : `${group}/${version}`;
}
