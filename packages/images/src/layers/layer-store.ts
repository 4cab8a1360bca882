import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { blob, digestOf, MEDIA, type Digest } from '../oci/blob.ts';
import type { Layer } from '../oci/image.ts';
import { completeTree, type Entry } from '../tar/entry.ts';
import { writeTar } from '../tar/write-tar.ts';

const compress = promisify(gzip);

/** What a kept layer is described by, beside its compressed archive. */
interface Kept {
  readonly digest: Digest;
  readonly diffId: Digest;
  readonly unpacked: number;
}

/** Builds layers and keeps them in a folder, so that what did not change is not packed again. */
export interface LayerStore {
  /**
   * The layer of `entries`. `inputs` names all that they depend on (checksums of packages and programs): the same inputs give a kept layer. Without `inputs`
   * the layer is built anew.
   */
  layer(title: string, inputs: readonly string[] | undefined, entries: () => Promise<Iterable<Entry>>): Promise<Layer>;
}

/** A store in `folder`; all files of its layers have the time `seconds`. `packing` hears of layers that are built anew. */
export function layerStore(
  folder: string,
  seconds: number,
  packing: (title: string) => void = () => undefined,
): LayerStore {
  const builder = builderKey();
  return {
    layer: async (title, inputs, entries) => {
      const key =
        inputs === undefined
          ? undefined
          : createHash('sha256')
              .update(JSON.stringify([builder, seconds, inputs]))
              .digest('hex');
      const kept = key === undefined ? undefined : readKept(folder, key, title);
      if (kept !== undefined) return kept;
      if (key !== undefined) packing(title);
      const built = await packLayer(title, await entries(), seconds);
      if (key !== undefined) keep(folder, key, built);
      return built;
    },
  };
}

/** Packs entries into a layer. */
export async function packLayer(title: string, entries: Iterable<Entry>, seconds: number): Promise<Layer> {
  const archive = writeTar(completeTree(entries), seconds);
  const data = await compress(archive, { level: 6 });
  return { blob: blob(MEDIA.layer, data), diffId: digestOf(archive), unpacked: archive.length, title };
}

function readKept(folder: string, key: string, title: string): Layer | undefined {
  const description = join(folder, `${key}.json`);
  const archive = join(folder, `${key}.tar.gz`);
  if (!existsSync(description) || !existsSync(archive)) return undefined;
  const { digest, diffId, unpacked } = JSON.parse(readFileSync(description, 'utf8')) as Kept;
  const data = blob(MEDIA.layer, readFileSync(archive));
  return data.descriptor.digest === digest ? { blob: data, diffId, unpacked, title } : undefined;
}

function keep(folder: string, key: string, layer: Layer): void {
  mkdirSync(folder, { recursive: true });
  const write = (path: string, data: Buffer | string): void => {
    const staged = `${path}.${process.pid}`;
    writeFileSync(staged, data);
    renameSync(staged, path);
  };
  const { diffId, unpacked, blob: packed } = layer;
  const kept: Kept = { digest: packed.descriptor.digest, diffId, unpacked };
  write(join(folder, `${key}.tar.gz`), packed.data);
  write(join(folder, `${key}.json`), JSON.stringify(kept));
}

/** A hash of the sources that decide what is in a layer: when they change, nothing that is kept counts. */
function builderKey(): string {
  const hash = createHash('sha256').update(process.versions.zlib);
  const sources = join(import.meta.dirname, '..');
  for (const part of ['debian', 'layers', 'tar']) {
    for (const name of readdirSync(join(sources, part)).sort())
      if (name.endsWith('.ts') && !name.endsWith('.test.ts')) hash.update(readFileSync(join(sources, part, name)));
  }
  return hash.digest('hex');
}
