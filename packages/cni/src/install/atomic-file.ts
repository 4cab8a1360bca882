import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Thrown when a file was changed by others between reading it and replacing it; nothing was written. */
export class FileChangedError extends Error {
  constructor(path: string) {
    super(`${path} was changed by others at the same moment; it is read again`);
    this.name = 'FileChangedError';
  }
}

/**
 * Name of a file while it is written. Its ending is none that runtimes read. Process ids would not tell writers apart: the agent has the same one in each of
 * its pods, and two of them share a node while one replaces the other.
 */
export const unfinished = (path: string): string => `${path}.tmp-${randomBytes(6).toString('hex')}`;

/** Has what was renamed in a folder survive a loss of power. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await fs.open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/**
 * Writes a file whose content or permissions differ, all at once, and so that it survives a loss of power. Returns whether it did. With `replaced` only a file
 * that still has this text is replaced; raises {@link FileChangedError} otherwise.
 */
export async function writeAtomically(path: string, text: string, mode: number, replaced?: string): Promise<boolean> {
  const old = await readText(path);
  if (old === text && ((await fs.stat(path)).mode & 0o777) === mode) return false;
  const fresh = unfinished(path);
  try {
    const file = await fs.open(fresh, 'wx', mode);
    try {
      await file.writeFile(text);
      await file.chmod(mode);
      await file.sync();
    } finally {
      await file.close();
    }
    if (replaced !== undefined && (await readText(path)) !== replaced) throw new FileChangedError(path);
    await fs.rename(fresh, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await fs.rm(fresh, { force: true });
    throw error;
  }
  return true;
}

const readText = (path: string): Promise<string | undefined> => fs.readFile(path, 'utf8').catch(() => undefined);

/**
 * Removes what processes that were killed while they wrote this file have left; with a time in milliseconds only what nobody has touched since, as another
 * one may be writing.
 */
export async function removeUnfinished(path: string, untouchedSince = Number.POSITIVE_INFINITY): Promise<void> {
  const names = await fs.readdir(dirname(path)).catch(() => []);
  for (const name of names.filter((entry) => entry.startsWith(`${basename(path)}.tmp-`))) {
    const left = join(dirname(path), name);
    // The time of the content is set to that of the original at the end of a copy.
    const touched = await fs.stat(left).catch(() => undefined);
    if (touched !== undefined && touched.ctimeMs < untouchedSince) await fs.rm(left, { force: true });
  }
}
