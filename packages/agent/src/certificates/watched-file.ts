import { readFileSync, watch } from 'node:fs';
import { dirname } from 'node:path';

/** Greatest file read. */
const MAX_FILE = 4 << 20;

/**
 * Tells a file's text now, where it is there, and after each change, as mounted ConfigMaps change: by another folder that takes the place of the one
 * before. Says nothing of a folder that does not exist. `directories` are those in which changes show, where that is not the file's own: a folder that is
 * part of a mounted one is replaced together with it. The result ends it.
 */
export function watchFile(
  path: string,
  debounceMs: number,
  onText: (text: string | undefined) => void,
  directories: readonly string[] = [dirname(path)],
): () => void {
  let last: string | undefined;
  const read = (): void => {
    let text: string | undefined;
    try {
      text = readFileSync(path, 'utf8');
    } catch {
      // The file is not there (yet).
      text = undefined;
    }
    if (text === last || (text?.length ?? 0) > MAX_FILE) return;
    last = text;
    onText(text);
  };
  read();
  let timer: NodeJS.Timeout | undefined;
  const watchers = directories.flatMap((directory) => {
    try {
      const watcher = watch(directory, { persistent: false }, () => {
        clearTimeout(timer);
        timer = setTimeout(read, debounceMs);
      });
      watcher.on('error', () => watcher.close());
      return [watcher];
    } catch {
      // A folder that is not there is not watched.
      return [];
    }
  });
  return () => {
    clearTimeout(timer);
    for (const watcher of watchers) watcher.close();
  };
}
