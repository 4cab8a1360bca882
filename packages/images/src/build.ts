import { BASE_LAYERS, type BaseLayer } from './debian/base-packages.ts';
import { type Architecture, builtFor, type LockedPackage, type PackageLock } from './debian/lock.ts';
import { fetchPackage, type Mirror } from './debian/mirror.ts';
import { type BasePackage, baseLayer, rootFolders } from './layers/base-layer.ts';
import { copyrightMissing } from './layers/copyright.ts';
import type { LayerStore } from './layers/layer-store.ts';
import { imagePath, programFiles } from './layers/program-layer.ts';
import { stripElf } from './layers/strip-elf.ts';
import { userFiles } from './layers/users.ts';
import { type BuiltImage, buildImage, type Layer, type Start } from './oci/image.ts';
import { NODE_PATH, type ProgramImage, programImage, USUAL_TOOLS } from './programs.ts';
import { baseOf, tagOf, type Variant } from './references.ts';
import { type Component, distinct } from './sources/component.ts';
import type { Library } from './sources/libraries.ts';
import type { ForeignProgram, Sources } from './sources/sources.ts';
import { type Entry, file, link } from './tar/entry.ts';

/** A built image and what it is made of. */
export interface DescribedImage extends BuiltImage {
  readonly components: readonly Component[];
  readonly start: Start;
}

export interface Builder {
  /** Builds the image of a reference for one architecture. Throws an Error for a name this project has no image of. */
  readonly image: (reference: string, variant: Variant, architecture: Architecture) => Promise<DescribedImage>;
}

/** A layer with what it is made of. */
interface Part {
  readonly layer: Layer;
  readonly components: readonly Component[];
}

export interface BuildOptions {
  readonly sources: Sources;
  readonly lock: PackageLock;
  readonly mirror: Mirror;
  readonly store: LayerStore;
  /** Time of the images' creation, in seconds since 1970. */
  readonly seconds: number;
  /** Version of the project. */
  readonly version: string;
  /** Commit of the sources, marked where they differ from it; '' when unknown. */
  readonly revision: string;
}

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** A builder of images; layers that several of them share are built once. */
export function imageBuilder(options: BuildOptions): Builder {
  const { sources, store, lock, mirror } = options;
  const parts = new Map<string, Promise<Part>>();
  const once = (key: string, make: () => Promise<Part>): Promise<Part> => {
    const known = parts.get(key) ?? make();
    parts.set(key, known);
    return known;
  };

  const base = (layer: BaseLayer, variant: Variant, architecture: Architecture): Promise<Part> => {
    // What a shell would run is of no use where there is none.
    const scripts = variant === 'default';
    return once(`${layer} ${scripts} ${architecture}`, async () => {
      const packages = lock.packages[architecture][layer] ?? [];
      const inputs = [layer, String(scripts), architecture, JSON.stringify(packages)];
      const names = Object.keys(BASE_LAYERS);
      const below = names.slice(0, names.indexOf(layer)).flatMap((name) => lock.packages[architecture][name] ?? []);
      const entries = async (): Promise<Entry[]> => {
        const files = baseLayer(await fetchAll(mirror, packages, lock.snapshot), { scripts });
        const missing = copyrightMissing(packages, files, below);
        if (missing.length > 0) throw new Error(`the images would have no licence of ${missing.join(', ')}`);
        return [
          ...(layer === 'runtime' ? [...rootFolders(), ...userFiles()] : []),
          ...files,
          ...packages.map((locked) => packageStatus(locked, builtFor(locked, architecture))),
        ];
      };
      return {
        layer: await store.layer(`Debian ${lock.suite}: ${layer}`, inputs, entries),
        components: packages.map((locked) => debianComponent(locked, builtFor(locked, architecture))),
      };
    });
  };

  const foreign = (program: ForeignProgram): Promise<Part> =>
    once(program.purl + program.sha256, async () => ({
      layer: await store.layer(`${program.name} ${program.version}`, [program.name, program.sha256], async () => [
        file(`usr/local/bin/${program.name}`, stripElf(program.read()), 0o755),
        ...licenceFile(program),
      ]),
      components: [foreignComponent(program)],
    }));

  const executable = (image: ProgramImage, program: ForeignProgram, architecture: Architecture): Promise<Part> =>
    once(`${image.title} ${architecture}`, async () => {
      if (image.executable === undefined) throw new Error(`${image.title} has no executable`);
      const target = image.executable.path;
      const packed = await sources.executable(image.executable, program);
      const entries = async (): Promise<Entry[]> => [
        file(imagePath(target), await packed.build(), 0o755),
        ...image.launchers.map(({ path }) => link(imagePath(path), target)),
        ...licenceFile(program),
        ...libraryLicences(packed.libraries),
      ];
      const inputs = [
        ...['executable', target, ...image.launchers.map(({ path }) => path)],
        ...packed.libraries.map(({ purl, sha512 }) => `${purl} ${sha512 ?? ''}`),
        ...packed.inputs,
      ];
      return {
        layer: await store.layer(image.title, inputs, entries),
        components: [foreignComponent(program), ...packed.libraries.map(libraryComponent)],
      };
    });

  const programs = (image: ProgramImage, variant: Variant): Promise<Part | undefined> => {
    // Tools for the shell are programs for Node.
    const tools = variant === 'default' ? USUAL_TOOLS : [];
    const { entries, bundles } = programFiles(image, tools, sources.dist);
    if (entries.length === 0) return Promise.resolve(undefined);
    // The same for all architectures: nothing in them is compiled.
    return once(`programs ${variant} ${JSON.stringify(image)}`, async () => {
      const libraries = await sources.libraries(bundles);
      return {
        layer: await store.layer(image.title, undefined, async () => [...entries, ...libraryLicences(libraries)]),
        components: libraries.map(libraryComponent),
      };
    });
  };

  return {
    image: async (reference, variant, architecture) => {
      const image = programImage(baseOf(reference), tagOf(reference));
      if (image === undefined) throw new Error(`this project has no image ${baseOf(reference)}`);
      const stack: Part[] = [await base('runtime', variant, architecture)];
      if (image.netfilter || variant === 'default') stack.push(await base('netfilter', variant, architecture));
      if (variant === 'default') stack.push(await base('tools', variant, architecture));
      const node = sources.node(architecture);
      if (image.executable !== undefined) stack.push(await executable(image, node, architecture));
      else {
        stack.push(await foreign(node));
        if (image.envoy) stack.push(await foreign(sources.envoy(architecture)));
        const own = await programs(image, variant);
        if (own !== undefined) stack.push(own);
      }
      const start = startOf(image, options);
      const layers = stack.map(({ layer }) => layer);
      return {
        ...buildImage(architecture, layers, start, options.seconds),
        components: distinct(stack.flatMap(({ components }) => components)),
        start,
      };
    },
  };
}

async function fetchAll(mirror: Mirror, packages: readonly LockedPackage[], snapshot: string): Promise<BasePackage[]> {
  const fetched: BasePackage[] = [];
  // A few at a time: mirrors close connections of those who take many.
  for (let start = 0; start < packages.length; start += 4)
    fetched.push(
      ...(await Promise.all(
        packages.slice(start, start + 4).map(async (wanted) => ({
          name: wanted.name,
          archive: await fetchPackage(mirror, wanted, snapshot),
          files: wanted.files,
        })),
      )),
    );
  return fetched;
}

/** What scanners read to know Debian's packages in an image without dpkg's own records. */
const packageStatus = ({ name, version, source }: LockedPackage, architecture: string): Entry =>
  file(
    `var/lib/dpkg/status.d/${name}`,
    `Package: ${name}\nStatus: install ok installed\nSource: ${source}\nVersion: ${version}\nArchitecture: ${architecture}\nMaintainer: Debian\nDescription: ${name}\n`,
  );

const debianComponent = ({ name, version, sha256 }: LockedPackage, architecture: string): Component => ({
  name,
  version,
  purl: `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}?arch=${architecture}&distro=debian-12`,
  sha256,
});

const foreignComponent = ({ name, version, purl, licenceName, sha256 }: ForeignProgram): Component => ({
  name,
  version,
  purl,
  licence: licenceName,
  sha256,
});

function licenceFile(program: ForeignProgram): Entry[] {
  const text = program.licence();
  return text === undefined ? [] : [file(`usr/share/doc/${program.name}/copyright`, text)];
}

/** The licences of bundled libraries, in a folder for each of them. */
const libraryLicences = (libraries: readonly Library[]): Entry[] =>
  libraries.flatMap(({ name, version, licences }) =>
    licences.map((licence) => file(`usr/share/doc/istio-ts/${name}-${version}/${licence.file}`, licence.text)),
  );

const libraryComponent = ({ licences: _, ...component }: Library): Component => component;

const startOf = (image: ProgramImage, options: BuildOptions): Start => ({
  entrypoint: image.entrypoint.map((word) => word.replace(/^node$/, NODE_PATH)),
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
