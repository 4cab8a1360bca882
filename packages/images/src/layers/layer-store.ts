import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { blob, digestOf, MEDIA, type Digest } from '../oci/blob.ts';
import type { Layer } from '../oci/image.ts';
import { completeTree, type Entry } from '../tar/entry.ts';
import { writeTar } from '../tar/write-tar.ts';
import { writeWhole } from '../whole-file.ts';

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
   * The layer of `entries`. `inputs` names all that they depend on beside this project's code (checksums of packages and programs, paths): the same inputs give a
   * kept layer. Without `inputs` the layer is built anew.
   */
  layer(title: string, inputs: readonly string[] | undefined, entries: () => Promise<Iterable<Entry>>): Promise<Layer>;
}

/**
 * A store in `folder`; all files of its layers have the time `seconds`. `packing` hears of layers that are built anew; `now` is in milliseconds since 1970.
 */
export function layerStore(
  folder: string,
  seconds: number,
  packing: (title: string) => void = () => undefined,
  now: () => number = Date.now,
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
      const kept = key === undefined ? undefined : readKept(folder, key, title, now());
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

/** Days after which layers go that no build used. */
const KEPT_DAYS = 30;

/** Removes from a store's folder what no build used for so long, with what interrupted builds left; `now` is in milliseconds since 1970. */
export function pruneLayers(folder: string, now: number): void {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const used = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
    if (used !== undefined && now - used > KEPT_DAYS * 24 * 60 * 60 * 1000) rmSync(path, { force: true });
  }
}

function readKept(folder: string, key: string, title: string, now: number): Layer | undefined {
  const description = join(folder, `${key}.json`);
  const archive = join(folder, `${key}.tar.gz`);
  if (!existsSync(description) || !existsSync(archive)) return undefined;
  const { digest, diffId, unpacked } = JSON.parse(readFileSync(description, 'utf8')) as Kept;
  const data = blob(MEDIA.layer, readFileSync(archive));
  if (data.descriptor.digest !== digest) return undefined;
  for (const path of [description, archive]) utimesSync(path, now / 1000, now / 1000);
  return { blob: data, diffId, unpacked, title };
}

function keep(folder: string, key: string, layer: Layer): void {
  const { diffId, unpacked, blob: packed } = layer;
  const kept: Kept = { digest: packed.descriptor.digest, diffId, unpacked };
  writeWhole(join(folder, `${key}.tar.gz`), [packed.data]);
  writeWhole(join(folder, `${key}.json`), [JSON.stringify(kept)]);
}

/** A hash of the sources that decide what is in a layer: when they change, nothing that is kept counts. */
function builderKey(): string {
  const hash = createHash('sha256').update(process.versions.zlib);
  const sources = join(import.meta.dirname, '..');
  hash.update(readFileSync(join(sources, 'build.ts')));
  for (const part of ['debian', 'layers', 'sources', 'tar']) {
    for (const name of readdirSync(join(sources, part)).sort())
      if (name.endsWith('.ts') && !name.endsWith('.test.ts')) hash.update(readFileSync(join(sources, part, name)));
  }
  return hash.digest('hex');
}
