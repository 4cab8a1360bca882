import type { HttpFilter } from '@istio-ts/envoy';
import type { ProxyScope } from '@istio-ts/mesh/model';
import { keyClusters } from '../cluster/token-keys.ts';
import { memoByInputs } from '../memo.ts';
import { jwtFilters } from './jwt.ts';

export type TokenInput = Pick<
  ProxyScope,
  'requestAuthentications' | 'tokenKeys' | 'serviceByHost' | 'destinationRules' | 'mesh' | 'proxy'
>;

const NO_FILTERS: readonly HttpFilter[] = [];

/** What checks tokens: the identical list while it is the same, for services, by which proxies may fetch keys, change far more often than it. */
export function tokenFilters(scope: TokenInput): readonly HttpFilter[] {
  const { requestAuthentications, tokenKeys, proxy } = scope;
  if (requestAuthentications.length === 0) return NO_FILTERS;
  const clusters = JSON.stringify([...keyClusters(scope)]);
  return checked({ requestAuthentications, tokenKeys, isGateway: proxy.type === 'router', clusters });
}

interface CheckedInput extends Pick<ProxyScope, 'requestAuthentications' | 'tokenKeys'> {
  readonly isGateway: boolean;
  readonly clusters: string;
}

const checked = memoByInputs(
  (input: CheckedInput) => [input.requestAuthentications, input.tokenKeys, input.isGateway, input.clusters],
  ({ requestAuthentications, tokenKeys, isGateway, clusters }): readonly HttpFilter[] => {
    const keyClusters = new Map(JSON.parse(clusters) as readonly (readonly [string, string])[]);
    return jwtFilters(requestAuthentications, { tokenKeys, keyClusters }, isGateway);
  },
);
