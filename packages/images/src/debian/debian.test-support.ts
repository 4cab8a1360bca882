import { gzipSync } from 'node:zlib';
import type { Entry } from '../tar/entry.ts';
import { writeTar } from '../tar/write-tar.ts';

/** An `ar` archive of members by name. */
export function arArchive(members: Readonly<Record<string, Buffer>>): Buffer {
  const parts: Buffer[] = [Buffer.from('!<arch>\n')];
  for (const [name, data] of Object.entries(members)) {
    const fields = [name.padEnd(16), '0'.padEnd(12), '0'.padEnd(6), '0'.padEnd(6), '100644'.padEnd(8)];
    parts.push(Buffer.from(`${fields.join('')}${String(data.length).padEnd(10)}\`\n`), data);
    if (data.length % 2 === 1) parts.push(Buffer.from('\n'));
  }
  return Buffer.concat(parts);
}

/** A Debian package with these files. */
export const debPackage = (entries: readonly Entry[]): Buffer =>
  arArchive({
    'debian-binary': Buffer.from('2.0\n'),
    'control.tar.gz': gzipSync(writeTar([], 0)),
    'data.tar.gz': gzipSync(
      writeTar(
        entries.map((entry) => ({ ...entry, path: `./${entry.path}` })),
        0,
      ),
    ),
  });
