import assert from 'node:assert/strict';
import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { nodeHasShell } from './node-shell.ts';

let root = '';
beforeEach(async () => {
  root = await fs.mkdtemp(join(tmpdir(), 'proc-'));
  await fs.mkdir(join(root, 'with/usr/bin'), { recursive: true });
  await fs.symlink('usr/bin', join(root, 'with/bin'));
  await fs.writeFile(join(root, 'with/usr/bin/sh'), '');
  await fs.mkdir(join(root, 'without/bin'), { recursive: true });
});
afterEach(() => fs.rm(root, { recursive: true, force: true }));

/** A process table: name and root folder of each process; without a folder it cannot be looked at. */
async function table(...processes: readonly (readonly [pid: number, name: string, folder?: string])[]) {
  const proc = await fs.mkdtemp(join(root, 'proc-'));
  await fs.writeFile(join(proc, 'cmdline'), '');
  for (const [pid, name, folder] of processes) {
    await fs.mkdir(join(proc, `${pid}`));
    await fs.writeFile(join(proc, `${pid}/comm`), `${name}\n`);
    if (folder !== undefined) await fs.symlink(join(root, folder), join(proc, `${pid}/root`));
  }
  return proc;
}

test('a node has a shell where its first process and every container runtime see one', async () => {
  assert.equal(nodeHasShell(await table([1, 'systemd', 'with'], [7, 'containerd', 'with'])), true);
  assert.equal(nodeHasShell(await table([1, 'systemd'], [7, 'containerd', 'with'], [9, 'nginx', 'without'])), true);
  assert.equal(nodeHasShell(await table([1, 'init', 'with'])), true);
  assert.equal(nodeHasShell(await table([1, 'machined', 'without'], [7, 'containerd', 'with'])), false);
  assert.equal(nodeHasShell(await table([1, 'systemd', 'with'], [7, 'crio', 'without'])), false);
  assert.equal(nodeHasShell(await table([1, 'systemd'], [7, 'bash', 'with'])), false);
});
