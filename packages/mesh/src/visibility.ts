import type { MeshConfig } from '@istio-ts/api';
import { labelSelectorMatches } from '@istio-ts/kube';
import type { Visibility } from './model.ts';

const everybody: Visibility = { kind: 'public' };
const nobody: Visibility = { kind: 'none' };

/**
 * Reads `exportTo` of an object in `namespace`: `*` everybody, `.` its own namespace, `~` nobody, else names of namespaces. An absent or empty
 * list means `fallback`, and where that is empty too, everybody (Istio documentation, MeshConfig `defaultServiceExportTo`).
 */
export function visibilityOf(
  exportTo: readonly string[] | undefined,
  fallback: readonly string[] | undefined,
  namespace: string,
): Visibility {
  const list = exportTo?.length ? exportTo : (fallback ?? []);
  if (list.length === 0 || list.includes('*')) return everybody;
  const namespaces = list.filter((item) => item !== '~').map((item) => (item === '.' ? namespace : item));
  return namespaces.length === 0 ? nobody : { kind: 'namespaces', namespaces };
}

export function visibleTo(visibility: Visibility, namespace: string): boolean {
  switch (visibility.kind) {
    case 'public':
      return true;
    case 'none':
      return false;
    case 'namespaces':
      return visibility.namespaces.includes(namespace);
  }
}

type Limit = NonNullable<NonNullable<MeshConfig['serviceEntryVisibility']>['defaultVisibility']>;

/**
 * What the mesh's administrator leaves of the visibility of a ServiceEntry to sidecars and gateways (MeshConfig, `serviceEntryVisibility`): the first
 * policy decides all of whose rules match the labels of its namespace, else the default. One that is to be seen in its own namespace only is seen
 * there as far as its `exportTo` goes.
 */
export function limitedVisibility(
  visibility: Visibility,
  mesh: MeshConfig,
  namespace: string,
  labels: Readonly<Record<string, string>>,
): Visibility {
  const settings = mesh.serviceEntryVisibility;
  if (settings?.applyToSidecars !== true) return visibility;
  const policy = (settings.policies ?? []).find(({ matchingRules = [] }) =>
    matchingRules.every(
      ({ namespaceSelector }) => namespaceSelector !== undefined && labelSelectorMatches(namespaceSelector, labels),
    ),
  );
  const limit: Limit | undefined = policy ? policy.visibility : settings.defaultVisibility;
  switch (limit) {
    case 'NONE':
      return nobody;
    case 'NAMESPACE':
      return visibleTo(visibility, namespace) ? { kind: 'namespaces', namespaces: [namespace] } : nobody;
    case 'PUBLIC':
    case 'VISIBILITY_UNSPECIFIED':
    case undefined:
      return visibility;
  }
}
