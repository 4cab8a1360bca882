import { compareVersions } from './version.ts';

/** What a `Packages` index says about a package. */
export interface IndexedPackage {
  readonly name: string;
  readonly version: string;
  /** Path of the .deb below the archive's address. */
  readonly path: string;
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
  /** Name of the source package, which licences and known weaknesses are listed by. */
  readonly source: string;
  /** `Pre-Depends` and `Depends`: one list of alternatives for each dependency, without versions. */
  readonly dependencies: readonly (readonly string[])[];
  /** Names this package also stands for. */
  readonly provides: readonly string[];
  /** Where it is fetched from: the archive that the index belongs to. */
  readonly archive: string;
}

/** Reads a `Packages` index (deb822). Throws an Error for a package without path, checksum or size. */
export function readPackageIndex(text: string, archive: string): IndexedPackage[] {
  const packages: IndexedPackage[] = [];
  for (const paragraph of text.split('\n\n')) {
    if (paragraph.trim() === '') continue;
    const fields = new Map<string, string>();
    for (const line of paragraph.replaceAll(/\n[ \t]/g, ' ').split('\n')) {
      const colon = line.indexOf(':');
      if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).trim());
    }
    const field = (name: string): string => {
      const value = fields.get(name);
      if (value === undefined) throw new Error(`package ${fields.get('Package') ?? '?'} in the index has no ${name}`);
      return value;
    };
    const name = field('Package');
    const size = Number(field('Size'));
    if (!Number.isSafeInteger(size) || size <= 0) throw new Error(`package ${name} in the index has no size`);
    packages.push({
      name,
      version: field('Version'),
      path: field('Filename'),
      sha256: field('SHA256'),
      size,
      source: (fields.get('Source') ?? name).split(' ', 1)[0] ?? name,
      dependencies: [...alternatives(fields.get('Pre-Depends')), ...alternatives(fields.get('Depends'))],
      provides: alternatives(fields.get('Provides')).flat(),
      archive,
    });
  }
  return packages;
}

const alternatives = (field: string | undefined): string[][] =>
  field === undefined
    ? []
    : field
        .split(',')
        .map((dependency) => dependency.split('|').map((alternative) => alternative.trim().replace(/[\s(:].*$/, '')));

/**
 * The packages of `roots` with all that they depend on, sorted by name; of each the newest version. What is in `without` (and what only that needs) is left
 * out: it serves the installation of packages, which does not happen here. Throws an Error for a name that no index has.
 */
export function closure(
  packages: readonly IndexedPackage[],
  roots: readonly string[],
  without: ReadonlySet<string>,
): IndexedPackage[] {
  const newest = new Map<string, IndexedPackage>();
  const providers = new Map<string, string>();
  for (const candidate of packages) {
    const known = newest.get(candidate.name);
    if (known === undefined || compareVersions(candidate.version, known.version) > 0)
      newest.set(candidate.name, candidate);
    for (const name of candidate.provides) if (!providers.has(name)) providers.set(name, candidate.name);
  }
  const chosen = new Map<string, IndexedPackage>();
  const add = (names: readonly string[], why: string): void => {
    if (names.some((name) => without.has(name) || chosen.has(name))) return;
    const found = names.map((name) => newest.get(name) ?? newest.get(providers.get(name) ?? '')).find(Boolean);
    if (found === undefined) throw new Error(`${why}: there is no package ${names.join(' or ')}`);
    if (chosen.has(found.name) || without.has(found.name)) return;
    chosen.set(found.name, found);
    for (const dependency of found.dependencies) add(dependency, `${found.name} depends on it`);
  };
  for (const root of roots) add([root], 'base of the images');
  return [...chosen.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}
