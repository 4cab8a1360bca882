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
