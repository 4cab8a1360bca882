import { existsSync } from 'node:fs';
import type { ModuleCounters } from './module-counters.ts';
import type { ModuleRequest } from './module-request.ts';

/** Fetches a module and gives its file. Rejects with the reason where that fails. */
export type Fetcher = (request: ModuleRequest) => Promise<string>;

/** Modules that the agent has fetched. Two filters with the same module share one download. */
export class ModuleStore {
  readonly #fetch: Fetcher;
  readonly #counters: ModuleCounters;
  readonly #files = new Map<string, string>();
  readonly #running = new Map<string, Promise<string>>();

  constructor(fetch: Fetcher, counters: ModuleCounters) {
    this.#fetch = fetch;
    this.#counters = counters;
  }

  /** The file of a module. An image whose tag may move is fetched again each time (WasmPlugin reference, imagePullPolicy). */
  async file(request: ModuleRequest): Promise<string> {
    const key = JSON.stringify([request.url, request.sha256]);
    const known = this.#files.get(key);
    const isKept = known !== undefined && !fetchesAlways(request) && existsSync(known);
    this.#counters.lookup(isKept);
    if (isKept) return known;
    const running = this.#running.get(key) ?? this.#fetchCounted(request).finally(() => this.#running.delete(key));
    this.#running.set(key, running);
    const file = await running;
    this.#files.set(key, file);
    this.#counters.kept(new Set(this.#files.values()).size);
    return file;
  }

  async #fetchCounted(request: ModuleRequest): Promise<string> {
    try {
      const file = await this.#fetch(request);
      this.#counters.fetched(true);
      return file;
    } catch (error) {
      this.#counters.fetched(false);
      throw error;
    }
  }
}

function fetchesAlways({ url, sha256, pullPolicy }: ModuleRequest): boolean {
  if (pullPolicy === 'Always') return true;
  if (pullPolicy === 'IfNotPresent' || sha256 !== '' || /^https?:\/\//.test(url) || url.includes('@')) return false;
  return /:latest$/.test(url) || !/:[^/]+$/.test(url.replace(/^oci:\/\//, ''));
}
