import { existsSync } from 'node:fs';
import type { ModuleRequest } from './module-request.ts';

/** Fetches a module and gives its file. Rejects with the reason where that fails. */
export type Fetcher = (request: ModuleRequest) => Promise<string>;

/** Modules that the agent has fetched. Two filters with the same module share one download. */
export class ModuleStore {
  readonly #fetch: Fetcher;
  readonly #files = new Map<string, string>();
  readonly #running = new Map<string, Promise<string>>();

  constructor(fetch: Fetcher) {
    this.#fetch = fetch;
  }

  /** The file of a module. An image whose tag may move is fetched again each time (WasmPlugin reference, imagePullPolicy). */
  async file(request: ModuleRequest): Promise<string> {
    const key = JSON.stringify([request.url, request.sha256]);
    const known = this.#files.get(key);
    if (known !== undefined && !fetchesAlways(request) && existsSync(known)) return known;
    const running = this.#running.get(key) ?? this.#fetch(request).finally(() => this.#running.delete(key));
    this.#running.set(key, running);
    const file = await running;
    this.#files.set(key, file);
    return file;
  }
}

function fetchesAlways({ url, sha256, pullPolicy }: ModuleRequest): boolean {
  if (pullPolicy === 'Always') return true;
  if (pullPolicy === 'IfNotPresent' || sha256 !== '' || /^https?:\/\//.test(url) || url.includes('@')) return false;
  return /:latest$/.test(url) || !/:[^/]+$/.test(url.replace(/^oci:\/\//, ''));
}
