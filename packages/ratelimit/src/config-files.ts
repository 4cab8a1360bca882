import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, type ConfigFile } from './config.ts';

/** Larger files are no configuration. */
const MAX_FILE_BYTES = 4 * 1024 * 1024;

/** The names of the configuration files of a folder (`*.yaml`, `*.yml`; names that begin with a dot are of those who mount ConfigMaps). */
function namesIn(folder: string): readonly string[] {
  return readdirSync(folder)
    .filter((name) => /\.ya?ml$/.test(name) && !name.startsWith('.'))
    .sort();
}

/** Reads the files; raises ConfigError for what cannot be read. */
export function readConfigFiles(folder: string): readonly ConfigFile[] {
  try {
    return namesIn(folder).map((name) => {
      const path = join(folder, name);
      if (statSync(path).size > MAX_FILE_BYTES)
        throw new ConfigError(path, '', `is larger than ${MAX_FILE_BYTES} bytes`);
      return { name: path, text: readFileSync(path, 'utf8') };
    });
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(folder, '', error instanceof Error ? error.message : String(error));
  }
}

/**
 * A text that changes with the folder's content, through symbolic links (as ConfigMaps and releases are swapped), without reading the files. Empty where there
 * is no folder.
 */
export function fingerprint(folder: string): string {
  try {
    return namesIn(folder)
      .map((name) => {
        const { ino, size, mtimeMs, ctimeMs } = statSync(join(folder, name));
        return [name, ino, size, mtimeMs, ctimeMs].join(':');
      })
      .join('|');
  } catch {
    return '';
  }
}

export interface WatchedFolder {
  stop(): void;
}

/** Calls back with the files now and whenever they have changed; asks so often as `everyMs` says, since no notice comes through swapped links. */
export function watchConfigFiles(
  folder: string,
  onFiles: (read: () => readonly ConfigFile[]) => void,
  everyMs = 1000,
): WatchedFolder {
  let seen = fingerprint(folder);
  onFiles(() => readConfigFiles(folder));
  const timer = setInterval(() => {
    const now = fingerprint(folder);
    if (now === seen) return;
    seen = now;
    onFiles(() => readConfigFiles(folder));
  }, everyMs);
  return { stop: () => clearInterval(timer) };
}
