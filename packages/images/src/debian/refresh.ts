import { BASE_LAYERS, INDEXES, LEFT_OUT, SUITE } from './base-packages.ts';
import { decompress } from './deb.ts';
import { ARCHITECTURES, type LockedPackage, type PackageLock } from './lock.ts';
import { download, type Mirror, sha256 } from './mirror.ts';
import { closure, type IndexedPackage, readPackageIndex } from './package-index.ts';
import { readRelease, signedText, type Trust } from './release.ts';

/** Bytes of an `InRelease`; Debian's have a quarter of a megabyte. */
const RELEASE_LIMIT = 16 * 1024 * 1024;

/**
 * A new lock out of Debian's present indexes. What is trusted is the signature of each `InRelease`; its checksums cover the `Packages` indexes, and theirs the
 * packages. `now` is in milliseconds since 1970. Throws an Error when a signature or a checksum is wrong or cannot be checked, and when a release is not the one
 * that was asked for or is too old.
 */
export async function refreshedLock(mirror: Mirror, trust: Trust, now: number): Promise<PackageLock> {
  let newest = 0;
  const indexes: Record<string, IndexedPackage[]> = {};
  for (const { archive, suite, component } of INDEXES) {
    const folder = `${mirror.address}/${archive}/dists/${suite}`;
    const address = `${folder}/InRelease`;
    const text = signedText(await download(mirror, address, RELEASE_LIMIT), address, trust);
    const { date, files } = readRelease(text, address, suite, now);
    newest = Math.max(newest, date);
    for (const architecture of ARCHITECTURES) {
      const file = `${component}/binary-${architecture}/Packages.xz`;
      const expected = files.get(file);
      if (expected === undefined) throw new Error(`${address} does not list ${file}`);
      const index = await download(mirror, `${folder}/${file}`, expected.size);
      if (index.length !== expected.size || sha256(index) !== expected.sha256)
        throw new Error(`${folder}/${file} is not the file that InRelease lists`);
      const packages = readPackageIndex(decompress(file, index).toString('utf8'), archive);
      indexes[architecture] = [...(indexes[architecture] ?? []), ...packages];
    }
  }
  const packages = { amd64: layersOf(indexes.amd64 ?? []), arm64: layersOf(indexes.arm64 ?? []) };
  // The next midnight after the newest index: by then a snapshot of it was taken.
  const day = new Date(newest + 24 * 60 * 60 * 1000).toISOString().slice(0, 10).replaceAll('-', '');
  return { suite: SUITE, snapshot: `${day}T000000Z`, packages };
}

function layersOf(index: readonly IndexedPackage[]): Record<string, LockedPackage[]> {
  const below = new Set<string>();
  const layers: Record<string, LockedPackage[]> = {};
  for (const [layer, picks] of Object.entries(BASE_LAYERS)) {
    const whole = picks.flatMap((pick) => (typeof pick === 'string' ? [pick] : pick.needs));
    const complete = closure(index, whole, LEFT_OUT).filter(({ name }) => !below.has(name));
    for (const { name } of complete) below.add(name);
    const partial = picks.flatMap((pick) =>
      typeof pick === 'string'
        ? []
        : closure(index, [pick.name], new Set([...LEFT_OUT].filter((name) => name !== pick.name)))
            .filter(({ name }) => name === pick.name)
            .map((found) => ({ ...locked(found), files: pick.files })),
    );
    layers[layer] = [...complete.map(locked), ...partial].sort((a, b) => (a.name < b.name ? -1 : 1));
  }
  return layers;
}

const locked = ({ name, version, source, archive, path, sha256, size }: IndexedPackage): LockedPackage => ({
  name,
  version,
  source,
  archive,
  path,
  sha256,
  size,
});
