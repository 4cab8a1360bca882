import type { ResourceDefinition } from '../definitions.ts';
import { apiVersionOf } from '../object.ts';

/** Kinds of subresources that are not the kind of their parent. */
function subresourceKind(
  definition: ResourceDefinition,
  subresource: string,
): { group?: string; version?: string; kind: string } {
  switch (subresource) {
    case 'scale':
      return { group: 'autoscaling', version: 'v1', kind: 'Scale' };
    case 'eviction':
      return { group: 'policy', version: 'v1', kind: 'Eviction' };
    case 'binding':
      return { kind: 'Binding' };
    case 'token':
      return { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' };
    case 'exec':
      return { kind: 'PodExecOptions' };
    case 'attach':
      return { kind: 'PodAttachOptions' };
    case 'portforward':
      return { kind: 'PodPortForwardOptions' };
    case 'proxy':
      return { kind: `${definition.kind}ProxyOptions` };
    default:
      return { kind: definition.kind };
  }
}

function subresourceVerbs(subresource: string): string[] {
  switch (subresource) {
    case 'exec':
    case 'attach':
    case 'portforward':
      return ['create', 'get'];
    case 'log':
      return ['get'];
    case 'proxy':
      return ['create', 'delete', 'get', 'patch', 'update'];
    case 'binding':
    case 'eviction':
    case 'token':
      return ['create'];
    case 'finalize':
      return ['update'];
    default:
      return ['get', 'patch', 'update'];
  }
}

/** Names of the subresources that a version serves. */
export function subresourcesOf(definition: ResourceDefinition, version: string): readonly string[] {
  const custom = definition.custom?.get(version);
  if (custom === undefined) return definition.subresources;
  return [...(custom.scale === undefined ? [] : ['scale']), ...(custom.status ? ['status'] : [])];
}

/** `APIResourceList` of one group and version. */
export function resourceList(all: readonly ResourceDefinition[], group: string, version: string): object {
  const resources: object[] = [];
  for (const definition of all) {
    if (definition.group !== group || !definition.versions.includes(version)) continue;
    resources.push({
      name: definition.resource,
      singularName: definition.singular,
      namespaced: definition.namespaced,
      kind: definition.kind,
      verbs: definition.verbs,
      ...(definition.shortNames.length === 0 ? {} : { shortNames: definition.shortNames }),
      ...(definition.categories.length === 0 ? {} : { categories: definition.categories }),
    });
    for (const subresource of subresourcesOf(definition, version)) {
      resources.push({
        name: `${definition.resource}/${subresource}`,
        singularName: '',
        namespaced: definition.namespaced,
        ...subresourceKind(definition, subresource),
        verbs: subresourceVerbs(subresource),
      });
    }
  }
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: apiVersionOf(group, version), resources };
}

/** Served versions of a group ordered as Kubernetes prefers them: stable before beta before alpha, then higher numbers first. */
export function groupVersions(all: readonly ResourceDefinition[], group: string): string[] {
  const versions = new Set<string>();
  for (const definition of all)
    if (definition.group === group) for (const version of definition.versions) versions.add(version);
  return [...versions].sort(compareVersions);
}

export function compareVersions(a: string, b: string): number {
  const parse = (version: string) => {
    const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
    if (match === null) return undefined;
    const stability = match[2] === undefined ? 2 : match[2] === 'beta' ? 1 : 0;
    return [stability, Number(match[1]), Number(match[3] ?? 0)] as const;
  };
  const left = parse(a);
  const right = parse(b);
  if (left === undefined || right === undefined)
    return left === undefined ? (right === undefined ? a.localeCompare(b) : 1) : -1;
  return right[0] - left[0] || right[1] - left[1] || right[2] - left[2];
}

function groupNames(all: readonly ResourceDefinition[]): string[] {
  return [...new Set(all.map((definition) => definition.group))].filter((group) => group !== '');
}

export function groupObject(all: readonly ResourceDefinition[], group: string): object | undefined {
  const versions = groupVersions(all, group).map((version) => ({
    groupVersion: apiVersionOf(group, version),
    version,
  }));
  return versions.length === 0 ? undefined : { name: group, versions, preferredVersion: versions[0] };
}

/** `APIGroupList`, the answer to `/apis`. */
export function groupList(all: readonly ResourceDefinition[]): object {
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: groupNames(all).map((group) => groupObject(all, group)) };
}

/** Aggregated discovery (`APIGroupDiscoveryList`) for `/api` (core group only) or `/apis` (all others). */
export function aggregated(all: readonly ResourceDefinition[], core: boolean, version: string): object {
  const groups = core ? [''] : groupNames(all);
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items: groups.map((group) => ({
      metadata: { ...(group === '' ? {} : { name: group }), creationTimestamp: null },
      versions: groupVersions(all, group).map((groupVersion) => ({
        version: groupVersion,
        freshness: 'Current',
        resources: all
          .filter((definition) => definition.group === group && definition.versions.includes(groupVersion))
          .map((definition) => {
            const kindOf = (kind: string, inGroup = group, inVersion = groupVersion) => ({
              group: inGroup,
              version: inVersion,
              kind,
            });
            const subresources = subresourcesOf(definition, groupVersion).map((subresource) => {
              const kind = subresourceKind(definition, subresource);
              return {
                subresource,
                responseKind: kindOf(kind.kind, kind.group, kind.version),
                verbs: subresourceVerbs(subresource),
              };
            });
            return {
              resource: definition.resource,
              responseKind: kindOf(definition.kind),
              scope: definition.namespaced ? 'Namespaced' : 'Cluster',
              singularResource: definition.singular,
              verbs: definition.verbs,
              ...(definition.shortNames.length === 0 ? {} : { shortNames: definition.shortNames }),
              ...(definition.categories.length === 0 ? {} : { categories: definition.categories }),
              ...(subresources.length === 0 ? {} : { subresources }),
            };
          }),
      })),
    })),
  };
}
