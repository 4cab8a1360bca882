import { readFileSync, watch } from 'node:fs';
import { join } from 'node:path';
import { type MaterialFiles, materialFiles } from './material.ts';

/** Greatest file read. */
const MAX_FILE = 1 << 20;
/** A folder that cannot be watched, because it is not there yet, is looked at again after this time. */
const POLL_MS = 10_000;

/** The folder with the files of a plugged-in CA (ROOT_CA_DIR), as a mounted Secret has them. */
export function authorityFolder(path: string): {
  read(): MaterialFiles;
  watch(onChange: () => void): { close(): void };
} {
  return {
    read: () =>
      Object.fromEntries(
        materialFiles.flatMap((name) => {
          try {
            const text = readFileSync(join(path, name), 'utf8');
            return text.length > MAX_FILE ? [] : [[name, text]];
          } catch {
            // What is not mounted is missing; what that means is said where the material is read.
            return [];
          }
        }),
      ),
    watch: (onChange) => {
      let watcher: ReturnType<typeof watch> | undefined;
      let timer: NodeJS.Timeout | undefined;
      let closed = false;
      const later = (): void => {
        watcher?.close();
        watcher = undefined;
        if (!closed) timer = setTimeout(start, POLL_MS).unref();
      };
      const start = (): void => {
        try {
          // The files come in several writes: only what stands still is read.
          watcher = watch(path, { persistent: false }, () => {
            clearTimeout(timer);
            timer = setTimeout(onChange, 200).unref();
          });
          watcher.on('error', later);
          onChange();
        } catch {
          // The folder is not there yet.
          later();
        }
      };
      start();
      return {
        close: () => {
          closed = true;
          clearTimeout(timer);
          watcher?.close();
        },
      };
    },
  };
}
