import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { completeTree, directory, type Entry, file, link } from './entry.ts';
import { readTar } from './read-tar.ts';
import { writeTar } from './write-tar.ts';

const long = `usr/share/${'deep/'.repeat(30)}${'x'.repeat(120)}`;
const tree: Entry[] = [
  directory('tmp', 0o1777),
  file('usr/bin/tool', 'program', 0o755, { user: 7, group: 8 }),
  file(`usr/share/${'folder/'.repeat(18)}name`, 'fits with a prefix'),
  file(long, 'long'),
  link('bin', 'usr/bin'),
  link('usr/lib/long', `../${'y'.repeat(140)}`),
  file('empty', ''),
  link('usr/ü', `täler/${'ö'.repeat(40)}`),
  link('usr/long-ü', 'ö'.repeat(90)),
];

test('entries come back as they were written, with one time', () => {
  const read = readTar(writeTar(tree, 1_000_000));
  assert.deepEqual(
    read.map(({ path, kind, target, data }) => [path, kind, target, data.toString()]),
    tree.map((entry) => [
      entry.kind === 'directory' ? `${entry.path}/` : entry.path,
      entry.kind,
      entry.kind === 'link' ? entry.target : '',
      entry.kind === 'file' ? entry.data.toString() : '',
    ]),
  );
  assert.ok(read.every(({ time }) => time === 1_000_000));
  assert.deepEqual([read[1]?.mode, read[1]?.user, read[1]?.group], [0o755, 7, 8]);
  assert.equal(read[0]?.mode, 0o1777);
});

test('tar reads what is written', () => {
  const { status, stdout, stderr } = spawnSync('tar', ['--list', '--quoting-style=literal', '--file', '-'], {
    input: writeTar(tree, 0),
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
  assert.deepEqual(
    stdout.trim().split('\n'),
    tree.map((entry) => (entry.kind === 'directory' ? `${entry.path}/` : entry.path)),
  );
});

test('archives of GNU tar are read in its own form and in the one of POSIX', (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'images-tar-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const deep = join('a'.repeat(90), 'b'.repeat(90));
  mkdirSync(join(folder, deep), { recursive: true });
  writeFileSync(join(folder, deep, 'file'), 'content');
  symlinkSync('c'.repeat(150), join(folder, 'link'));
  for (const format of ['gnu', 'posix']) {
    const { stdout } = spawnSync('tar', [`--format=${format}`, '-cf', '-', '-C', folder, '.']);
    const entries = readTar(stdout);
    assert.equal(entries.find(({ path }) => path === `./${deep}/file`)?.data.toString(), 'content', format);
    assert.equal(entries.find(({ path }) => path === './link')?.target, 'c'.repeat(150), format);
  }
});

/** The archive with bytes of its first header changed and the checksum put right. */
function patched(archive: Buffer, offset: number, bytes: readonly number[]): Buffer {
  const copy = Buffer.from(archive);
  Buffer.from(bytes).copy(copy, offset);
  copy.fill(' ', 148, 156);
  const sum = copy.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  copy.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return copy;
}

test('numbers in GNU’s binary form are read without their mark, and refused where they are negative or too large', () => {
  const archive = writeTar([file('a', 'content')], 0);
  const [large] = readTar(patched(archive, 108, [0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff]));
  assert.equal(large?.user, 0x7fffffff);
  const [sized] = readTar(patched(archive, 124, [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]));
  assert.equal(sized?.data.toString(), 'content');
  assert.throws(() => readTar(patched(archive, 108, Array(8).fill(0xff))), /out of range/);
  assert.throws(() => readTar(patched(archive, 124, [0x80, 1, ...Array(10).fill(0)])), /out of range/);
});

test('paths that lead out of an archive are neither read nor written', () => {
  const archive = writeTar([file('aaaa', 'content')], 0);
  for (const path of ['../a', '/aaa', 'a//b', '..']) {
    assert.throws(() => writeTar([file(path, '')], 0), /no path within an archive/, path);
    const bytes = [...Buffer.from(path.padEnd(4, '\0'))];
    assert.throws(() => readTar(patched(archive, 0, bytes)), /no path within an archive/, path);
  }
  assert.equal(readTar(patched(archive, 0, [...Buffer.from('./a\0')]))[0]?.path, './a');
  assert.equal(readTar(patched(archive, 0, [...Buffer.from('a..b')]))[0]?.path, 'a..b');
});

test('damaged archives are refused', () => {
  const archive = writeTar([file('a', 'content')], 0);
  assert.throws(() => readTar(Buffer.from(archive).fill(1, 0, 5)), /wrong checksum/);
  assert.throws(() => readTar(archive.subarray(0, 514)), /ends within/);
});

test('a tree has the folders above its entries, sorted, and the last entry of a path', () => {
  const complete = completeTree([file('a/b/c', 'old'), link('lib', 'usr/lib'), file('a/b/c', 'new'), directory('lib')]);
  assert.deepEqual(
    complete.map(({ path, kind }) => `${kind} ${path}`),
    ['directory a', 'directory a/b', 'file a/b/c', 'link lib'],
  );
  const [, , last] = complete;
  assert.equal(last?.kind === 'file' && last.data.toString(), 'new');
});
