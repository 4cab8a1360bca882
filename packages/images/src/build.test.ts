import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { imageBuilder } from './build.ts';
import { factsOf, revisionOf } from './build-facts.ts';
import { debPackage } from './debian/debian.test-support.ts';
import type { LockedPackage, PackageLock } from './debian/lock.ts';
import { sha256 } from './debian/mirror.ts';
import { dockerContext, platformsDockerfile } from './dockerfiles.ts';
import { layerStore } from './layers/layer-store.ts';
import { provenance } from './documents/provenance.ts';
import { spdxDocument } from './documents/spdx.ts';
import type { MadeImage } from './make.ts';
import type { Layer } from './oci/image.ts';
import { baseOf, publications, type Variant } from './references.ts';
import { programImage } from './programs.ts';
import { selectImages, UsageError } from './selection.ts';
import type { Library } from './sources/libraries.ts';
import { type Entry, file, link } from './tar/entry.ts';
import { readTar } from './tar/read-tar.ts';
import { writeArchives } from './write-archives.ts';

/** A program as small as can be that stripping accepts: an ELF header alone. */
function smallProgram(): Buffer {
  const header = Buffer.alloc(64);
  header.write('\x7fELF\x02\x01', 'latin1');
  // Its (empty) table of segments begins behind it.
  header.writeBigUInt64LE(64n, 0x20);
  return header;
}

const copyright = (name: string): Entry => file(`usr/share/doc/${name}/copyright`, `licence of ${name}`);

const DEBS: Readonly<Record<string, readonly Entry[]>> = {
  runtime: [file('lib/libc.so.6', 'library'), file('usr/bin/env', 'env', 0o755), copyright('runtime')],
  netfilter: [
    file('sbin/iptables-nft', 'nft', 0o755),
    file('usr/sbin/iptables-apply', '#!/bin/bash\n', 0o755),
    copyright('netfilter'),
  ],
  // Its licence is the one of a package below.
  tools: [file('bin/dash', 'shell', 0o755), link('usr/share/doc/tools', 'runtime')],
};

const library = (name: string): Library => ({
  name,
  version: '2',
  purl: `pkg:npm/${name}@2`,
  licence: 'MIT',
  licences: [{ file: 'LICENSE', text: Buffer.from(`licence of ${name}`) }],
});

/** A builder over packages and programs made here, with a cache of its own. */
function builder(context: TestContext, asked: (inputs: readonly string[]) => void = () => undefined) {
  const work = mkdtempSync(join(tmpdir(), 'images-build-'));
  context.after(() => rmSync(work, { recursive: true }));
  const files = new Map<string, Buffer>();
  const locked = (layer: string): LockedPackage[] => {
    const data = debPackage(DEBS[layer] ?? []);
    const deb = layer === 'tools' ? `${layer}_1_all.deb` : `${layer}_1_amd64.deb`;
    files.set(`http://mirror/debian/pool/${deb}`, data);
    return [
      {
        name: layer,
        version: '1',
        source: layer,
        archive: 'debian',
        path: `pool/${deb}`,
        sha256: sha256(data),
        size: data.length,
      },
    ];
  };
  const layers = { runtime: locked('runtime'), netfilter: locked('netfilter'), tools: locked('tools') };
  const lock: PackageLock = {
    suite: 'bookworm',
    snapshot: '20260101T000000Z',
    packages: { amd64: layers, arm64: layers },
  };
  mkdirSync(join(work, 'dist', 'bin', 'samples'), { recursive: true });
  for (const { references } of publications('hub.example/mesh', '1'))
    for (const reference of references)
      for (const { program } of programImage(baseOf(reference), '1')?.launchers ?? [])
        writeFileSync(join(work, 'dist', 'bin', `${program}.mjs`), `// ${program}\n`);
  for (const program of ['pilot-agent-certificate', 'samples/wget', 'samples/grpc-health-probe', 'local-netcat'])
    writeFileSync(join(work, 'dist', 'bin', `${program}.mjs`), `// ${program}\n`);
  for (const data of ['manifests', 'console', 'dashboards']) {
    mkdirSync(join(work, 'dist', 'data', data), { recursive: true });
    writeFileSync(join(work, 'dist', 'data', data, 'file.json'), '{}');
  }
  const foreign = (name: string) => (architecture: string) => ({
    name,
    version: '1',
    purl: `pkg:generic/${name}@1?arch=${architecture}`,
    licenceName: 'MIT',
    sha256: sha256(Buffer.from(name + architecture)),
    read: smallProgram,
    licence: () => Buffer.from('licence'),
  });
  const store = layerStore(join(work, 'layers'), 1_767_225_600);
  return imageBuilder({
    sources: {
      dist: join(work, 'dist'),
      node: foreign('node'),
      envoy: foreign('envoy'),
      executable: async (_, node) => ({
        inputs: [node.sha256],
        build: async () => Buffer.from('executable'),
        libraries: [library('packed')],
      }),
      libraries: async () => [library('bundled')],
    },
    lock,
    mirror: {
      address: 'http://mirror',
      cache: join(work, 'packages'),
      fetch: (async (url: string) => new Response(new Uint8Array(files.get(url) ?? []))) as typeof fetch,
    },
    store: {
      layer: (title, inputs, entries) => {
        if (inputs !== undefined) asked(inputs);
        return store.layer(title, inputs, entries);
      },
    },
    seconds: 1_770_000_000,
    version: '1.2.3',
    revision: 'abc',
  });
}

const contents = (layers: readonly Layer[]): Map<string, string> =>
  new Map(
    layers.flatMap(({ blob }) =>
      readTar(gunzipSync(blob.data)).map((entry) => [entry.path, entry.target || entry.data.toString()] as const),
    ),
  );

async function make(context: TestContext, names: readonly string[]): Promise<MadeImage[]> {
  const build = builder(context);
  const made: MadeImage[] = [];
  for (const publication of selectImages(names, { hub: 'hub.example/mesh', tag: '1' }).publications) {
    const [reference = ''] = publication.references;
    const images = [await build.image(reference, 'default', 'amd64'), await build.image(reference, 'default', 'arm64')];
    made.push({
      publication,
      variant: 'default',
      references: publication.references,
      images,
      digest: images[0]!.manifest.descriptor.digest,
    });
  }
  return made;
}

test('every published image can be built for both architectures and in its variants', async (context) => {
  const build = builder(context);
  for (const { references, distroless } of publications('hub.example/mesh', '1'))
    for (const variant of ['default', ...(distroless ? ['distroless'] : [])] as Variant[])
      for (const architecture of ['amd64', 'arm64'] as const) {
        const image = await build.image(references[0] ?? '', variant, architecture);
        const config = JSON.parse(image.config.data.toString());
        assert.equal(config.architecture, architecture);
        assert.equal(config.rootfs.diff_ids.length, image.layers.length, references[0]);
        for (const { diffId, blob } of image.layers)
          assert.equal(diffId, `sha256:${createHash('sha256').update(gunzipSync(blob.data)).digest('hex')}`);
      }
  await assert.rejects(build.image('hub.example/unknown:1', 'default', 'amd64'), /no image unknown/);
});

test('the distroless variant has no shell, no scripts for one and no tools that need one; the agent’s has what interception needs', async (context) => {
  const build = builder(context);
  const files = contents((await build.image('hub.example/mesh/proxyv2:1', 'distroless', 'amd64')).layers);
  for (const path of ['usr/bin/dash', 'usr/bin/sh', 'usr/sbin/iptables-apply', 'usr/local/bin/wget'])
    assert.ok(!files.has(path), path);
  for (const path of [
    'usr/sbin/iptables-nft',
    'usr/local/bin/envoy',
    'usr/local/bin/node',
    'usr/local/bin/pilot-agent',
    'etc/passwd',
  ])
    assert.ok(files.has(path), path);
  const pilot = contents((await build.image('hub.example/mesh/pilot:1', 'distroless', 'amd64')).layers);
  assert.ok(!pilot.has('usr/sbin/iptables-nft') && !pilot.has('usr/local/bin/envoy'));
});

test('programs start as the charts expect, as the users they expect', async (context) => {
  const build = builder(context);
  const start = async (name: string) => (await build.image(`hub.example/mesh/${name}:1`, 'default', 'amd64')).start;
  assert.deepEqual(
    [(await start('pilot')).entrypoint, (await start('pilot')).user],
    [['/usr/local/bin/pilot-discovery'], '1337:1337'],
  );
  assert.deepEqual(
    [(await start('proxyv2')).entrypoint, (await start('proxyv2')).user],
    [['/usr/local/bin/pilot-agent'], '1337:1337'],
  );
  assert.deepEqual(
    [(await start('install-cni')).entrypoint, (await start('install-cni')).user],
    [['/usr/local/bin/install-cni'], '0:0'],
  );
  const cni = contents((await build.image('hub.example/mesh/install-cni:1', 'default', 'amd64')).layers);
  assert.equal(cni.get('opt/cni/bin/istio-cni'), 'executable');
  assert.equal(cni.get('usr/local/bin/install-cni'), '/opt/cni/bin/istio-cni');
  assert.ok(!cni.has('usr/local/bin/node'), 'the executable brings its own');
});

test('two builds give the same bytes: archives, bills of materials and provenance', async (context) => {
  const out = mkdtempSync(join(tmpdir(), 'images-out-'));
  context.after(() => rmSync(out, { recursive: true }));
  const facts = () => ({ revision: 'abc', modified: false, parameters: {}, node: 'v24' });
  const written = [];
  for (const name of ['one', 'two'])
    written.push(
      writeArchives(await make(context, ['pilot', 'whoami']), { out: join(out, name), split: true, seconds: 5, facts }),
    );
  const names = readdirSync(join(out, 'one')).sort();
  assert.deepEqual(names, readdirSync(join(out, 'two')).sort());
  assert.equal(names.length, 2 * 3 * 3, 'two archives, for both and for each architecture, with two documents each');
  for (const name of names)
    assert.ok(readFileSync(join(out, 'one', name)).equals(readFileSync(join(out, 'two', name))), name);
});

test('an archive is a layout: each file is named by its hash, each descriptor fits, and docker’s manifest names the same layers', async (context) => {
  const out = mkdtempSync(join(tmpdir(), 'images-out-'));
  context.after(() => rmSync(out, { recursive: true }));
  const facts = () => ({ revision: '', modified: true, parameters: {}, node: 'v24' });
  writeArchives(await make(context, ['pilot', 'whoami']), { out, split: true, seconds: 5, facts });
  for (const name of readdirSync(out).filter((entry) => entry.endsWith('.tar'))) {
    const files = new Map(readTar(readFileSync(join(out, name))).map(({ path, data }) => [path, data]));
    const json = (path: string) => JSON.parse(files.get(path)?.toString() ?? 'null');
    assert.deepEqual(json('oci-layout'), { imageLayoutVersion: '1.0.0' });
    let blobs = 0;
    for (const [path, data] of files) {
      if (!path.startsWith('blobs/sha256/') || path.endsWith('/')) continue;
      blobs++;
      assert.equal(path, `blobs/sha256/${createHash('sha256').update(data).digest('hex')}`);
    }
    const seen = new Set<string>();
    const follow = ({ digest, size, mediaType }: { digest: string; size: number; mediaType: string }): void => {
      const data = files.get(`blobs/${digest.replace(':', '/')}`);
      assert.equal(data?.length, size, `${name}: ${mediaType}`);
      seen.add(digest);
      if (!/index|manifest/.test(mediaType)) return;
      const { manifests = [], layers = [], config } = JSON.parse(data?.toString() ?? '');
      for (const next of [...manifests, ...layers, ...(config ? [config] : [])]) follow(next);
    };
    const { manifests } = json('index.json');
    for (const manifest of manifests) {
      follow(manifest);
      assert.match(manifest.annotations['io.containerd.image.name'], /^[a-z0-9.]+\/.*:/);
    }
    assert.equal(seen.size, blobs, `${name} has nothing that its index does not lead to`);
    for (const { Config, Layers, RepoTags } of json('manifest.json')) {
      assert.ok(RepoTags.length > 0);
      for (const path of [Config, ...Layers]) assert.ok(files.has(path), path);
    }
  }
});

test('bills of materials name the packages of each image, provenance what they were fetched as', async (context) => {
  const out = mkdtempSync(join(tmpdir(), 'images-out-'));
  context.after(() => rmSync(out, { recursive: true }));
  const facts = (images: readonly MadeImage[]) =>
    factsOf(images, { hub: 'hub.example/mesh', tag: '1' }, { revision: 'abc', modified: true });
  writeArchives(await make(context, ['proxyv2']), { out, split: false, seconds: 5, facts });
  const sbom = JSON.parse(readFileSync(join(out, 'proxyv2.spdx.json'), 'utf8'));
  assert.equal(sbom.spdxVersion, 'SPDX-2.3');
  const ids = new Set(sbom.packages.map(({ SPDXID }: { SPDXID: string }) => SPDXID));
  assert.equal(ids.size, sbom.packages.length, 'no identifier is there twice');
  for (const { relatedSpdxElement } of sbom.relationships) assert.ok(ids.has(relatedSpdxElement));
  const purls = sbom.packages.flatMap(
    (entry: { externalRefs?: { referenceLocator: string }[] }) =>
      entry.externalRefs?.map(({ referenceLocator }) => referenceLocator) ?? [],
  );
  assert.ok(purls.includes('pkg:deb/debian/netfilter@1?arch=amd64&distro=debian-12'));
  assert.ok(purls.includes('pkg:generic/envoy@1?arch=arm64'));
  const { subject, predicate, _type } = JSON.parse(readFileSync(join(out, 'proxyv2.intoto.json'), 'utf8'));
  assert.equal(_type, 'https://in-toto.io/Statement/v1');
  assert.equal(subject[0].name, 'hub.example/mesh/proxyv2:1');
  assert.equal(predicate.buildDefinition.internalParameters.sourcesModified, true);
  assert.deepEqual(predicate.buildDefinition.resolvedDependencies[0].digest, { gitCommit: 'abc' });
});

test('a bill of materials has the files of all architectures, each once', () => {
  const component = (sha256: string) => ({ name: 'envoy', version: '1', purl: 'pkg:pypi/envoy@1', sha256 });
  const images = [component('a'), component('b'), component('a')];
  const content = { reference: 'hub/x:1', digest: 'sha256:0', components: images };
  const { packages, relationships } = JSON.parse(spdxDocument('x', [content], 0));
  const sums = packages
    .slice(1)
    .map(({ checksums }: { checksums: { checksumValue: string }[] }) => checksums[0]?.checksumValue);
  assert.deepEqual(sums, ['a', 'b']);
  const contained = relationships.filter(
    ({ relationshipType }: { relationshipType: string }) => relationshipType === 'CONTAINS',
  );
  assert.equal(new Set(contained.map((relation: object) => JSON.stringify(relation))).size, 2);
  assert.equal(contained.length, 2);
  const facts = { revision: '', modified: false, parameters: {}, node: 'v24' };
  const { predicate } = JSON.parse(provenance([content], facts));
  assert.deepEqual(
    predicate.buildDefinition.resolvedDependencies.map(({ digest }: { digest: { sha256: string } }) => digest.sha256),
    ['a', 'b'],
  );
});

test('packages for every architecture are named so, for scanners and in bills of materials', async (context) => {
  const { layers, components } = await builder(context).image('hub.example/mesh/pilot:1', 'default', 'arm64');
  const files = contents(layers);
  assert.match(files.get('var/lib/dpkg/status.d/tools') ?? '', /^Architecture: all$/m);
  assert.match(files.get('var/lib/dpkg/status.d/runtime') ?? '', /^Architecture: arm64$/m);
  const purls = components.map(({ purl }) => purl);
  assert.ok(purls.includes('pkg:deb/debian/tools@1?arch=all&distro=debian-12'));
  assert.ok(purls.includes('pkg:deb/debian/runtime@1?arch=arm64&distro=debian-12'));
});

test('each package of an image has its licence there, libraries in bundles too', async (context) => {
  const build = builder(context);
  for (const [name, bundled] of [
    ['pilot', 'bundled'],
    ['install-cni', 'packed'],
  ] as const) {
    const { layers, components } = await build.image(`hub.example/mesh/${name}:1`, 'default', 'amd64');
    const files = contents(layers);
    for (const path of files.keys()) {
      const [, installed] = /^var\/lib\/dpkg\/status\.d\/(.+)$/.exec(path) ?? [];
      if (installed === undefined) continue;
      // `contents` has the target of a link in the place of what a file holds.
      const folder = files.get(`usr/share/doc/${installed}`) ?? installed;
      assert.match(files.get(`usr/share/doc/${folder}/copyright`) ?? '', /^licence of /, installed);
    }
    assert.equal(files.get(`usr/share/doc/istio-ts/${bundled}-2/LICENSE`), `licence of ${bundled}`);
    const described = components.find((component) => component.name === bundled);
    assert.equal(described?.purl, `pkg:npm/${bundled}@2`);
    assert.ok(described !== undefined && !('licences' in described));
  }
});

test('a kept executable counts only with the same paths, links and libraries', async (context) => {
  const asked: (readonly string[])[] = [];
  await builder(context, (inputs) => asked.push(inputs)).image('hub.example/mesh/install-cni:1', 'distroless', 'amd64');
  const inputs = asked.find(([first]) => first === 'executable') ?? [];
  const image = programImage('install-cni', '1');
  for (const path of [image?.executable?.path ?? '', ...(image?.launchers ?? []).map((launcher) => launcher.path)])
    assert.ok(inputs.includes(path), path);
  assert.ok(inputs.some((input) => input.startsWith('pkg:npm/packed@2')));
});

test('how an image was built is told of this image alone; a changed tree is no commit', async (context) => {
  const made = await make(context, ['pilot', 'proxyv2']);
  const [one] = made;
  const at = { revision: 'abc', modified: true };
  const { parameters, ...others } = factsOf([{ ...one!, images: one!.images.slice(0, 1) }], { hub: 'h', tag: '1' }, at);
  assert.deepEqual(parameters, {
    hub: 'h',
    tag: '1',
    architectures: ['amd64'],
    variants: ['default'],
    images: [one!.publication.name],
  });
  assert.deepEqual(others, { ...at, node: process.version });
  assert.equal(revisionOf(at), 'abc-dirty');
  assert.equal(revisionOf({ ...at, modified: false }), 'abc');
  assert.equal(revisionOf({ revision: '', modified: true }), '');
});

test('a Dockerfile adds the layers of the image in their order and starts the same', async (context) => {
  const { layers, start } = await builder(context).image('hub.example/mesh/proxyv2:1', 'distroless', 'arm64');
  const { dockerfile, layers: files } = dockerContext('proxyv2', 'distroless', 'arm64', layers, start);
  assert.deepEqual(
    [...dockerfile.matchAll(/^ADD (\S+) \/$/gm)].map(([, name]) => name),
    files.map((added) => added.file),
  );
  assert.deepEqual(
    files.map(({ layer }) => layer.diffId),
    layers.map(({ diffId }) => diffId),
  );
  assert.match(dockerfile, /^USER 1337:1337$/m);
  assert.match(dockerfile, /^ENTRYPOINT \["\/usr\/local\/bin\/pilot-agent"\]$/m);
});

test('one Dockerfile for several architectures adds the files of the one that is built', async (context) => {
  const build = builder(context);
  const images = [
    await build.image('hub.example/mesh/proxyv2:1', 'default', 'amd64'),
    await build.image('hub.example/mesh/proxyv2:1', 'default', 'arm64'),
  ];
  const text = platformsDockerfile('proxyv2', 'default', images) ?? '';
  for (const { architecture, layers, start } of images) {
    const { dockerfile } = dockerContext('proxyv2', 'default', architecture, layers, start);
    const body = (lines: string): string => lines.replace(/^(#.*|ARG .*)\n/gm, '');
    assert.equal(body(text).replaceAll('$TARGETARCH', architecture), body(dockerfile));
  }
  const [first, second] = images;
  assert.equal(
    platformsDockerfile('proxyv2', 'default', [first!, { ...second!, start: { ...second!.start, env: { X: '1' } } }]),
    undefined,
    'not where they start differently',
  );
});

test('images are chosen by name and group; what there is not is told', () => {
  const names = (wanted: readonly string[], flags = {}) =>
    selectImages(wanted, flags).publications.map(({ name }) => name);
  assert.deepEqual(names(['pilot']), ['pilot']);
  assert.ok(names(['samples']).includes('whoami') && !names(['samples']).includes('pilot'));
  assert.deepEqual(new Set(names([], { variant: 'distroless' })), new Set(names(['mesh'])));
  assert.deepEqual(selectImages([], { arch: 'linux/arm64' }).architectures, ['arm64']);
  for (const [wanted, flags] of [
    [['nothing'], {}],
    [[], { arch: 'riscv' }],
    [[], { variant: 'small' }],
    [[], { tag: 'a b' }],
    [[], { hub: 'no hub' }],
    [['whoami'], { variant: 'distroless' }],
  ] as const)
    assert.throws(() => selectImages(wanted, flags), UsageError);
});
