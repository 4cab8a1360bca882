import { isIP } from 'node:net';

/** What the agent takes from resolv.conf(5). */
export interface ResolverConfig {
  /** Addresses of the name servers, at most three. */
  readonly servers: readonly string[];
  /** Domains that clients append to names that are not complete, in their order. */
  readonly search: readonly string[];
}

const MAX_SERVERS = 3;

/** Reads resolv.conf; a zone of an address (`fe80::1%eth0`) stays, as a socket needs it. */
export function readResolvConf(text: string): ResolverConfig {
  const servers: string[] = [];
  let search: readonly string[] = [];
  for (const line of text.split('\n')) {
    const [word, ...rest] = line.trim().split(/\s+/);
    const [first = ''] = rest;
    if (word === 'nameserver' && isIP(first.split('%')[0] ?? '') !== 0) servers.push(first);
    // The last line of the two counts.
    if (word === 'search' || word === 'domain') search = rest.map((name) => name.toLowerCase().replace(/\.$/, ''));
  }
  return { servers: servers.slice(0, MAX_SERVERS), search };
}
