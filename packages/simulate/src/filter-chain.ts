import type { Connection } from './connection.ts';
import { type Json, list, number, object, text, texts } from '@istio-ts/envoy-dump/json';

/** A filter chain that takes a connection, or why none does. */
export interface ChainChoice {
  readonly chain: Json | undefined;
  /** The listener's default took it because no other did. */
  readonly isDefault: boolean;
  /** Chains for this port that were not it. */
  readonly others: readonly { readonly name: string; readonly why: string }[];
}

/** A criterion of FilterChainMatch: how well a chain fits, undefined where it does not, 0 where it does not ask. */
interface Criterion {
  readonly fit: (match: Json, connection: Connection) => number | undefined;
  readonly wanted: (match: Json) => string;
}

function serverNameFit(match: Json, { serverName }: Connection): number | undefined {
  const names = texts(match.serverNames);
  if (names.length === 0) return 0;
  if (serverName === undefined) return undefined;
  const fits = names.flatMap((name) => {
    if (name === serverName) return [Number.MAX_SAFE_INTEGER];
    return name.startsWith('*.') && serverName.endsWith(name.slice(1)) ? [name.length] : [];
  });
  return fits.length === 0 ? undefined : Math.max(...fits);
}

/** In Envoy's order (config.listener.v3.FilterChainMatch); addresses are not among what is asked about. */
const criteria: readonly Criterion[] = [
  {
    fit: ({ destinationPort }, { port }) =>
      destinationPort === undefined ? 0 : number(destinationPort) === port ? 1 : undefined,
    wanted: ({ destinationPort }) => `it is for port ${text(destinationPort)}`,
  },
  { fit: serverNameFit, wanted: (match) => `it is for the server name ${texts(match.serverNames).join(', ')}` },
  {
    fit: ({ transportProtocol }, { transport }) =>
      text(transportProtocol) === '' ? 0 : transportProtocol === transport ? 1 : undefined,
    wanted: ({ transportProtocol }) => (transportProtocol === 'tls' ? 'it is for TLS' : 'it is for plain text'),
  },
  {
    fit: (match, { protocols }) => {
      const wanted = texts(match.applicationProtocols);
      return wanted.length === 0 ? 0 : wanted.some((one) => protocols.includes(one)) ? 1 : undefined;
    },
    wanted: (match) => `it is for the protocols ${texts(match.applicationProtocols).join(', ')}`,
  },
];

export const chainName = (chain: Json): string => text(chain.name) || 'its only filter chain';

/** Finds the filter chain of a listener, narrowing down criterion by criterion and never going back, as Envoy does. */
export function chooseChain(listener: Json, connection: Connection): ChainChoice {
  let candidates = list(listener.filterChains);
  const others: { name: string; why: string }[] = [];
  for (const { fit, wanted } of criteria) {
    const fits = candidates.map((chain) => ({ chain, fit: fit(object(chain.filterChainMatch), connection) }));
    const best = Math.max(-1, ...fits.map((one) => one.fit ?? -1));
    for (const one of fits)
      if (one.fit === undefined)
        others.push({ name: chainName(one.chain), why: wanted(object(one.chain.filterChainMatch)) });
      else if (one.fit < best) others.push({ name: chainName(one.chain), why: 'another asks for more of what fits' });
    candidates = fits.filter((one) => one.fit === best).map(({ chain }) => chain);
  }
  const chain = candidates[0];
  if (chain !== undefined) return { chain, isDefault: false, others };
  const byDefault = listener.defaultFilterChain;
  return { chain: byDefault === undefined ? undefined : object(byDefault), isDefault: true, others };
}
