import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** Programs that call CNI plugins, by the names of their processes. */
const RUNTIMES: readonly string[] = ['containerd', 'crio', 'dockerd'];

/**
 * Whether scripts can be started where plugins are called: by the root folders of the container runtimes and of the node's first process, as far as they can be
 * looked at from here. One of them without a shell means no, as a runtime may run within a container, and a node may have none.
 */
export function nodeHasShell(proc: string): boolean {
  if (!existsSync(proc)) return false;
  const runtimes = readdirSync(proc).filter((name) => /^\d+$/.test(name) && RUNTIMES.includes(processName(proc, name)));
  const roots = ['1', ...runtimes].map((pid) => join(proc, pid, 'root')).filter(canBeRead);
  return roots.length > 0 && roots.every((root) => existsSync(join(root, 'bin/sh')));
}

function processName(proc: string, pid: string): string {
  try {
    return readFileSync(join(proc, pid, 'comm'), 'utf8').trim();
  } catch {
    // It has ended.
    return '';
  }
}

function canBeRead(link: string): boolean {
  try {
    readlinkSync(link);
    return true;
  } catch {
    // Not allowed, or ended.
    return false;
  }
}
