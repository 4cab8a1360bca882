import * as fs from 'node:fs';
import { namespacePath } from '../network/namespace.ts';

const NSFS_MAGIC = 0x6e736673;

/** Ends (SIGKILL) every process inside the given network namespaces, except this one, and waits until they are gone. */
export async function killNamespaceProcesses(
  namespaces: readonly string[],
  except: readonly number[] = [],
): Promise<void> {
  const inodes = new Set<string>();
  for (const name of namespaces) {
    try {
      // A plain file is what is left of a namespace after a reboot.
      if (fs.statfsSync(namespacePath(name)).type !== NSFS_MAGIC) continue;
      inodes.add(`net:[${fs.statSync(namespacePath(name)).ino}]`);
    } catch {
      // It is gone already.
    }
  }
  if (inodes.size === 0) return;
  for (let round = 0; round < 50; round++) {
    const found = processesIn(inodes).filter((pid) => pid !== process.pid && !except.includes(pid));
    if (found.length === 0) return;
    for (const pid of found) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended in between.
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function processesIn(inodes: ReadonlySet<string>): number[] {
  const found: number[] = [];
  for (const entry of fs.readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      if (inodes.has(fs.readlinkSync(`/proc/${entry}/ns/net`))) found.push(Number(entry));
    } catch {
      // It ended in between.
    }
  }
  return found;
}
