import * as fs from 'node:fs';
import { runCommand } from '../network/command.ts';
import { namespacePath } from '../network/namespace.ts';
import { killNamespaceProcesses } from '../node/processes.ts';
import { createCgroups } from '../node/machine.ts';
import type { ClusterLayout } from './layout.ts';
import { readProcessFile, removeFile } from './process-file.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Names of all network namespaces of a cluster: its own and those of its pods. */
export function clusterNamespaces(cluster: string): string[] {
  const all = fs.existsSync('/run/netns') ? fs.readdirSync('/run/netns') : [];
  return all.filter(
    (name) => name === cluster || (name.startsWith(`${cluster}-`) && UUID.test(name.slice(cluster.length + 1))),
  );
}

/** Ends whatever is left of a cluster: processes, namespaces, mounts, and the files of running pods. The state stays. */
export async function cleanUp(layout: ClusterLayout): Promise<void> {
  const main = readProcessFile(layout.clusterPid);
  if (main !== undefined) {
    process.kill(main, 'SIGKILL');
    const deadline = Date.now() + 5000;
    while (readProcessFile(layout.clusterPid) !== undefined && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
  removeFile(layout.clusterPid);
  const namespaces = clusterNamespaces(layout.name);
  await killNamespaceProcesses(namespaces);
  for (const name of namespaces) {
    await runCommand('ip', ['netns', 'delete', name]).catch(() => {
      // A name without a namespace behind it, from before a reboot.
      fs.rmSync(namespacePath(name), { force: true });
    });
  }
  await unmountBelow(layout.root);
  createCgroups(layout.name).removeAll();
  fs.rmSync(layout.run, { recursive: true, force: true });
  fs.rmSync(layout.socket, { force: true });
}

/** Unmounts everything below a directory, the innermost first. */
export async function unmountBelow(directory: string): Promise<void> {
  const real = fs.existsSync(directory) ? fs.realpathSync(directory) : directory;
  const mounts = fs
    .readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => (line.split(' ')[1] ?? '').replace(/\\040/g, ' '))
    .filter((path) => path.startsWith(`${real}/`))
    .reverse();
  for (const path of mounts) await runCommand('umount', ['-l', path]).catch(() => {});
}
