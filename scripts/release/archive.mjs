// Archives that are the same bytes for the same content: sorted names, one time, no owner, and gzip without a time stamp.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { constants, gzipSync } from 'node:zlib';

/** Time of everything in the archives, in seconds since 1970: `SOURCE_DATE_EPOCH`, else that of the last commit, else 0. */
export function sourceTime(root) {
  const given = Number(process.env.SOURCE_DATE_EPOCH);
  if (Number.isInteger(given) && given > 0) return given;
  const { status, stdout } = spawnSync('git', ['log', '-1', '--format=%ct'], { cwd: root, encoding: 'utf8' });
  return status === 0 ? Number(stdout.trim()) : 0;
}

/** Packs a folder, with its name as the first part of every path, into a .tar.gz. Throws when tar fails. */
export function packFolder(folder, archive, seconds) {
  const { status, stdout, stderr, error } = spawnSync(
    'tar',
    [
      '--create',
      '--format=gnu',
      '--sort=name',
      `--mtime=@${seconds}`,
      '--owner=0',
      '--group=0',
      '--numeric-owner',
      '--mode=u=rwX,go=rX',
      '--directory',
      dirname(folder),
      basename(folder),
    ],
    { maxBuffer: 1024 * 1024 * 1024 },
  );
  if (status !== 0) throw new Error(`tar cannot pack ${folder}: ${error?.message ?? stderr}`);
  writeFileSync(archive, gzipSync(stdout, { level: constants.Z_DEFAULT_COMPRESSION }));
}

export const sha256 = (file) => createHash('sha256').update(readFileSync(file)).digest('hex');

/** Writes FILE.sha256 in the form that `sha256sum --check` reads; returns its path. */
export function writeChecksum(file) {
  const target = `${file}.sha256`;
  writeFileSync(target, `${sha256(file)}  ${basename(file)}\n`);
  return target;
}
