import { type Json, list, text, texts } from '@istio-ts/envoy-dump/json';
import { withoutPort, type SeenRequest } from './request.ts';

/** How exactly a domain of a virtual host fits a host; undefined where it does not. Envoy's order: exact, then the longest `*.x`, then `x.*`, then `*`. */
function fit(domain: string, host: string): number | undefined {
  if (domain === '*') return 0;
  if (domain === host) return 3000;
  if (domain.startsWith('*'))
    return host.length > domain.length - 1 && host.endsWith(domain.slice(1)) ? 2000 + domain.length : undefined;
  if (domain.endsWith('*'))
    return host.length > domain.length - 1 && host.startsWith(domain.slice(0, -1)) ? 1000 + domain.length : undefined;
  return undefined;
}

export interface HostChoice {
  readonly host: Json | undefined;
  readonly domain: string;
  readonly others: readonly { readonly name: string; readonly why: string }[];
}

/** Finds the virtual host for a request. */
export function chooseVirtualHost(routes: Json, request: SeenRequest): HostChoice {
  const authority = (request.headers.get(':authority') ?? '').toLowerCase();
  const host = routes.ignorePortInHostMatching === true ? withoutPort(authority) : authority;
  let best: { readonly host: Json; readonly domain: string; readonly fit: number } | undefined;
  const hosts = list(routes.virtualHosts);
  for (const candidate of hosts)
    for (const domain of texts(candidate.domains)) {
      const found = fit(domain.toLowerCase(), host);
      if (found !== undefined && found > (best?.fit ?? -1)) best = { host: candidate, domain, fit: found };
    }
  const chosen = best;
  const others = hosts
    .filter((candidate) => candidate !== chosen?.host)
    .slice(0, 20)
    .map((candidate) => {
      const all = texts(candidate.domains).some((domain) => fit(domain.toLowerCase(), host) !== undefined);
      return {
        name: text(candidate.name),
        why: all ? 'another domain is closer' : `it is for ${texts(candidate.domains).slice(0, 3).join(', ')}`,
      };
    });
  return { host: chosen?.host, domain: chosen?.domain ?? '', others };
}
