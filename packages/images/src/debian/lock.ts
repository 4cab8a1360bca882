import { readFileSync } from 'node:fs';

/** Architectures that images are made for, by the names that OCI and Debian share. */
export const ARCHITECTURES = ['amd64', 'arm64'] as const;
export type Architecture = (typeof ARCHITECTURES)[number];

/** A package of the base layers, exactly as it was when the lock file was written. */
export interface LockedPackage {
  readonly name: string;
  readonly version: string;
  readonly source: string;
  /** `debian` or `debian-security`: the archive it is fetched from. */
  readonly archive: string;
  /** Path below the archive. */
  readonly path: string;
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
  /** The only files taken from it; absent when all are. */
  readonly files?: readonly string[];
}

/** The architecture a package was built for: the given one, or `all` where it is the same for every one. */
export const builtFor = ({ path }: LockedPackage, architecture: Architecture): Architecture | 'all' =>
  path.endsWith('_all.deb') ? 'all' : architecture;

/** What the base layers of a variant and architecture are made of. */
export interface PackageLock {
  readonly suite: string;
  /** For snapshot.debian.org, where versions stay that the mirrors have replaced: `20261122T000000Z`. */
  readonly snapshot: string;
  readonly packages: Readonly<Record<Architecture, Readonly<Record<string, readonly LockedPackage[]>>>>;
}

export const LOCK_FILE = new URL('../../generated/debian-packages.json', import.meta.url);

/** Reads the lock file. Throws an Error that names the command to write it where it is missing. */
export function readLock(): PackageLock {
  try {
    return JSON.parse(readFileSync(LOCK_FILE, 'utf8')) as PackageLock;
  } catch (error) {
    throw new Error(
      `generated/debian-packages.json cannot be read, write it with npm run images -- refresh: ${(error as Error).message}`,
    );
  }
}

/** Time of all files in layers, in seconds since 1970: that of the packages, so that layers change only with what is in them. */
export function layerTime({ snapshot }: PackageLock): number {
  const [, year, month, day] = /^(\d{4})(\d\d)(\d\d)T/.exec(snapshot) ?? [];
  return Date.UTC(Number(year), Number(month) - 1, Number(day)) / 1000;
}
