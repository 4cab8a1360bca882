import * as fs from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Thrown when a file was changed by others between reading it and replacing it; nothing was written. */
export class FileChangedError extends Error {
  constructor(path: string) {
    super(`${path} was changed by others at the same moment; it is read again`);
    this.name = 'FileChangedError';
  }
}

/** Name of a file while it is written. Its ending is none that runtimes read. */
export const unfinished = (path: string): string => `${path}.tmp-${process.pid}`;

/**
 * Writes a file whose content or permissions differ, all at once, and so that it survives a loss of power. Returns whether it did. With `replaced` only a file
 * that still has this text is replaced; raises {@link FileChangedError} otherwise.
 */
export async function writeAtomically(path: string, text: string, mode: number, replaced?: string): Promise<boolean> {
  const old = await readText(path);
  if (old === text && ((await fs.stat(path)).mode & 0o777) === mode) return false;
  const fresh = unfinished(path);
  try {
    const file = await fs.open(fresh, 'w', mode);
    try {
      await file.writeFile(text);
      await file.chmod(mode);
      await file.sync();
    } finally {
      await file.close();
    }
    if (replaced !== undefined && (await readText(path)) !== replaced) throw new FileChangedError(path);
    await fs.rename(fresh, path);
  } catch (error) {
    await fs.rm(fresh, { force: true });
    throw error;
  }
  return true;
}

const readText = (path: string): Promise<string | undefined> => fs.readFile(path, 'utf8').catch(() => undefined);

/** Removes what processes that were killed while they wrote this file have left. */
export async function removeUnfinished(path: string): Promise<void> {
  const names = await fs.readdir(dirname(path)).catch(() => []);
  for (const name of names)
    if (name.startsWith(`${basename(path)}.tmp-`)) await fs.rm(join(dirname(path), name), { force: true });
}
