import { ApiFailure } from './failure.ts';

/** Names of Kubernetes (RFC 1123 subdomains): the longest are 253 characters. */
const kubernetesName = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;

/** Whether a text can be a name of Kubernetes: nothing else gets into a path or a query. */
export const isName = (text: string): boolean => text.length <= 253 && kubernetesName.test(text);

/** A name out of a path. Raises ApiFailure 400. */
export function nameParam(params: Readonly<Record<string, string>>, name: string): string {
  const value = params[name] ?? '';
  if (!isName(value))
    throw new ApiFailure(400, `"${value.slice(0, 100)}" is not a name of Kubernetes`, { field: name });
  return value;
}

/** Where objects lie that belong to no namespace: in paths and queries. */
export const ofCluster = '-';

/** Names of objects of the cluster may have colons too (ClusterRole, ClusterTrustBundle). */
const clusterName = /^[A-Za-z0-9]([-A-Za-z0-9.:]*[A-Za-z0-9])?$/;

/** Kind-independent name of an object in a path: `namespace` is '' for objects of the cluster. Raises ApiFailure 400. */
export function objectParams(
  params: Readonly<Record<string, string>>,
  namespaced: boolean,
): { readonly namespace: string; readonly name: string } {
  if (namespaced) {
    if (params.namespace === ofCluster)
      throw new ApiFailure(400, `objects of kind ${params.kind} lie in a namespace: say in which`, {
        field: 'namespace',
      });
    return { namespace: nameParam(params, 'namespace'), name: nameParam(params, 'name') };
  }
  const { namespace = '', name = '' } = params;
  if (namespace !== ofCluster)
    throw new ApiFailure(400, `objects of kind ${params.kind} lie in no namespace: write ${ofCluster} for it`, {
      field: 'namespace',
    });
  if (name.length > 253 || !clusterName.test(name))
    throw new ApiFailure(400, `"${name.slice(0, 100)}" is not a name of Kubernetes`, { field: 'name' });
  return { namespace: '', name };
}

/** `namespaces=a,b`; empty or missing: all that the caller may see. Raises ApiFailure 400. */
export function namespacesParam(query: URLSearchParams): readonly string[] {
  const names = list(query, 'namespaces');
  if (names.length > 1000) throw new ApiFailure(400, 'at most 1000 namespaces', { field: 'namespaces' });
  for (const name of names)
    if (!isName(name))
      throw new ApiFailure(400, `"${name.slice(0, 100)}" is not a name of a namespace`, { field: 'namespaces' });
  return [...new Set(names)];
}

/** The parts of a value with commas. */
export const list = (query: URLSearchParams, name: string): readonly string[] =>
  (query.get(name) ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

/** A number within bounds; `otherwise` where it is missing. Raises ApiFailure 400. */
export function numberParam<T extends number | undefined>(
  query: URLSearchParams,
  name: string,
  bounds: { readonly min: number; readonly max: number },
  otherwise: T,
): number | T {
  const text = query.get(name);
  if (text === null || text === '') return otherwise;
  const value = Number(text);
  if (!Number.isFinite(value) || value < bounds.min || value > bounds.max)
    throw new ApiFailure(400, `${name} must be a number from ${bounds.min} to ${bounds.max}`, { field: name });
  return value;
}

/** `duration=SECONDS`: the time that rates are made of. */
export const durationParam = (query: URLSearchParams, otherwise: number): number =>
  Math.round(numberParam(query, 'duration', { min: 10, max: 30 * 24 * 3600 }, otherwise));

export const flagParam = (query: URLSearchParams, name: string, otherwise: boolean): boolean => {
  const text = query.get(name);
  return text === null ? otherwise : text === 'true' || text === '1';
};
