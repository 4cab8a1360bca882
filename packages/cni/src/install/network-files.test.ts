import assert from 'node:assert/strict';
import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { FileChangedError, writeAtomically } from './atomic-file.ts';
import { joinChain, leaveChain, NoNetworkFileError, writeOwnFile } from './network-files.ts';

let directory = '';
beforeEach(async () => {
  directory = await fs.mkdtemp(join(tmpdir(), 'net.d-'));
});
afterEach(() => fs.rm(directory, { recursive: true, force: true }));

const plugin = { type: 'istio-cni', log_level: 'info' };
const write = (name: string, text: string, mode = 0o644) => fs.writeFile(join(directory, name), text, { mode });
const read = (name: string) => fs.readFile(join(directory, name), 'utf8');
const names = async () => (await fs.readdir(directory)).sort();
/** All that is in the folder: texts and permissions. */
const everything = async (): Promise<unknown> =>
  Promise.all(
    (await names()).map(async (name) => [name, await read(name), (await fs.stat(join(directory, name))).mode]),
  );
const types = async (name: string) =>
  JSON.parse(await read(name)).plugins.map(({ type }: { readonly type: string }) => type);

test('whatever the folder held, it holds again afterwards: names, texts, permissions', async () => {
  const folders: readonly (readonly (readonly [name: string, text: string, mode?: number])[])[] = [
    [['10-calico.conflist', '{"name":"n",  "cniVersion":"0.3.1","plugins":[{"type":"calico"}]}', 0o600]],
    [['10-flannel.conflist', '{"name":"n","plugins":[{"type":"flannel"}]}\n\n', 0o640]],
    [['87-podman.conf', '{"cniVersion":"0.4.0","name":"n","type":"bridge"}']],
    [['10-net.json', '{"type":"ptp"}', 0o400]],
    [['10-new.conflist', '{"name":"n","cniVersions":["1.0.0","1.1.0"],"disableGC":true,"plugins":[{"type":"ptp"}]}']],
    [
      ['00-broken.conflist', '{"plugins":['],
      ['01-list.conf', '{"name":"other","plugins":[{"type":"bridge"}]}'],
      ['02-empty.conflist', ''],
      ['10-calico.conflist', '{"name":"n","cniVersion":"0.3.1","plugins":[{"type":"calico"}]}'],
      ['10-calico.conflist.bak', 'x'],
      ['99-loopback.conf', '{"cniVersion":"0.3.1","name":"lo","type":"loopback"}'],
      ['calico-kubeconfig', 'y', 0o600],
    ],
  ];
  for (const files of folders) {
    for (const [name, text, mode] of files) {
      await write(name, text, mode);
      if (mode !== undefined) await fs.chmod(join(directory, name), mode);
    }
    const before = await everything();
    const { file } = await joinChain(directory, plugin, undefined);
    const joined = JSON.parse(await read(file));
    assert.equal(joined.plugins.at(-1).type, 'istio-cni');
    assert.ok(typeof joined.name === 'string' && (joined.cniVersion ?? joined.cniVersions) !== undefined);
    assert.equal((await joinChain(directory, { ...plugin, log_level: 'debug' }, undefined)).changed, true);
    assert.deepEqual(await leaveChain(directory), [file]);
    assert.deepEqual(await everything(), before);
    for (const name of await names()) await fs.rm(join(directory, name));
  }
});

test('a file that runtimes pass over is passed over, never mended, and named while nothing else is there', async () => {
  await write('00-list.conf', '{"name":"other","cniVersion":"1.0.0","plugins":[{"type":"bridge"}]}');
  await write('01-half.conflist', '{"name":"x"');
  await assert.rejects(
    joinChain(directory, plugin, undefined),
    (error) =>
      error instanceof NoNetworkFileError &&
      /waiting for the network plugin.*00-list\.conf: it is no plugin.*01-half\.conflist: not JSON/.test(error.message),
  );
  await assert.rejects(joinChain(directory, plugin, '01-half.conflist'), /01-half\.conflist is not in .*not JSON/);
  assert.deepEqual(await names(), ['00-list.conf', '01-half.conflist']);
  // A link that leads nowhere from the agent's container.
  await fs.symlink('/nowhere/net.conflist', join(directory, '02-link.conflist'));
  await write('10-calico.conflist', '{"name":"n","cniVersion":"0.3.1","plugins":[{"type":"calico"}]}');
  assert.equal((await joinChain(directory, plugin, undefined)).file, '10-calico.conflist');
});

test('the named file is found under its new name, too', async () => {
  for (const name of ['20-net.json', '20-net.conf', '20-net.conflist']) {
    await write('10-other.conflist', '{"name":"o","cniVersion":"1.0.0","plugins":[{"type":"bridge"}]}');
    const plugins = name.endsWith('list') ? { plugins: [{ type: 'ptp' }] } : { type: 'ptp' };
    await write(name, JSON.stringify({ name: 'n', cniVersion: '1.0.0', ...plugins }));
    assert.deepEqual(await joinChain(directory, plugin, name), { file: '20-net.conflist', changed: true });
    assert.deepEqual(await joinChain(directory, plugin, name), { file: '20-net.conflist', changed: false });
    await leaveChain(directory);
    assert.deepEqual(await names(), ['10-other.conflist', name]);
    await fs.rm(join(directory, name));
  }
});

test('with a chain or without one, the plugin is in one place', async () => {
  const calico = '{"name":"n","cniVersion":"0.3.1",  "plugins":[{"type":"calico"}]}';
  await write('10-calico.conflist', calico);
  await joinChain(directory, plugin, undefined);
  const { file } = await writeOwnFile(directory, plugin, undefined);
  assert.equal(file, 'YYY-istio-cni.conf');
  assert.equal(await read('10-calico.conflist'), calico);
  assert.deepEqual(await names(), ['10-calico.conflist', file]);
  assert.equal((await writeOwnFile(directory, plugin, undefined)).changed, false);
  await joinChain(directory, plugin, undefined);
  assert.deepEqual(await types('10-calico.conflist'), ['calico', 'istio-cni']);
  await assert.rejects(read(file));
  await leaveChain(directory);
  assert.deepEqual(await names(), ['10-calico.conflist']);
  // The name of another plugin's file is a mistake, not a file to take.
  await assert.rejects(writeOwnFile(directory, plugin, '10-calico.conflist'), /configuration of another plugin/);
  assert.equal(await read('10-calico.conflist'), calico);
});

test('what others write at the same moment is not overwritten', async () => {
  const path = join(directory, '10-calico.conflist');
  await write('10-calico.conflist', 'theirs');
  await assert.rejects(writeAtomically(path, 'ours', 0o644, 'what we read'), FileChangedError);
  assert.equal(await read('10-calico.conflist'), 'theirs');
  assert.deepEqual(await names(), ['10-calico.conflist']);
  assert.equal(await writeAtomically(path, 'ours', 0o600, 'theirs'), true);
  assert.equal((await fs.stat(path)).mode & 0o777, 0o600);
  assert.equal(await writeAtomically(path, 'ours', 0o600), false);
});

test('what is left of writers that were killed, and of files that others removed, goes', async () => {
  await write('10-calico.conflist', '{"name":"n","cniVersion":"0.3.1","plugins":[{"type":"calico"}]}');
  await joinChain(directory, plugin, undefined);
  await write('10-calico.conflist.tmp-4711', '{"na');
  await fs.rename(join(directory, '10-calico.conflist'), join(directory, '10-calico.conflist.gone'));
  await write('10-cilium.conflist', '{"name":"c","cniVersion":"0.3.1","plugins":[{"type":"cilium-cni"}]}');
  await joinChain(directory, plugin, undefined);
  await write('10-cilium.conflist.tmp-4711', '{"na');
  await leaveChain(directory);
  assert.deepEqual(await names(), ['10-calico.conflist.gone', '10-cilium.conflist']);
});
