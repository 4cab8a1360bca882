/** What a token is for: `repository:team/pilot:pull,push` (Distribution's "Docker Registry Token Authentication", scope). */
export type Scope = `repository:${string}:${string}`;

export const writing = (repository: string): Scope => `repository:${repository}:pull,push`;
export const reading = (repository: string): Scope => `repository:${repository}:pull`;

/** Scopes of several lists, each resource once with all its actions. Texts that are not scopes are left out. */
export function mergeScopes(...lists: readonly (readonly string[])[]): readonly string[] {
  const actions = new Map<string, Set<string>>();
  for (const scope of lists.flat()) {
    // Names of resources may have a host with a port.
    const colon = scope.lastIndexOf(':');
    if (scope.indexOf(':') === colon) continue;
    const resource = scope.slice(0, colon);
    const known = actions.get(resource) ?? new Set();
    actions.set(resource, known);
    for (const action of scope.slice(colon + 1).split(',')) if (action !== '') known.add(action);
  }
  return [...actions].map(([resource, wanted]) => `${resource}:${[...wanted].join(',')}`);
}
