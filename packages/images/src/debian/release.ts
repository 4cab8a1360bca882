import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LIMIT } from './deb.ts';

/** How the signature of an `InRelease` is checked; `unchecked` where somebody asked for that. */
export type Trust =
  | { readonly kind: 'signed' /** gpgv or a path to it. */; readonly program: string; readonly keyring: string }
  | { readonly kind: 'unchecked' };

/** Debian's own keys, as its package debian-archive-keyring installs them. */
export const DEBIAN_KEYS: Trust = {
  kind: 'signed',
  program: 'gpgv',
  keyring: '/usr/share/keyrings/debian-archive-keyring.gpg',
};

/** What a release file says of an index. */
export interface ListedFile {
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
}

/** A release of a suite of Debian. */
export interface Release {
  /** When it was made, in milliseconds since 1970. */
  readonly date: number;
  /** Its indexes by their paths. */
  readonly files: ReadonlyMap<string, ListedFile>;
}

/**
 * The text that an `InRelease` file signs. Throws an Error when the signature is wrong, and when gpgv or the keyring to check it are missing: what is not checked
 * is not used, unless `trust` says so.
 */
export function signedText(release: Buffer, url: string, trust: Trust): string {
  if (trust.kind === 'unchecked') {
    const text = release.toString('utf8');
    return text.slice(text.indexOf('\n\n') + 1, text.indexOf('-----BEGIN PGP SIGNATURE-----'));
  }
  const { program, keyring } = trust;
  const without = '(--unverified takes the packages without this check)';
  if (!existsSync(keyring))
    throw new Error(`the signature of ${url} cannot be checked: ${keyring} is missing ${without}`);
  const folder = mkdtempSync(join(tmpdir(), 'istio-images-'));
  try {
    const path = join(folder, 'InRelease');
    writeFileSync(path, release);
    const { status, stdout, stderr, error } = spawnSync(program, ['--keyring', keyring, '--output', '-', path], {
      env: { ...process.env, LC_ALL: 'C' },
      maxBuffer: 64 * 1024 * 1024,
    });
    if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT')
      throw new Error(`the signature of ${url} cannot be checked: ${program} is missing ${without}`);
    // Its words are for people only: they repeat what the file says.
    if (error !== undefined) throw new Error(`the signature of ${url} cannot be checked: ${error.message}`);
    if (status !== 0) throw new Error(`the signature of ${url} is wrong:\n${stderr.toString().trim()}`);
    return stdout.toString('utf8');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Reads a release file and checks that it is the one that was asked for: of this suite, and not kept back until it was too old. `now` is in milliseconds since
 * 1970. Throws an Error that says what is wrong.
 */
export function readRelease(text: string, url: string, suite: string, now: number): Release {
  const field = (name: string): string | undefined => new RegExp(`^${name}: (.*)$`, 'm').exec(text)?.[1]?.trim();
  if (field('Codename') !== suite && field('Suite') !== suite)
    throw new Error(`${url} is for ${field('Codename') ?? field('Suite') ?? 'no suite'}, not for ${suite}`);
  const time = (name: string): number => {
    const value = field(name);
    const parsed = Date.parse(value ?? '');
    if (Number.isNaN(parsed)) throw new Error(`${url} has ${value === undefined ? 'no' : 'a wrong'} ${name}`);
    return parsed;
  };
  const date = time('Date');
  if (field('Valid-Until') !== undefined && time('Valid-Until') < now)
    throw new Error(`${url} was valid until ${field('Valid-Until')}: the mirror is not kept up to date`);
  const files = new Map<string, ListedFile>();
  const section = /^SHA256:\n((?: .*\n?)*)/m.exec(text)?.[1] ?? '';
  for (const line of section.split('\n')) {
    const [, sha256 = '', size = '', path = ''] = /^ ([0-9a-f]{64}) +(\d+) (\S+)$/.exec(line) ?? [];
    if (path !== '' && Number(size) <= LIMIT) files.set(path, { sha256, size: Number(size) });
  }
  return { date, files };
}
