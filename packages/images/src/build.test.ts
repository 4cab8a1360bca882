import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { imageBuilder } from './build.ts';
import { debPackage } from './debian/debian.test-support.ts';
import type { LockedPackage, PackageLock } from './debian/lock.ts';
import { sha256 } from './debian/mirror.ts';
import { dockerContext, platformsDockerfile } from './dockerfiles.ts';
import { layerStore } from './layers/layer-store.ts';
import type { MadeImage } from './make.ts';
import type { Layer } from './oci/image.ts';
import { baseOf, publications, type Variant } from './references.ts';
import { programImage } from './programs.ts';
import { selectImages, UsageError } from './selection.ts';
import { type Entry, file } from './tar/entry.ts';
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

const DEBS: Readonly<Record<string, readonly Entry[]>> = {
  runtime: [file('lib/libc.so.6', 'library'), file('usr/bin/env', 'env', 0o755)],
  netfilter: [file('sbin/iptables-nft', 'nft', 0o755), file('usr/sbin/iptables-apply', '#!/bin/bash\n', 0o755)],
  tools: [file('bin/dash', 'shell', 0o755)],
};

/** A builder over packages and programs made here, with a cache of its own. */
function builder(context: TestContext) {
  const work = mkdtempSync(join(tmpdir(), 'images-build-'));
  context.after(() => rmSync(work, { recursive: true }));
  const files = new Map<string, Buffer>();
  const locked = (layer: string): LockedPackage[] => {
    const data = debPackage(DEBS[layer] ?? []);
    files.set(`http://mirror/debian/pool/${layer}.deb`, data);
    return [
      {
        name: layer,
        version: '1',
        source: layer,
        archive: 'debian',
        path: `pool/${layer}.deb`,
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
  return imageBuilder({
    sources: {
      dist: join(work, 'dist'),
      node: foreign('node'),
      envoy: foreign('envoy'),
      executable: async (_, node) => ({ inputs: [node.sha256], build: async () => Buffer.from('executable') }),
      libraries: () => [],
    },
    lock,
    mirror: {
      address: 'http://mirror',
      cache: join(work, 'packages'),
      fetch: (async (url: string) => new Response(new Uint8Array(files.get(url) ?? []))) as typeof fetch,
    },
    store: layerStore(join(work, 'layers'), 1_767_225_600),
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
  const facts = { revision: 'abc', modified: false, parameters: {}, node: 'v24' };
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
  const facts = { revision: '', modified: true, parameters: {}, node: 'v24' };
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
  const facts = { revision: 'abc', modified: true, parameters: { tag: '1' }, node: 'v24' };
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
