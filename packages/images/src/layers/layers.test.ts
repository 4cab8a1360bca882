import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { arArchive, debPackage } from '../debian/debian.test-support.ts';
import { PROGRAM_ROWS, programImage, USUAL_TOOLS } from '../programs.ts';
import { type Entry, file, link } from '../tar/entry.ts';
import { writeTar } from '../tar/write-tar.ts';
import { baseLayer } from './base-layer.ts';
import { copyrightMissing } from './copyright.ts';
import { layerStore, packLayer, pruneLayers } from './layer-store.ts';
import { programFiles } from './program-layer.ts';
import { stripElf } from './strip-elf.ts';

const packages = (...entries: Entry[]) => [{ name: 'tool', archive: debPackage(entries) }];
const paths = (entries: readonly Entry[]): string[] => entries.map(({ path }) => path).sort();
const found = (entries: readonly Entry[], path: string): Entry | undefined =>
  entries.find((entry) => entry.path === path);
const text = (entry: Entry | undefined): string => (entry?.kind === 'file' ? entry.data.toString() : '');

test('files of packages are below /usr, wherever the package has them', () => {
  const layer = baseLayer(
    packages(
      file('bin/dash', 'shell', 0o755),
      file('lib/x86_64-linux-gnu/libx.so.1.2', 'library'),
      link('lib/x86_64-linux-gnu/libx.so.1', 'libx.so.1.2'),
      link('sbin/ip', '/bin/ip'),
      file('usr/bin/env', 'env', 0o755),
    ),
    { scripts: true },
  );
  assert.deepEqual(paths(layer), [
    'usr/bin/dash',
    'usr/bin/env',
    'usr/bin/sh',
    'usr/lib/x86_64-linux-gnu/libx.so.1',
    'usr/lib/x86_64-linux-gnu/libx.so.1.2',
    'usr/sbin/ip',
  ]);
  const ip = found(layer, 'usr/sbin/ip');
  assert.equal(ip?.kind === 'link' && ip.target, '/usr/bin/ip');
});

test('documents stay out, licences stay; nobody gets another user’s rights', () => {
  const layer = baseLayer(
    packages(
      file('usr/share/doc/tool/copyright', 'licence'),
      file('usr/share/doc/tool/changelog.gz', 'long'),
      file('usr/share/man/man1/tool.1.gz', 'page'),
      file('usr/share/locale/de/tool.mo', 'words'),
      file('usr/bin/tool', 'program', 0o4755),
    ),
    { scripts: true },
  );
  assert.deepEqual(paths(layer), ['usr/bin/tool', 'usr/share/doc/tool/copyright']);
  const tool = found(layer, 'usr/bin/tool');
  assert.equal(tool?.kind === 'file' && tool.mode, 0o755);
});

test('root certificates are one bundle, sorted by name', () => {
  const layer = baseLayer(
    packages(
      file('usr/share/ca-certificates/mozilla/b.crt', 'B\n'),
      file('usr/share/ca-certificates/mozilla/a.crt', 'A\n'),
    ),
    { scripts: true },
  );
  assert.equal(text(found(layer, 'etc/ssl/certs/ca-certificates.crt')), 'A\nB\n');
  assert.equal(layer.length, 1);
});

test('without scripts, what a shell would run is left out; of a package only the wanted files are taken', () => {
  const content = [file('usr/sbin/iptables-apply', '#!/bin/bash\n', 0o755), file('usr/sbin/nft', '\x7fELF', 0o755)];
  assert.deepEqual(paths(baseLayer(packages(...content), { scripts: false })), ['usr/sbin/nft']);
  assert.deepEqual(paths(baseLayer(packages(...content), { scripts: true })), [
    'usr/sbin/iptables-apply',
    'usr/sbin/nft',
  ]);
  const some = baseLayer(
    [
      {
        name: 'coreutils',
        archive: debPackage([file('usr/bin/env', 'e'), file('usr/bin/ls', 'l')]),
        files: ['usr/bin/env'],
      },
    ],
    { scripts: true },
  );
  assert.deepEqual(paths(some), ['usr/bin/env']);
});

test('a wanted file that a package does not have is told', () => {
  const archive = debPackage([file('usr/bin/env', 'e')]);
  assert.throws(
    () => baseLayer([{ name: 'coreutils', archive, files: ['usr/bin/env', 'usr/bin/gone'] }], { scripts: true }),
    /the package coreutils has no usr\/bin\/gone/,
  );
});

/** A package with the second of its files as a hard link to `target`. */
function withHardLink(path: string, target: string): Buffer {
  const tar = writeTar([file('usr/bin/env', 'e', 0o755), link(path, target)], 0);
  const header = 1024;
  tar.write('1', header + 156);
  tar.fill(' ', header + 148, header + 156);
  const sum = tar.subarray(header, header + 512).reduce((total, byte) => total + byte, 0);
  tar.write(`${sum.toString(8).padStart(6, '0')}\0 `, header + 148, 'latin1');
  return arArchive({ 'debian-binary': Buffer.from('2.0\n'), 'data.tar': tar });
}

test('a hard link is the file it names, also where only the link is wanted; one to nothing is told', () => {
  const archive = withHardLink('usr/bin/other', 'usr/bin/env');
  const layer = baseLayer([{ name: 'coreutils', archive, files: ['usr/bin/other'] }], { scripts: true });
  assert.deepEqual(paths(layer), ['usr/bin/other']);
  assert.equal(text(found(layer, 'usr/bin/other')), 'e');
  assert.throws(
    () => baseLayer([{ name: 'coreutils', archive: withHardLink('usr/bin/other', 'usr/bin/gone') }], { scripts: true }),
    /usr\/bin\/other in the package coreutils is a hard link to usr\/bin\/gone, which is no file/,
  );
});

test('relative links lead to the same files after the move below /usr', () => {
  const layer = baseLayer(
    packages(
      link('lib/x/liba.so', 'liba.so.1'),
      link('usr/lib/x/libb.so', '../../../lib/x/libb.so.1'),
      link('lib/x/up', '../../etc/x'),
      link('usr/share/x/lib', '../lib/y'),
    ),
    { scripts: true },
  );
  const targets = layer.map((entry) => [entry.path, entry.kind === 'link' ? entry.target : '']);
  assert.deepEqual(targets, [
    ['usr/lib/x/liba.so', 'liba.so.1'],
    ['usr/lib/x/libb.so', '/usr/lib/x/libb.so.1'],
    ['usr/lib/x/up', '/etc/x'],
    ['usr/share/x/lib', '../lib/y'],
  ]);
});

test('a licence may be in the folder of another package of this layer or of one below', () => {
  const layer = [
    file('usr/share/doc/own/copyright', ''),
    link('usr/share/doc/shared', 'own'),
    link('usr/share/doc/single/copyright', '../own/copyright'),
    link('usr/share/doc/lower', '/usr/share/doc/base'),
    link('usr/share/doc/dangling', 'absent'),
    link('usr/share/doc/round', 'round'),
  ];
  const names = ['own', 'shared', 'single', 'lower', 'dangling', 'round', 'none'].map((name) => ({ name }));
  assert.deepEqual(copyrightMissing(names, layer, [{ name: 'base' }]), ['dangling', 'round', 'none']);
});

test('alternatives lead to the programs that are there', () => {
  const layer = baseLayer(packages(file('usr/sbin/iptables-nft', 'x', 0o755), file('usr/bin/mawk', 'x', 0o755)), {
    scripts: true,
  });
  const target = (path: string) => {
    const entry = found(layer, path);
    return entry?.kind === 'link' ? entry.target : undefined;
  };
  assert.equal(target('usr/sbin/iptables'), 'iptables-nft');
  assert.equal(target('usr/bin/awk'), 'mawk');
});

test('a stripped program is smaller and runs as before', (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'images-strip-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const program = readFileSync(realpathSync('/usr/bin/env'));
  const stripped = stripElf(program);
  assert.ok(stripped.length < program.length);
  writeFileSync(join(folder, 'env'), stripped);
  chmodSync(join(folder, 'env'), 0o755);
  const { stdout } = spawnSync(join(folder, 'env'), ['-i', 'A=1', join(folder, 'env')], { encoding: 'utf8' });
  assert.equal(stdout, 'A=1\n');
  assert.equal(stripElf(stripped), stripped, 'there is nothing more to remove');
  assert.throws(() => stripElf(Buffer.from('#!/bin/sh\n')), /not a 64-bit/);
});

/** A folder of built programs with the given bundles. */
function built(bundles: Readonly<Record<string, string>>): string {
  const dist = mkdtempSync(join(tmpdir(), 'images-dist-'));
  for (const [path, content] of Object.entries(bundles)) {
    mkdirSync(dirname(join(dist, path)), { recursive: true });
    writeFileSync(join(dist, path), content);
  }
  return dist;
}

test('a command is its bundle, started by Node with its flags, with the parts it imports and the data it reads', (context) => {
  const dist = built({
    'bin/istioctl.mjs': 'import "./istioctl-ABCD1234.mjs";\n//# sourceMappingURL=istioctl.mjs.map\n',
    'bin/istioctl-ABCD1234.mjs': 'readFileSync("descriptors.binpb")',
    'bin/istioctl-UNUSED12.mjs': '',
    'data/manifests/profiles/demo.yaml': 'a: 1\n',
    'data/descriptors.binpb': 'messages',
    'data/dashboards/x.json': '{}',
  });
  context.after(() => rmSync(dist, { recursive: true }));
  const { entries, bundles } = programFiles(programImage('istioctl', '1.0')!, [], dist);
  assert.deepEqual(bundles, ['istioctl', 'istioctl-ABCD1234']);
  assert.deepEqual(paths(entries), [
    'opt/istio-ts/dist/bin/istioctl-ABCD1234.mjs',
    'opt/istio-ts/dist/bin/istioctl.mjs',
    'opt/istio-ts/dist/data/descriptors.binpb',
    'opt/istio-ts/dist/data/manifests/profiles/demo.yaml',
    'opt/istio-ts/dist/package.json',
    'usr/local/bin/istioctl',
  ]);
  assert.equal(
    text(found(entries, 'opt/istio-ts/dist/bin/istioctl.mjs')),
    '#!/usr/local/bin/node\nimport "./istioctl-ABCD1234.mjs";\n',
  );
});

test('flags of Node are in the first line: one by itself, several by env; arguments of its own come before the container’s', (context) => {
  const dist = built({
    'bin/pilot-agent.mjs': 'agent',
    'bin/pilot-agent-certificate.mjs': 'helper',
    'bin/otel-collector.mjs': 'console.log(process.argv.slice(2))',
    'bin/local-loki.mjs': 'loki',
  });
  context.after(() => rmSync(dist, { recursive: true }));
  const first = (name: string, path: string) =>
    text(found(programFiles(programImage(name, '')!, [], dist).entries, path)).split('\n')[0];
  assert.equal(
    first('proxyv2', 'opt/istio-ts/dist/bin/pilot-agent.mjs'),
    '#!/usr/bin/env -S /usr/local/bin/node --lite-mode --max-semi-space-size=1',
  );
  assert.equal(first('loki', 'opt/istio-ts/dist/bin/local-loki.mjs'), '#!/usr/local/bin/node --max-semi-space-size=1');
  const collector = programFiles(programImage('opentelemetry-collector', '')!, [], dist).entries;
  assert.match(text(found(collector, 'opt/istio-ts/dist/bin/otel-collector-server.mjs')), /splice\(2, 0, "server"\)/);
  assert.throws(() => programFiles(programImage('pilot', '')!, [], dist), /pilot-discovery\.mjs is missing: build/);
});

test('every launcher of the table is an absolute path and its image starts one of its commands or a script', () => {
  for (const { names, image } of PROGRAM_ROWS)
    for (const name of names) {
      const { entrypoint, launchers, scripts = [], title } = image(name, 'v1');
      const commands = [...launchers, ...scripts].map(({ path }) => path);
      for (const path of commands) assert.match(path, /^\/\S+$/, title);
      assert.ok(entrypoint.length === 0 || commands.includes(entrypoint[0] ?? ''), `${title} starts ${entrypoint[0]}`);
    }
  assert.ok(USUAL_TOOLS.length > 0);
});

test('layers of the same entries are the same bytes, in whatever order they come', async () => {
  const entries = [file('b', '2'), file('a', '1', 0o755), link('c', 'a')];
  const [one, other] = [await packLayer('x', entries, 5), await packLayer('x', entries.toReversed(), 5)];
  assert.equal(one.blob.descriptor.digest, other.blob.descriptor.digest);
  assert.equal(one.diffId, other.diffId);
});

test('a kept layer is used as long as its inputs are the same, and not when its file is damaged', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'images-layers-'));
  context.after(() => rmSync(folder, { recursive: true }));
  let builds = 0;
  const build = async (): Promise<Entry[]> => {
    builds++;
    return [file('a', '1')];
  };
  const first = await layerStore(folder, 1).layer('x', ['input'], build);
  const second = await layerStore(folder, 1).layer('x', ['input'], build);
  assert.deepEqual(second.blob.descriptor, first.blob.descriptor);
  assert.equal(builds, 1);
  await layerStore(folder, 1).layer('x', ['other input'], build);
  await layerStore(folder, 2).layer('x', ['input'], build);
  assert.equal(builds, 3);
  for (const name of readdirSync(folder)) if (name.endsWith('.gz')) writeFileSync(join(folder, name), 'damaged');
  const third = await layerStore(folder, 1).layer('x', ['input'], build);
  assert.deepEqual(third.blob.descriptor, first.blob.descriptor);
  assert.equal(builds, 4);
});

test('layers that no build used for a month go, others stay', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'images-layers-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const day = 24 * 60 * 60 * 1000;
  const written = Date.now();
  const built: string[] = [];
  const store = (now: number) =>
    layerStore(
      folder,
      1,
      (title) => built.push(title),
      () => now,
    );
  const layer = (title: string, now: number) => store(now).layer(title, [title], async () => [file('a', title)]);
  await layer('used', written);
  await layer('unused', written);
  await layer('used', written + 20 * day);
  pruneLayers(folder, written + 40 * day);
  assert.equal(readdirSync(folder).length, 2);
  await layer('used', written + 40 * day);
  await layer('unused', written + 40 * day);
  assert.deepEqual(built, ['used', 'unused', 'unused']);
  pruneLayers(join(folder, 'absent'), written);
});
