import type { CidrRange, FilterChain } from '@istio-ts/envoy';
import { isIP } from 'node:net';

/** An address or CIDR as Envoy writes it; undefined for something that is neither. */
export function cidr(text: string): CidrRange | undefined {
  const [address = '', length] = text.split('/');
  const family = isIP(address);
  if (family === 0) {
    return undefined;
  }
  const bits = family === 6 ? 128 : 32;
  const prefixLen = length === undefined ? bits : Number(length);
  return Number.isInteger(prefixLen) && prefixLen >= 0 && prefixLen <= bits
    ? { addressPrefix: address, prefixLen }
    : undefined;
}

/** All of `texts` that are addresses or CIDRs. */
export const cidrs = (texts: readonly string[] | undefined): readonly CidrRange[] =>
  (texts ?? []).map(cidr).filter((c) => c !== undefined);

/** Drops chains whose match an earlier chain has: Envoy refuses a listener with two equal ones, and the older resource wins. */
export function withoutEqualMatches(chains: readonly FilterChain[]): readonly FilterChain[] {
  const seen = new Set<string>();
  return chains.filter((chain) => {
    const key = JSON.stringify(chain.filterChainMatch ?? {});
    return seen.has(key) ? false : seen.add(key) !== undefined;
  });
}
