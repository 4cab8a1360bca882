import { type Cell, index, map, mapMany, ordered } from '@istio-ts/collections';
import type { MeshSources } from '../sources.ts';

/** Names of the node metadata by which EnvoyFilters choose proxies. */
export function createPatchMetadata(sources: MeshSources): Cell<readonly string[]> {
  const named = mapMany(
    sources.configs('EnvoyFilter'),
    ({ spec }, key) =>
      (spec.configPatches ?? [])
        .flatMap(({ match }) => Object.keys(match?.proxy?.metadata ?? {}))
        .map((name) => [`${key} ${name}`, name] as const),
    { name: 'metadata that EnvoyFilters match' },
  );
  const byName = index(named, (name) => [name], { name: 'metadata that EnvoyFilters match by name' });
  return ordered(
    map(byName, (_members, name) => name, { name: 'names of metadata that EnvoyFilters match' }),
    (a, b) => (a < b ? -1 : 1),
    { name: 'metadata of patches' },
  );
}
