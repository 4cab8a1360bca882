import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { file } from '../tar/entry.ts';
import { writeTar } from '../tar/write-tar.ts';
import { readAr } from './ar.ts';
import { debFiles, decompress } from './deb.ts';
import { arArchive, debPackage } from './debian.test-support.ts';
import { ARCHITECTURES, type LockedPackage, layerTime, readLock } from './lock.ts';
import { fetchPackage, type Mirror, sha256 } from './mirror.ts';
import { closure, readPackageIndex } from './package-index.ts';
import { compareVersions } from './version.ts';

test('versions are ordered as dpkg orders them', () => {
  const ascending = [
    '0.9~rc1',
    '0.9',
    '0.9-1',
    '0.9-1+b1',
    '0.9+dfsg-1',
    '0.10',
    '1.0~',
    '1.0',
    '1.0a',
    '1.0+',
    '1:0.1',
  ];
  for (let index = 1; index < ascending.length; index++) {
    const [older = '', newer = ''] = ascending.slice(index - 1, index + 1);
    assert.ok(compareVersions(older, newer) < 0, `${older} < ${newer}`);
    assert.ok(compareVersions(newer, older) > 0, `${newer} > ${older}`);
  }
  assert.equal(compareVersions('2.36-9+deb12u10', '2.36-9+deb12u10'), 0);
  assert.ok(compareVersions('2.36-9+deb12u9', '2.36-9+deb12u10') < 0);
});

test('ar archives have their members, also of odd length', () => {
  const members = readAr(arArchive({ odd: Buffer.from('abc'), next: Buffer.from('de') }));
  assert.equal(members.get('odd')?.toString(), 'abc');
  assert.equal(members.get('next')?.toString(), 'de');
  assert.throws(() => readAr(Buffer.from('no archive at all')), /not an ar archive/);
  assert.throws(() => readAr(arArchive({ cut: Buffer.from('abcdef') }).subarray(0, 70)), /ends within/);
});

test('the files of a package are read, however it is compressed', () => {
  assert.equal(debFiles(debPackage([file('usr/bin/x', 'program', 0o755)]))[0]?.data.toString(), 'program');
  const data = writeTar([file('f', 'content')], 0);
  const xz = spawnSync(
    'python3',
    ['-c', 'import lzma,sys; sys.stdout.buffer.write(lzma.compress(sys.stdin.buffer.read()))'],
    { input: data },
  ).stdout;
  assert.deepEqual(decompress('data.tar.xz', xz), data);
  assert.deepEqual(decompress('data.tar.zst', zstdCompressSync(data)), data);
  assert.deepEqual(decompress('data.tar', data), data);
  assert.throws(() => decompress('data.tar.xz', Buffer.from('no xz')), /cannot decompress data.tar.xz/);
  assert.throws(() => debFiles(arArchive({ other: Buffer.from('2.0\n') })), /not a Debian package/);
});

const INDEX = [
  'tool|1.0|lib (>= 2), other | tool-data, awk',
  'lib|2.0|dpkg',
  'tool-data|1|',
  'mawk|1||awk',
  'dpkg|1|tar',
  'lib|2.1|dpkg',
]
  .map((line) => {
    const [name, version, depends, provides] = splitLine(line);
    return `Package: ${name}\nVersion: ${version}\nFilename: pool/${name}_${version}.deb\nSHA256: ${'0'.repeat(64)}\nSize: 5\n${depends ? `Depends: ${depends}\n` : ''}${provides ? `Provides: ${provides}\n` : ''}Description: text\n more text\n`;
  })
  .join('\n');

/** Name, version, dependencies (which may have alternatives) and provided names. */
function splitLine(line: string): string[] {
  const [name = '', version = '', ...rest] = line.split('|');
  return name === 'mawk' ? [name, version, '', 'awk'] : [name, version, rest.join('|'), ''];
}

test('a closure has the newest versions, first alternatives that exist and providers, without what is left out', () => {
  const packages = readPackageIndex(INDEX, 'debian');
  assert.deepEqual(
    closure(packages, ['tool'], new Set(['dpkg'])).map(({ name, version }) => `${name} ${version}`),
    ['lib 2.1', 'mawk 1', 'tool 1.0', 'tool-data 1'],
  );
  assert.throws(() => closure(packages, ['absent'], new Set()), /there is no package absent/);
  assert.throws(() => closure(packages, ['dpkg'], new Set()), /dpkg depends on it: there is no package tar/);
});

const locked = (data: Buffer): LockedPackage => ({
  name: 'tool',
  version: '1.0',
  source: 'tool',
  archive: 'debian',
  path: 'pool/main/t/tool.deb',
  sha256: sha256(data),
  size: data.length,
});

/** A mirror whose answers are by address; it counts the requests. */
function mirror(
  cache: string,
  answers: Readonly<Record<string, Buffer>>,
): { readonly mirror: Mirror; readonly asked: string[] } {
  const asked: string[] = [];
  const fetch = (async (url: string) => {
    asked.push(url);
    const data = answers[url];
    return new Response(data === undefined ? '' : new Uint8Array(data), { status: data === undefined ? 404 : 200 });
  }) as typeof globalThis.fetch;
  return { mirror: { address: 'http://mirror', cache, fetch }, asked };
}

test('a package comes from the mirror, from the snapshots when it is gone there, and from the cache afterwards', async (context) => {
  const cache = mkdtempSync(join(tmpdir(), 'images-cache-'));
  context.after(() => rmSync(cache, { recursive: true }));
  const data = Buffer.from('a package');
  const snapshot = 'http://snapshot.debian.org/archive/debian/20260101T000000Z/pool/main/t/tool.deb';
  const first = mirror(cache, { [snapshot]: data });
  assert.deepEqual(await fetchPackage(first.mirror, locked(data), '20260101T000000Z'), data);
  assert.deepEqual(first.asked, ['http://mirror/debian/pool/main/t/tool.deb', snapshot]);
  const second = mirror(cache, {});
  assert.deepEqual(await fetchPackage(second.mirror, locked(data), '20260101T000000Z'), data);
  assert.deepEqual(second.asked, []);
});

test('a package that is larger than the locked one is not read to its end', async (context) => {
  const cache = mkdtempSync(join(tmpdir(), 'images-cache-'));
  context.after(() => rmSync(cache, { recursive: true }));
  const data = Buffer.from('a package');
  const { mirror: padded } = mirror(cache, {
    'http://mirror/debian/pool/main/t/tool.deb': Buffer.concat([data, Buffer.alloc(10)]),
  });
  await assert.rejects(fetchPackage(padded, locked(data), '20260101T000000Z'), /more than the 9 bytes/);
  const { mirror: cut } = mirror(cache, { 'http://mirror/debian/pool/main/t/tool.deb': data.subarray(0, 5) });
  await assert.rejects(fetchPackage(cut, locked(data), '20260101T000000Z'), /5 bytes instead of 9/);
});

test('a package that is not the locked one is refused, and the reasons of all places are told', async (context) => {
  const cache = mkdtempSync(join(tmpdir(), 'images-cache-'));
  context.after(() => rmSync(cache, { recursive: true }));
  const { mirror: other } = mirror(cache, {
    'http://mirror/debian/pool/main/t/tool.deb': Buffer.from('b package'),
  });
  await assert.rejects(
    fetchPackage(other, locked(Buffer.from('a package')), '20260101T000000Z'),
    /tool 1\.0: .*is not the locked file.*; .*404/,
  );
});

test('the lock file has the same packages for both architectures, each with a checksum', () => {
  const lock = readLock();
  const [names, others] = ARCHITECTURES.map((architecture) =>
    Object.entries(lock.packages[architecture]).map(([layer, packages]) => [layer, packages.map(({ name }) => name)]),
  );
  assert.deepEqual(names, others);
  const all = ARCHITECTURES.flatMap((architecture) => Object.values(lock.packages[architecture]).flat());
  for (const { name, sha256: sum, path, archive } of all) {
    assert.match(sum, /^[0-9a-f]{64}$/, name);
    assert.match(path, /^pool\/.*\.deb$/, name);
    assert.match(archive, /^debian(-security)?$/, name);
  }
  const shell = ['bash', 'dash', 'busybox', 'zsh'];
  for (const layer of ['runtime', 'netfilter'])
    assert.deepEqual(
      lock.packages.amd64[layer]?.filter(({ name }) => shell.includes(name)),
      [],
      'no shell below the tools',
    );
  assert.ok(layerTime(lock) > Date.UTC(2025, 0, 1) / 1000);
});
