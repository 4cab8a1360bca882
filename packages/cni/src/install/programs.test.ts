import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { removeUnfinished } from './atomic-file.ts';
import { installPrograms, removePrograms } from './programs.ts';

let root = '';
let bin = '';
beforeEach(async () => {
  root = await fs.mkdtemp(join(tmpdir(), "cni 'bin-"));
  bin = join(root, 'bin');
  await fs.mkdir(bin);
  await fs.writeFile(join(root, 'executable'), '#!/bin/sh\necho "executable: $CNI_COMMAND $NODE_OPTIONS"\ncat\n');
  await fs.writeFile(join(root, 'bundle.mjs'), 'bundle');
  await fs.writeFile(join(root, 'node'), '#!/bin/sh\necho "node: $*"\n', { mode: 0o755 });
});
afterEach(() => fs.rm(root, { recursive: true, force: true }));

const executable = (shell: boolean) => ({
  executable: join(root, 'executable'),
  shell,
  bundle: '',
  runtime: undefined,
  nodeRuntime: undefined,
});
const bundled = () => ({ bundle: join(root, 'bundle.mjs'), runtime: undefined, nodeRuntime: join(root, 'node') });
const names = async () => (await fs.readdir(bin)).sort();
const call = (command: string, input = '') => {
  const env = { PATH: '/usr/bin:/bin', CNI_COMMAND: command, NODE_OPTIONS: '--inspect' };
  const { status, stdout } = spawnSync(join(bin, 'istio-cni'), { env, input, encoding: 'utf8' });
  return [status, stdout];
};

test('where the node has a shell, the executable is started only for what needs it', async () => {
  assert.deepEqual(await installPrograms(executable(true), bin), ['istio-cni-runtime', 'istio-cni']);
  assert.deepEqual(await installPrograms(executable(true), bin), []);
  assert.deepEqual(call('ADD', 'input\n'), [0, 'executable: ADD \ninput\n']);
  assert.deepEqual(call('CHECK', 'input\n'), [0, 'executable: CHECK \ninput\n']);
  assert.deepEqual(call(''), [0, 'executable:  \n']);
  for (const command of ['STATUS', 'DEL', 'GC']) assert.deepEqual(call(command), [0, '']);
  assert.match(String(call('VERSION')[1]), /^\{"cniVersion":"1\.1\.0","supportedVersions":\[.*\]\}\n$/);
  for (const name of await names()) assert.equal((await fs.stat(join(bin, name))).mode & 0o777, 0o755);
});

test('where it has none, the executable is all there is', async () => {
  await installPrograms(executable(true), bin);
  assert.deepEqual(await installPrograms(executable(false), bin), ['istio-cni']);
  assert.deepEqual(await names(), ['istio-cni']);
  assert.deepEqual(await fs.readFile(join(bin, 'istio-cni')), await fs.readFile(join(root, 'executable')));
});

test('one kind of installation takes the place of another, and goes without a trace', async () => {
  await installPrograms(bundled(), bin);
  assert.deepEqual(await names(), ['istio-cni', 'istio-cni.mjs']);
  assert.match(String(call('ADD')[1]), /^node: --no-warnings .*\/istio-cni\.mjs\n$/);
  await installPrograms(executable(true), bin);
  assert.deepEqual(await names(), ['istio-cni', 'istio-cni-runtime']);
  await installPrograms(executable(false), bin);
  // A program of the same size, but other content; a truncated one; a copy that was killed.
  for (const text of ['x'.repeat((await fs.stat(join(root, 'executable'))).size), 'x']) {
    await fs.writeFile(join(bin, 'istio-cni'), text);
    await installPrograms(executable(false), bin);
    assert.deepEqual(call('ADD'), [0, 'executable: ADD --inspect\n']);
  }
  await fs.writeFile(join(bin, 'istio-cni.tmp-4711'), 'half');
  await fs.writeFile(join(bin, 'bridge'), 'of others');
  await removePrograms(bin);
  assert.deepEqual(await names(), ['bridge']);
});

test('an executable that may not be executed any more is mended', async () => {
  await installPrograms(executable(false), bin);
  await fs.chmod(join(bin, 'istio-cni'), 0o644);
  assert.deepEqual(await installPrograms(executable(false), bin), ['istio-cni']);
  assert.deepEqual(call('ADD'), [0, 'executable: ADD --inspect\n']);
});

test('a copy that another agent is writing is left alone, one that nobody finishes goes', async () => {
  await fs.writeFile(join(bin, 'istio-cni.tmp-0123456789ab'), 'half');
  await installPrograms(executable(false), bin);
  assert.deepEqual(await names(), ['istio-cni', 'istio-cni.tmp-0123456789ab']);
  await removeUnfinished(join(bin, 'istio-cni'), Date.now() + 60_000);
  assert.deepEqual(await names(), ['istio-cni']);
});
