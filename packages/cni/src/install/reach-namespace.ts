import { existsSync, statfsSync, statSync } from 'node:fs';
import { basename, dirname, join, normalize } from 'node:path';
import type { NodeFolders } from '../repair/pod-namespace.ts';

/** Magic number of the file system in which namespaces are files (linux/magic.h, NSFS_MAGIC). */
const NSFS = 0x6e736673;

/**
 * Path by which this container reaches a network namespace of the node: through the mounted folder of namespaces, through the node's process table, or through
 * the root of the node's first process, which shows also what was mounted later and is not passed on to this container. Raises an Error when it is nowhere, or
 * when it is the node's own network, whose traffic is never to be intercepted.
 */
export function reachNamespace(netns: string, { proc, netns: folder }: NodeFolders): string {
  const path = normalize(netns);
  if (!path.startsWith('/')) throw new Error(`"${netns}" is not a path of a network namespace`);
  const ofProcess = /^\/proc\/(\d+)\/ns\/net$/.exec(path)?.[1];
  const candidates =
    ofProcess === undefined
      ? [...(basename(dirname(path)) === 'netns' ? [join(folder, basename(path))] : []), join(proc, '1/root', path)]
      : [join(proc, ofProcess, 'ns/net')];
  const found = candidates.find((candidate) => isNamespace(candidate));
  if (found === undefined)
    throw new Error(`network namespace ${netns} is not to be reached: looked for ${candidates.join(' and ')}`);
  const host = join(proc, '1/ns/net');
  if (existsSync(host) && statSync(host).ino === statSync(found).ino)
    throw new Error(`${netns} is the node's own network: its traffic is not intercepted`);
  return found;
}

function isNamespace(path: string): boolean {
  try {
    return statfsSync(path).type === NSFS;
  } catch {
    // Missing, or not allowed to be looked at.
    return false;
  }
}
