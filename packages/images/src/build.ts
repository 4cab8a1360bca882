import { fetchPackage, type Mirror } from './debian/mirror.ts';
import { type Architecture, type LockedPackage, readLock } from './debian/lock.ts';
import type { BaseLayer } from './debian/base-packages.ts';
import { type BasePackage, baseLayer, rootFolders } from './layers/base-layer.ts';
import type { LayerStore } from './layers/layer-store.ts';
import { programLayer } from './layers/program-layer.ts';
import { stripElf } from './layers/strip-elf.ts';
import { userFiles } from './layers/users.ts';
import { type BuiltImage, buildImage, type Layer } from './oci/image.ts';
import { type ProgramImage, programImage, USUAL_TOOLS } from './programs.ts';
import { baseOf, tagOf } from './references.ts';
import type { ForeignProgram, Sources } from './sources/sources.ts';
import { file } from './tar/entry.ts';

/** With a shell and tools, or with nothing that is not needed. */
export type Variant = 'default' | 'distroless';

export interface Builder {
  /** Builds the image of a reference for one architecture. */
  readonly image: (reference: string, variant: Variant, architecture: Architecture) => Promise<BuiltImage>;
}

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Images that write interception rules. */
const NETFILTER = new Set(['proxyv2', 'install-cni']);

/** A builder of images. `revision` is the commit the programs were built from, '' when unknown; `version` that of the project. */
export function imageBuilder(options: {
  readonly sources: Sources;
  readonly mirror: Mirror;
  readonly store: LayerStore;
  readonly seconds: number;
  readonly version: string;
  readonly revision: string;
}): Builder {
  const { sources, mirror, store, seconds } = options;
  const lock = readLock();
  const made = new Map<string, Promise<Layer>>();
  const once = (key: string, make: () => Promise<Layer>): Promise<Layer> => {
    const known = made.get(key) ?? make();
    made.set(key, known);
    return known;
  };

  const base = (layer: BaseLayer, variant: Variant, architecture: Architecture): Promise<Layer> => {
    // What a shell would run is of no use where there is none.
    const scripts = variant === 'default';
    return once(`${layer} ${scripts} ${architecture}`, () => {
      const packages = lock.packages[architecture][layer] ?? [];
      const inputs = [
        layer,
        String(scripts),
        architecture,
        ...packages.flatMap(({ sha256, files }) => [sha256, ...(files ?? [])]),
      ];
      return store.layer(`Debian ${lock.suite}: ${layer}`, inputs, async () => [
        ...(layer === 'runtime' ? [...rootFolders(), ...userFiles()] : []),
        ...baseLayer(await fetchAll(mirror, packages, lock.snapshot), { scripts }),
      ]);
    });
  };

  const foreign = (program: ForeignProgram, architecture: Architecture): Promise<Layer> =>
    once(`${program.name} ${architecture}`, () =>
      store.layer(`${program.name} ${program.version}`, [program.name, program.sha256], async () => [
        file(`usr/local/bin/${program.name}`, stripElf(program.read()), 0o755),
        ...(program.licence === undefined ? [] : [file(`usr/share/doc/${program.name}/copyright`, program.licence)]),
      ]),
    );

  return {
    image: async (reference, variant, architecture) => {
      const name = baseOf(reference);
      const described = programImage(name, tagOf(reference));
      if (described === undefined) throw new Error(`there is no image ${name}`);
      const layers = [await base('runtime', variant, architecture)];
      if (NETFILTER.has(name) || variant === 'default') layers.push(await base('netfilter', variant, architecture));
      if (variant === 'default') layers.push(await base('tools', variant, architecture));
      layers.push(await foreign(await sources.node(architecture), architecture));
      if (described.envoy) layers.push(await foreign(await sources.envoy(architecture), architecture));
      // The same programs for both architectures: nothing in them is compiled.
      const programs = programLayer(described, variant === 'default' ? USUAL_TOOLS : [], sources.dist);
      if (programs.length > 0)
        layers.push(
          await once(`programs ${variant} ${described.title} ${JSON.stringify(described)}`, () =>
            store.layer(described.title, undefined, async () => programs),
          ),
        );
      return buildImage(architecture, layers, startOf(described, options), seconds);
    },
  };
}

const fetchAll = async (
  mirror: Mirror,
  packages: readonly LockedPackage[],
  snapshot: string,
): Promise<BasePackage[]> => {
  const fetched: BasePackage[] = [];
  for (const wanted of packages)
    fetched.push({ archive: await fetchPackage(mirror, wanted, snapshot), files: wanted.files });
  return fetched;
};

const startOf = (image: ProgramImage, options: { readonly version: string; readonly revision: string }) => ({
  entrypoint: image.entrypoint,
  cmd: image.cmd ?? [],
  env: { PATH, ...image.env },
  user: `${image.user ?? 0}:${image.group ?? 0}`,
  workingDir: image.workingDir ?? '/',
  labels: {
    'org.opencontainers.image.title': image.title,
    'org.opencontainers.image.version': options.version,
    ...(options.revision !== '' && { 'org.opencontainers.image.revision': options.revision }),
    'org.opencontainers.image.licenses': 'Apache-2.0',
  },
});
