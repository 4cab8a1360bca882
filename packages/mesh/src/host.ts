/**
 * The fully qualified form of a host in a configuration object of `namespace`: a short name becomes `name.namespace.svc.suffix`; names with a dot,
 * wildcards and IP addresses stay (Istio documentation, VirtualService, `hosts`). Lower case.
 */
export function resolveHost(host: string, namespace: string, domainSuffix: string): string {
  const name = host.toLowerCase();
  return name === '' || name.includes('.') || name.includes('*') || name.includes(':')
    ? name
    : `${name}.${namespace}.svc.${domainSuffix}`;
}

export const isWildcard = (host: string): boolean => host.startsWith('*');

/** Whether a host or pattern (`*`, `*.example.com`, `*example.com`) covers another host or pattern. */
export function hostCovers(pattern: string, host: string): boolean {
  if (pattern === host || pattern === '*') return true;
  return isWildcard(pattern) && host.endsWith(pattern.slice(1)) && host.length >= pattern.length;
}

/** Whether two hosts or patterns have a host in common. */
export const hostsOverlap = (a: string, b: string): boolean => hostCovers(a, b) || hostCovers(b, a);

/** For sorting: exact hosts first, then longer patterns before shorter ones. */
export function moreSpecificHost(a: string, b: string): number {
  return Number(isWildcard(a)) - Number(isWildcard(b)) || b.length - a.length || (a < b ? -1 : a > b ? 1 : 0);
}
