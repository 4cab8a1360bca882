import type { HeaderValueOption } from '@istio-ts/envoy';
import type { HeaderOperations, Headers } from './spec.ts';

/** Header operations as Envoy's routes, weighted clusters and virtual hosts take them. */
export interface HeaderMutations {
  readonly requestHeadersToAdd?: readonly HeaderValueOption[];
  readonly requestHeadersToRemove?: readonly string[];
  readonly responseHeadersToAdd?: readonly HeaderValueOption[];
  readonly responseHeadersToRemove?: readonly string[];
}

const isHost = (name: string): boolean => name.toLowerCase() === 'host' || name.toLowerCase() === ':authority';

/** Names that the router owns: changing them by header operations would be refused by Envoy. */
const isPseudo = (name: string): boolean => name.startsWith(':');

function options(operations: HeaderOperations | undefined): readonly HeaderValueOption[] {
  const entries = (
    values: Readonly<Record<string, string>> | undefined,
    appendAction: 'OVERWRITE_IF_EXISTS_OR_ADD' | 'APPEND_IF_EXISTS_OR_ADD',
  ) =>
    Object.entries(values ?? {})
      .filter(([key]) => !isHost(key) && !isPseudo(key))
      .map(
        ([key, value]): HeaderValueOption => ({
          header: { key, value },
          appendAction,
          ...(value === '' ? { keepEmptyValue: true } : {}),
        }),
      );
  return [
    ...entries(operations?.set, 'OVERWRITE_IF_EXISTS_OR_ADD'),
    ...entries(operations?.add, 'APPEND_IF_EXISTS_OR_ADD'),
  ];
}

/** Header operations of a route or of one weighted destination. Setting the host is a rewrite, not a header: see `hostFromHeaders`. */
export function headerMutations(headers: Headers | undefined): HeaderMutations {
  const requestAdd = options(headers?.request);
  const responseAdd = options(headers?.response);
  const requestRemove = (headers?.request?.remove ?? []).filter((name) => !isHost(name) && !isPseudo(name));
  const responseRemove = (headers?.response?.remove ?? []).filter((name) => !isPseudo(name));
  return {
    ...(requestAdd.length > 0 ? { requestHeadersToAdd: requestAdd } : {}),
    ...(requestRemove.length > 0 ? { requestHeadersToRemove: requestRemove } : {}),
    ...(responseAdd.length > 0 ? { responseHeadersToAdd: responseAdd } : {}),
    ...(responseRemove.length > 0 ? { responseHeadersToRemove: responseRemove } : {}),
  };
}

/** The host that `headers.request.set` gives a request, if any. */
export function hostFromHeaders(headers: Headers | undefined): string | undefined {
  return Object.entries(headers?.request?.set ?? {}).find(([key]) => isHost(key))?.[1];
}
