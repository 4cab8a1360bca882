import { createHash } from 'node:crypto';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { askForModules } from './fetch.ts';
import { moduleBytes } from './module-bytes.ts';
import { download, pullImage } from './registry.ts';

/** What the agent asks its helper, which has TLS and can be thrown away with all that a download takes. */
export interface FetchModule {
  readonly url: string;
  readonly sha256: string;
  readonly pullSecret: string;
  /** Registries that are spoken to without TLS: hosts, or * for all. Those named may be at addresses that are refused otherwise (see fetch.ts). */
  readonly insecureRegistries: readonly string[];
  /** Where modules are kept, by their checksums. */
  readonly directory: string;
}

/** Fetches a module and gives the path of its file. Raises ModuleError. */
export async function fetchModule(request: FetchModule): Promise<string> {
  const { url, sha256, pullSecret, insecureRegistries, directory } = request;
  const trusts = (host: string): boolean => insecureRegistries.includes(host);
  const ask = askForModules(trusts, process.env);
  const fetched = /^https?:\/\//.test(url)
    ? await download(url, sha256, ask)
    : await pullImage(url, {
        checksum: sha256,
        dockerConfig: pullSecret,
        insecure: (host) => trusts(host) || insecureRegistries.includes('*'),
        ask,
      });
  const module = moduleBytes(fetched);
  mkdirSync(directory, { recursive: true });
  const file = join(directory, `${createHash('sha256').update(module).digest('hex')}.wasm`);
  // Envoy must never see half of it.
  writeFileSync(`${file}.${process.pid}`, module);
  renameSync(`${file}.${process.pid}`, file);
  return file;
}
