import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BASE_LAYERS, INDEXES, LEFT_OUT, SUITE } from './base-packages.ts';
import { decompress } from './deb.ts';
import { ARCHITECTURES, type LockedPackage, type PackageLock } from './lock.ts';
import { download, type Mirror, sha256 } from './mirror.ts';
import { closure, type IndexedPackage, readPackageIndex } from './package-index.ts';

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/**
 * A new lock out of Debian's present indexes. What is trusted is the signature of each `InRelease`; its checksums cover the `Packages` indexes, and theirs the
 * packages. Where gpgv or Debian's keyring are missing, `warn` says so. Throws an Error when a signature or a checksum is wrong.
 */
export async function refreshedLock(mirror: Mirror, warn: (line: string) => void): Promise<PackageLock> {
  let newest = 0;
  const indexes: Record<string, IndexedPackage[]> = {};
  for (const { archive, suite, component } of INDEXES) {
    const folder = `${mirror.address}/${archive}/dists/${suite}`;
    const release = await download(mirror, `${folder}/InRelease`);
    const text = verified(release, `${folder}/InRelease`, warn);
    newest = Math.max(newest, Date.parse(/^Date: (.*)$/m.exec(text)?.[1] ?? ''));
    for (const architecture of ARCHITECTURES) {
      const file = `${component}/binary-${architecture}/Packages.xz`;
      const sums = text.slice(text.indexOf('\nSHA256:'));
      // The security archive's component is called updates/main in its release file and main in the addresses.
      const expected = sums
        .split('\n')
        .map((line) => line.trim().split(/\s+/))
        .find(([, , path]) => path === file)?.[0];
      if (expected === undefined) throw new Error(`${folder}/InRelease does not list ${file}`);
      const index = await download(mirror, `${folder}/${file}`);
      if (sha256(index) !== expected) throw new Error(`${folder}/${file} is not the file that InRelease lists`);
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

/** The signed text of an InRelease file. */
function verified(release: Buffer, url: string, warn: (line: string) => void): string {
  const folder = mkdtempSync(join(tmpdir(), 'istio-images-'));
  try {
    const path = join(folder, 'InRelease');
    writeFileSync(path, release);
    const { status, stdout, stderr, error } = spawnSync('gpgv', ['--keyring', KEYRING, '--output', '-', path], {
      maxBuffer: 64 * 1024 * 1024,
    });
    const said = stderr?.toString() ?? '';
    if (error !== undefined || /No such file/.test(said)) {
      warn(`the signature of ${url} was not checked: gpgv or ${KEYRING} is missing`);
      const text = release.toString('utf8');
      return text.slice(text.indexOf('\n\n') + 1, text.indexOf('-----BEGIN PGP SIGNATURE-----'));
    }
    if (status !== 0) throw new Error(`the signature of ${url} is wrong:\n${said.trim()}`);
    return stdout.toString('utf8');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
