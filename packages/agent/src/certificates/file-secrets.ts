import { readFileSync, watch } from 'node:fs';
import type { FSWatcher } from 'node:fs';
import { dirname } from 'node:path';
import type { Logger } from '../log.ts';
import type { SecretStore } from '../sds/store.ts';
import type { SecretValue } from '../sds/messages.ts';

/** Where the distributions keep the machine's own roots. */
const SYSTEM_ROOTS = ['/etc/ssl/certs/ca-certificates.crt', '/etc/pki/tls/certs/ca-bundle.crt', '/etc/ssl/cert.pem'];

/** Greatest file read as a certificate, key or bundle. */
const MAX_FILE = 4 << 20;

export interface FileSecretOptions {
  readonly store: SecretStore;
  readonly debounceMs: number;
  readonly log: Logger;
  readonly onFailure: () => void;
  /** Called where changes in a folder will not be seen. */
  readonly onBlindness?: () => void;
}

/** Secrets that are files: loaded into the store, and loaded again when they change. */
export class FileSecrets {
  readonly #options: FileSecretOptions;
  readonly #known = new Set<string>();
  readonly #watchers = new Set<FSWatcher>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #closed = false;

  constructor(options: FileSecretOptions) {
    this.#options = options;
  }

  /** Takes names of the form `file-cert:CHAIN~KEY` and `file-root:FILE`; leaves others alone. */
  want(name: string): void {
    if (this.#known.has(name)) return;
    if (name.startsWith('file-cert:')) {
      const [chain = '', key = ''] = name.slice('file-cert:'.length).split('~');
      this.serve(name, [chain, key], (texts) => ({ kind: 'certificate', chain: texts[0] ?? '', key: texts[1] ?? '' }));
    } else if (name.startsWith('file-root:')) {
      const file = name.slice('file-root:'.length);
      const paths = file === 'system' ? [SYSTEM_ROOTS.find(isReadable) ?? SYSTEM_ROOTS[0] ?? ''] : [file];
      this.serve(name, paths, (texts) => ({ kind: 'root', trustedCa: texts[0] ?? '' }));
    }
  }

  /** Keeps the secret `name` equal to what `make` gives for the files' texts. */
  serve(
    name: string,
    paths: readonly string[],
    make: (texts: readonly string[]) => SecretValue,
    onLoad?: (texts: readonly string[]) => void,
  ): void {
    if (this.#known.has(name)) return;
    this.#known.add(name);
    let watching = false;
    const load = (): void => {
      if (this.#closed) return;
      try {
        const texts = paths.map((path) => {
          const text = readFileSync(path, 'utf8');
          if (text.length > MAX_FILE) throw new Error(`${path} is longer than ${MAX_FILE} bytes`);
          if (!text.includes('-----BEGIN ')) throw new Error(`${path} holds no PEM`);
          return text;
        });
        this.#options.store.put(name, make(texts));
        onLoad?.(texts);
        if (!watching) for (const directory of new Set(paths.map(dirname))) this.#watch(directory, load);
        watching = true;
      } catch (error) {
        this.#options.onFailure();
        this.#options.log.warn('secret cannot be read from its file, trying again in 1 s', {
          name,
          error: error instanceof Error ? error.message : String(error),
        });
        this.#later(1000, load);
      }
    };
    load();
  }

  #watch(directory: string, load: () => void): void {
    let pending = false;
    try {
      const watcher = watch(directory, { persistent: false }, () => {
        if (pending) return;
        pending = true;
        this.#later(this.#options.debounceMs, () => {
          pending = false;
          load();
        });
      });
      watcher.on('error', () => {
        this.#watchers.delete(watcher);
        this.#options.onBlindness?.();
      });
      this.#watchers.add(watcher);
    } catch (error) {
      this.#options.onBlindness?.();
      this.#options.log.warn('directory cannot be watched, changes of certificates in it will not be seen', {
        directory,
        error: String(error),
      });
    }
  }

  #later(ms: number, action: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, ms);
    this.#timers.add(timer);
  }

  close(): void {
    this.#closed = true;
    for (const watcher of this.#watchers) watcher.close();
    for (const timer of this.#timers) clearTimeout(timer);
  }
}

function isReadable(path: string): boolean {
  try {
    readFileSync(path);
    return true;
  } catch {
    // Another distribution keeps its roots elsewhere.
    return false;
  }
}
