import { spawnSync } from 'node:child_process';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { type ArchivedEntry, readTar } from '../tar/read-tar.ts';
import { readAr } from './ar.ts';

/** Nothing that is unpacked here is larger; more is refused instead of filling the memory. */
export const LIMIT = 2 * 1024 * 1024 * 1024;

/** The files a Debian package installs (deb(5)). Throws an Error that says what is wrong with it, or that python3 is missing for xz. */
export function debFiles(archive: Buffer): ArchivedEntry[] {
  const members = readAr(archive);
  if (!members.get('debian-binary')?.toString('latin1').startsWith('2.')) throw new Error('not a Debian package');
  for (const [name, data] of members) if (name.startsWith('data.tar')) return readTar(decompress(name, data));
  throw new Error('the Debian package has no data.tar');
}

/** Decompresses by the ending of the file's name; xz with Python's lzma, since Node has none. */
export function decompress(name: string, data: Buffer): Buffer {
  if (name.endsWith('.gz')) return gunzipSync(data, { maxOutputLength: LIMIT });
  if (name.endsWith('.zst')) return zstdDecompressSync(data, { maxOutputLength: LIMIT });
  if (!name.endsWith('.xz')) return data;
  const { status, stdout, stderr, error } = spawnSync(
    'python3',
    ['-c', 'import lzma,sys; sys.stdout.buffer.write(lzma.decompress(sys.stdin.buffer.read()))'],
    { input: data, maxBuffer: LIMIT },
  );
  if (error !== undefined) throw new Error(`python3 is needed to decompress ${name}: ${error.message}`);
  if (status !== 0) throw new Error(`cannot decompress ${name}: ${stderr.toString().trim().split('\n').at(-1)}`);
  return stdout;
}
