import { join } from 'node:path';
import { VERSION } from '@istio-ts/api/version';
import { type DescribedImage, imageBuilder } from './build.ts';
import { revisionOf } from './build-facts.ts';
import { type Architecture, layerTime, readLock } from './debian/lock.ts';
import { mirrorOf } from './debian/mirror.ts';
import { layerStore, pruneLayers } from './layers/layer-store.ts';
import { buildIndex } from './oci/image.ts';
import { type Publication, type Variant, variantReferences } from './references.ts';
import type { Selection } from './selection.ts';
import { readEnvoyLock } from './sources/envoy-lock.ts';
import { singleExecutable } from './sources/executable.ts';
import { fetchEnvoy, fetchNode } from './sources/fetch-programs.ts';
import { bundledSources, librariesIn, pageSources } from './sources/libraries.ts';
import type { ForeignProgram } from './sources/sources.ts';
import type { Surroundings } from './surroundings.ts';

/** An image as it is published: for all architectures, under its names. */
export interface MadeImage {
  readonly publication: Publication;
  readonly variant: Variant;
  readonly references: readonly string[];
  readonly images: readonly DescribedImage[];
  /** Of the manifest, or of the index where there are several architectures. */
  readonly digest: string;
}

/** Folder below ISTIO_TS_HOME for what builds keep. */
export const cacheFolder = (home: string): string => join(home, 'images');

/** Builds all images of a selection. */
export async function makeImages(selection: Selection, at: Surroundings): Promise<MadeImage[]> {
  const cache = cacheFolder(at.home);
  const programs = join(cache, 'programs');
  const layers = join(cache, 'layers');
  const lock = readLock();
  const envoyLock = readEnvoyLock();
  if (envoyLock.version !== at.envoyVersion)
    throw new Error(
      `the images' lock file names Envoy ${envoyLock.version}, the project uses ${at.envoyVersion}: npm run images -- refresh`,
    );
  at.progress('building the programs');
  const dist = await at.build();
  const builder = imageBuilder({
    sources: {
      dist,
      node: memoised((architecture) => {
        at.progress(`Node for ${architecture}`);
        return fetchNode(at.root, architecture, programs);
      }),
      envoy: memoised((architecture) => {
        at.progress(`Envoy ${envoyLock.version} for ${architecture}`);
        return fetchEnvoy(envoyLock, architecture, programs);
      }),
      executable: (executable, node) => singleExecutable(at.root, executable, node),
      libraries: async (bundles) =>
        librariesIn(at.root, [
          ...bundledSources(dist, bundles),
          ...(bundles.includes('console') ? await pageSources(at.root) : []),
        ]),
    },
    lock,
    mirror: mirrorOf(at.env, join(cache, 'packages')),
    store: layerStore(layers, layerTime(lock), (title) => at.progress(`packing ${title}`)),
    seconds: at.seconds,
    version: VERSION,
    revision: revisionOf(at),
  });
  const made: MadeImage[] = [];
  for (const publication of selection.publications) {
    for (const variant of selection.variants) {
      if (variant === 'distroless' && !publication.distroless) continue;
      const [reference = ''] = publication.references;
      const images: DescribedImage[] = [];
      for (const architecture of selection.architectures)
        images.push(await builder.image(reference, variant, architecture));
      const [first] = images;
      if (first === undefined) continue;
      made.push({
        publication,
        variant,
        references: variantReferences(publication, variant),
        images,
        digest: (images.length === 1 ? first.manifest : buildIndex(images)).descriptor.digest,
      });
    }
  }
  pruneLayers(layers, Date.now());
  return made;
}

function memoised(
  make: (architecture: Architecture) => ForeignProgram,
): (architecture: Architecture) => ForeignProgram {
  const known = new Map<Architecture, ForeignProgram>();
  return (architecture) => {
    const program = known.get(architecture) ?? make(architecture);
    known.set(architecture, program);
    return program;
  };
}
