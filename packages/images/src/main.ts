import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { VERSION } from '@istio-ts/api/version';
import { imageBuilder, type Variant } from './build.ts';
import { type Architecture, layerTime, readLock } from './debian/lock.ts';
import { mirrorOf } from './debian/mirror.ts';
import { layerStore } from './layers/layer-store.ts';
import { layoutFiles, layoutOf, type NamedImage } from './oci/archive.ts';
import { DEFAULT_HUB, DEFAULT_TAG, publications } from './references.ts';
import { fetchEnvoy, fetchNode } from './sources/fetch-programs.ts';
import { writeTar } from './tar/write-tar.ts';

/** What the surroundings of a build are. */
export interface Surroundings {
  /** The repository. */
  readonly root: string;
  /** Folder of this project's own files, ISTIO_TS_HOME. */
  readonly home: string;
  readonly envoyVersion: string;
  /** Time of the images' creation, in seconds since 1970. */
  readonly seconds: number;
  /** Commit of the sources; '' when unknown. */
  readonly revision: string;
  /** Bundles the programs; gives the folder with `bin` and `data`. */
  readonly build: () => Promise<string>;
}

export async function main(argv: readonly string[], at: Surroundings): Promise<number> {
  const { values: flags, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      hub: { type: 'string', default: DEFAULT_HUB },
      tag: { type: 'string', default: DEFAULT_TAG },
      arch: { type: 'string', default: 'amd64,arm64' },
      variant: { type: 'string', default: 'default,distroless' },
      out: { type: 'string', default: join(at.root, 'release', 'images') },
    },
  });
  const architectures = flags.arch.split(',') as Architecture[];
  const cache = join(at.home, 'images');
  const dist = await at.build();
  const builder = imageBuilder({
    sources: {
      dist,
      node: (architecture) => fetchNode(at.root, architecture, join(cache, 'programs')),
      envoy: (architecture) => fetchEnvoy(at.envoyVersion, architecture, join(cache, 'programs')),
    },
    mirror: mirrorOf(process.env, join(cache, 'packages')),
    store: layerStore(join(cache, 'layers'), layerTime(readLock())),
    seconds: at.seconds,
    version: VERSION,
    revision: at.revision,
  });
  const wanted = publications(flags.hub, flags.tag).filter(
    ({ name, group }) => positionals.length === 0 || positionals.includes(name) || positionals.includes(group),
  );
  mkdirSync(flags.out, { recursive: true });
  for (const architecture of architectures) {
    const samples: NamedImage[] = [];
    for (const publication of wanted) {
      for (const variant of ['default', 'distroless'] as Variant[]) {
        if (variant === 'distroless' && !publication.distroless) continue;
        const suffix = variant === 'distroless' ? '-distroless' : '';
        const named: NamedImage = {
          references: publication.references.map((reference) => `${reference}${suffix}`),
          images: [await builder.image(publication.references[0] ?? '', variant, architecture)],
        };
        if (publication.group === 'mesh') {
          const path = join(flags.out, `${publication.name}${suffix}-linux-${architecture}.tar`);
          writeFileSync(path, writeTar(layoutFiles(layoutOf([named])), at.seconds));
          console.log(path, statSync(path).size);
        } else samples.push(named);
      }
    }
    if (samples.length > 0) {
      const path = join(flags.out, `samples-linux-${architecture}.tar`);
      writeFileSync(path, writeTar(layoutFiles(layoutOf(samples)), at.seconds));
      console.log(path, statSync(path).size);
    }
  }
  return 0;
}
