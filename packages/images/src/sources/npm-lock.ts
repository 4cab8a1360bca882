import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What package-lock.json says about a package. */
export interface NpmLocked {
  readonly version?: string;
  readonly license?: string;
  /** Checksum of the package's archive: `sha512-…` in base64. */
  readonly integrity?: string;
}

/** The locked npm packages of the repository `root` by their paths: `node_modules/NAME`. */
export function readNpmLock(root: string): Readonly<Record<string, NpmLocked | undefined>> {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, NpmLocked | undefined>>;
  };
  return packages;
}
