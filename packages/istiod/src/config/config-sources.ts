import { type FSWatcher, watch } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { MeshConfig } from '@istio-ts/api';
import { istioTypes } from '@istio-ts/api/resource-types';
import { type KubeObject, parseManifests } from '@istio-ts/kube';
import type { Logger } from '../log.ts';

/** What reads a source of configuration, and what hears of it. */
export interface ConfigSink {
  set(object: KubeObject): void;
  delete(object: KubeObject): void;
  /** Several changes as one. */
  batch(change: () => void): void;
}

type Sources = NonNullable<MeshConfig['configSources']>;

/**
 * Whether Istio's configuration is read from the Kubernetes API: as long as the mesh names no sources, and where it names `k8s://` among them (MeshConfig,
 * `configSources`). Services and workloads always come from there.
 */
export const readsKubernetes = (sources: Sources | undefined): boolean =>
  !sources?.length || sources.some(({ address = '' }) => address.startsWith('k8s://'));

/** Whether an object is Istio's configuration, for which sources can be named. */
export const isConfiguration = ({ apiVersion, kind }: Pick<KubeObject, 'apiVersion' | 'kind'>): boolean =>
  Object.hasOwn(istioTypes, kind) && /^[a-z]+\.istio\.io\//.test(apiVersion);

const SETTLE_MS = 50;
const LOOK_AGAIN_MS = 5000;

const keyOf = ({ kind, metadata }: KubeObject): string => `${kind}/${metadata.namespace}/${metadata.name}`;

/**
 * A folder of manifests as a source: every file `.yaml`, `.yml` or `.json` in it and in the folders below, read again when something changes. Objects without a
 * namespace are in `default`. A file that cannot be read keeps what it said last.
 */
class FolderSource {
  readonly #path: string;
  readonly #sink: ConfigSink;
  readonly #log: Logger;
  readonly #files = new Map<string, readonly KubeObject[]>();
  #known = new Map<string, { readonly object: KubeObject; readonly text: string }>();
  #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #regularly: NodeJS.Timeout;
  #reading: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(path: string, sink: ConfigSink, log: Logger) {
    this.#path = path;
    this.#sink = sink;
    this.#log = log;
    // Where changes cannot be watched, on some network file systems, they are seen a little later.
    this.#regularly = setInterval(() => this.#soon(), LOOK_AGAIN_MS);
    this.#regularly.unref();
  }

  /** Reads everything for the first time. */
  async start(): Promise<void> {
    await this.#read();
    this.#watch();
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#regularly);
    clearTimeout(this.#timer);
    this.#watcher?.close();
  }

  #watch(): void {
    if (this.#closed || this.#watcher) return;
    try {
      this.#watcher = watch(this.#path, { recursive: true }, () => this.#soon());
      this.#watcher.on('error', () => {
        this.#watcher?.close();
        this.#watcher = undefined;
      });
    } catch {
      // The folder is not there yet: it is looked for again.
    }
  }

  #soon(): void {
    if (this.#closed) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#reading = this.#reading.then(() => this.#read());
      this.#watch();
    }, SETTLE_MS);
    this.#timer.unref();
  }

  async #read(): Promise<void> {
    let names: readonly string[];
    try {
      names = (await readdir(this.#path, { recursive: true })).filter((name) => /\.(ya?ml|json)$/.test(name)).sort();
    } catch (error) {
      this.#log.error(`fs://${this.#path}: ${error instanceof Error ? error.message : error}`);
      return;
    }
    for (const name of [...this.#files.keys()]) if (!names.includes(name)) this.#files.delete(name);
    for (const name of names) {
      // The files of a ConfigMap's volume stand in hidden folders, and links to them beside these.
      if (name.split('/').some((part) => part.startsWith('.'))) continue;
      try {
        this.#files.set(name, this.#objects(await readFile(join(this.#path, name), 'utf8'), name));
      } catch (error) {
        this.#log.error(`fs://${this.#path}: ${error instanceof Error ? error.message : error}`);
      }
    }
    if (this.#closed) return;
    this.#apply();
  }

  #objects(text: string, name: string): readonly KubeObject[] {
    return parseManifests(text, name).flatMap((object) => {
      if (!isConfiguration(object)) {
        this.#log.warn(`fs://${this.#path}/${name}: ${object.apiVersion} ${object.kind} is no configuration of Istio`);
        return [];
      }
      const { namespace = 'default' } = object.metadata;
      return [{ ...object, metadata: { ...object.metadata, namespace } }];
    });
  }

  #apply(): void {
    const next = new Map<string, { readonly object: KubeObject; readonly text: string }>();
    for (const object of [...this.#files.values()].flat()) {
      const key = keyOf(object);
      if (next.has(key)) this.#log.warn(`fs://${this.#path}: ${key} is there twice; the first one counts`);
      else next.set(key, { object, text: JSON.stringify(object) });
    }
    this.#sink.batch(() => {
      for (const [key, { object }] of this.#known) if (!next.has(key)) this.#sink.delete(object);
      for (const [key, { object, text }] of next) if (this.#known.get(key)?.text !== text) this.#sink.set(object);
    });
    this.#known = next;
  }
}

/**
 * Reads the mesh's further sources of configuration: folders of files (`fs:///PATH`). What other addresses there are is told in the log. Resolves when all of it
 * has been read once.
 */
export async function readConfigSources(
  sources: Sources | undefined,
  sink: ConfigSink,
  log: Logger,
): Promise<{ close(): void }> {
  const folders: FolderSource[] = [];
  for (const [i, { address = '' }] of (sources ?? []).entries()) {
    const at = `configSources[${i}].address`;
    if (address.startsWith('k8s://')) continue;
    if (address.startsWith('fs://')) folders.push(new FolderSource(address.slice('fs://'.length), sink, log));
    else if (address.startsWith('xds://'))
      log.error(`${at}: ${address}: configuration from xDS servers is not read by this istiod; name fs:// or k8s://`);
    else log.error(`${at}: ${JSON.stringify(address)} is none: use fs:///FOLDER or k8s://`);
  }
  await Promise.all(folders.map((folder) => folder.start()));
  return {
    close: () => {
      for (const folder of folders) folder.close();
    },
  };
}
