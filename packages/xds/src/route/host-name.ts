/** Host names with a leading `*` label, as Istio's resources write them. */

export const isWildcard = (host: string): boolean => host.startsWith('*');

/** Whether every name of `narrow` is a name of `wide` ('*' holds all, '*.a.b' holds 'x.a.b' and '*.x.a.b', not 'a.b'). */
export function hostCovers(wide: string, narrow: string): boolean {
  if (wide === narrow || wide === '*') {
    return true;
  }
  if (!isWildcard(wide)) {
    return false;
  }
  const suffix = wide.slice(1);
  const rest = isWildcard(narrow) ? narrow.slice(1) : narrow;
  return rest.length > suffix.length ? rest.endsWith(suffix) : isWildcard(narrow) && rest === suffix;
}

/** The names that two hosts share, or undefined: the more specific one of them when one covers the other. */
export function hostIntersection(a: string, b: string): string | undefined {
  if (hostCovers(a, b)) {
    return b;
  }
  return hostCovers(b, a) ? a : undefined;
}

/** Orders hosts from most to least specific: exact names before wildcards, longer wildcards before shorter ones, then by name. */
export function compareSpecificity(a: string, b: string): number {
  const wildcards = Number(isWildcard(a)) - Number(isWildcard(b));
  if (wildcards !== 0) {
    return wildcards;
  }
  return isWildcard(a) && a.length !== b.length ? b.length - a.length : a < b ? -1 : a > b ? 1 : 0;
}

/** The entry of `byHost` whose key covers `host` most specifically. */
export function mostSpecific<T>(byHost: ReadonlyMap<string, T>, host: string): T | undefined {
  const exact = byHost.get(host);
  if (exact !== undefined) {
    return exact;
  }
  // Walk from the longest wildcard to '*' instead of over all keys: scopes hold thousands.
  let rest = isWildcard(host) ? host.slice(1) : host;
  for (let dot = rest.indexOf('.', isWildcard(host) ? 1 : 0); dot !== -1; dot = rest.indexOf('.', 1)) {
    rest = rest.slice(dot);
    const found = byHost.get(`*${rest}`);
    if (found !== undefined) {
      return found;
    }
  }
  return byHost.get('*');
}
