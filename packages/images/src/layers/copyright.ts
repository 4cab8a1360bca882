import { posix } from 'node:path';
import type { Entry } from '../tar/entry.ts';

const DOCUMENTS = 'usr/share/doc';

/** Names among `packages` whose `/usr/share/doc/NAME/copyright` is neither in a layer nor led to in it or in one with the packages `below`. */
export function copyrightMissing(
  packages: readonly { readonly name: string }[],
  layer: readonly Entry[],
  below: readonly { readonly name: string }[],
): string[] {
  const entries = new Map(layer.map((entry) => [entry.path, entry]));
  const known = new Set(below.map(({ name }) => `${DOCUMENTS}/${name}/copyright`));
  const leadsToFile = (path: string, links: number): boolean => {
    if (entries.get(path)?.kind === 'file' || known.has(path)) return true;
    // Packages of one source share one folder, or one file.
    for (const part of [path, posix.dirname(path)]) {
      const entry = entries.get(part);
      if (entry?.kind !== 'link' || links === 0) continue;
      const target = posix.resolve('/', posix.dirname(part), entry.target).slice(1);
      return leadsToFile(target + path.slice(part.length), links - 1);
    }
    return false;
  };
  return packages.map(({ name }) => name).filter((name) => !leadsToFile(`${DOCUMENTS}/${name}/copyright`, 5));
}
