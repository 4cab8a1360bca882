import { closeSync, mkdirSync, openSync, renameSync, rmSync, writevSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Writes a file piece by piece, complete or not at all, with the folders above it: whoever reads the path meanwhile finds what was there before. Gives its size
 * in bytes. Throws what `pieces` and the file system throw.
 */
export function writeWhole(path: string, pieces: Iterable<Buffer | string>): number {
  mkdirSync(dirname(path), { recursive: true });
  const staged = `${path}.${process.pid}`;
  let size = 0;
  try {
    const file = openSync(staged, 'w');
    try {
      for (const piece of pieces) {
        let rest = typeof piece === 'string' ? Buffer.from(piece) : piece;
        size += rest.length;
        while (rest.length > 0) rest = rest.subarray(writevSync(file, [rest]));
      }
    } finally {
      closeSync(file);
    }
    renameSync(staged, path);
  } catch (error) {
    rmSync(staged, { force: true });
    throw error;
  }
  return size;
}
