import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { refreshedLock } from './refresh.ts';
import { DEBIAN_KEYS, readRelease, signedText } from './release.ts';

const NOW = Date.parse('2026-11-22T00:00:00Z');
const SUM = 'a'.repeat(64);
const TEXT = `Suite: oldstable
Codename: bookworm
Date: Sat, 21 Nov 2026 00:53:02 UTC
Valid-Until: Sat, 28 Nov 2026 00:53:02 UTC
MD5Sum:
 ${'b'.repeat(32)} 5 main/binary-amd64/Packages.xz
SHA256:
 ${SUM}   378100 main/binary-amd64/Packages.xz
 ${SUM}  1 main/binary-arm64/Packages.xz
`;
const INRELEASE = Buffer.from(
  `-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n${TEXT}-----BEGIN PGP SIGNATURE-----\n\nbm90aGluZw==\n-----END PGP SIGNATURE-----\n`,
);

/** A program in the place of gpgv that says `words` to its standard error and ends with `status`, with an empty keyring. */
function checker(context: TestContext, words: string, status: number) {
  const folder = mkdtempSync(join(tmpdir(), 'images-gpgv-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const program = join(folder, 'gpgv');
  const keyring = join(folder, 'keys.gpg');
  writeFileSync(
    program,
    `#!/bin/sh\necho "$LC_ALL" >&2\ncat >&2 <<'END'\n${words}\nEND\necho checked\nexit ${status}\n`,
    { mode: 0o755 },
  );
  writeFileSync(keyring, '');
  return { kind: 'signed', program, keyring } as const;
}

test('a wrong signature is an error, whatever the program that checks it prints', (context) => {
  for (const words of ['BAD signature', 'from "No such file"', "Can't open: No such file or directory"])
    assert.throws(
      () => signedText(INRELEASE, 'http://m/InRelease', checker(context, words, 2)),
      (error: Error) => error.message.startsWith(`the signature of http://m/InRelease is wrong:\nC\n${words}`),
    );
  assert.equal(signedText(INRELEASE, 'http://m/InRelease', checker(context, 'good', 0)), 'checked\n');
});

test('without the keys or the program nothing is taken, unless that is asked for', (context) => {
  const trust = checker(context, '', 0);
  assert.throws(
    () => signedText(INRELEASE, 'u', { ...trust, keyring: '/nowhere/keys.gpg' }),
    /cannot be checked: \/nowhere\/keys\.gpg is missing .*--unverified/,
  );
  assert.throws(
    () => signedText(INRELEASE, 'u', { ...trust, program: '/nowhere/gpgv' }),
    /cannot be checked: \/nowhere\/gpgv is missing .*--unverified/,
  );
  assert.match(signedText(INRELEASE, 'u', { kind: 'unchecked' }), /^\nSuite: oldstable\n/);
});

test('a release is of the suite that was asked for, has a date and is still valid', () => {
  const { date, files } = readRelease(TEXT, 'u', 'bookworm', NOW);
  assert.equal(date, Date.UTC(2026, 10, 21, 0, 53, 2));
  assert.deepEqual(files.get('main/binary-amd64/Packages.xz'), { sha256: SUM, size: 378100 });
  assert.equal(readRelease(TEXT, 'u', 'oldstable', NOW).files.size, 2, 'its checksums of another kind do not count');
  assert.throws(() => readRelease(TEXT, 'u', 'bookworm-security', NOW), /is for bookworm, not for bookworm-security/);
  assert.throws(() => readRelease(TEXT, 'u', 'bookworm', NOW + 7 * 86_400_000), /was valid until Sat, 28 Nov 2026/);
  assert.throws(() => readRelease(TEXT.replace(/^Date: .*$/m, 'Date: soon'), 'u', 'bookworm', NOW), /a wrong Date/);
  assert.throws(() => readRelease(TEXT.replace(/^Date: .*\n/m, ''), 'u', 'bookworm', NOW), /has no Date/);
});

test('an index that nobody signed does not get into the lock', { skip: gpgvMissing() }, async () => {
  const fetch = (async () => new Response(new Uint8Array(INRELEASE))) as typeof globalThis.fetch;
  await assert.rejects(
    refreshedLock({ address: 'http://mirror', cache: '/nowhere', fetch }, DEBIAN_KEYS, NOW),
    /the signature of .*InRelease is wrong/,
  );
});

function gpgvMissing(): string | false {
  if (spawnSync('gpgv', ['--version']).status !== 0) return 'there is no gpgv on this machine';
  return DEBIAN_KEYS.kind === 'signed' && existsSync(DEBIAN_KEYS.keyring)
    ? false
    : 'Debian’s keys are not on this machine';
}
