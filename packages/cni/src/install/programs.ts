import { createHash } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { PLUGIN_TYPE } from '../config/network-list.ts';

/** Where the plugin's program comes from. */
export interface ProgramSources {
  /** The plugin as one executable, which needs nothing else on the node; undefined where there is only the bundle. */
  readonly executable?: string | undefined;
  /** The bundle, one file. */
  readonly bundle: string;
  /** The Node runtime to bring along; undefined when the node has one at `nodeRuntime`. */
  readonly runtime: string | undefined;
  /** Path of a runtime on the node, when it has one. */
  readonly nodeRuntime: string | undefined;
}

const BUNDLE = `${PLUGIN_TYPE}.mjs`;
const RUNTIME = `${PLUGIN_TYPE}-runtime`;

/**
 * The file that container runtimes call. It finds its parts beside itself, wherever the folder is on the node. Calls that need no work (the rules end
 * with the pod's network) are answered without starting anything; variables that change how Node runs are not the caller's to set.
 */
function launcher(nodeRuntime: string | undefined): string {
  const runtime = nodeRuntime === undefined ? `"$here/${RUNTIME}"` : `'${nodeRuntime.replaceAll("'", "'\\''")}'`;
  return `#!/bin/sh
# CNI plugin of Istio, installed by install-cni.
case "$CNI_COMMAND" in DEL|GC) exit 0;; esac
here=\${0%/*}
unset NODE_OPTIONS NODE_EXTRA_CA_CERTS NODE_V8_COVERAGE
exec ${runtime} --no-warnings --max-semi-space-size=1 "$here/${BUNDLE}"
`;
}

/**
 * Puts the plugin into the node's folder of plugins. Each file appears complete or not at all, as a container runtime may call it at any moment.
 * Returns the names of the files that changed.
 */
export async function installPrograms(sources: ProgramSources, directory: string): Promise<readonly string[]> {
  const changed: string[] = [];
  if (sources.executable !== undefined) {
    if (await copyNewer(sources.executable, join(directory, PLUGIN_TYPE))) changed.push(PLUGIN_TYPE);
    // What an installation with a launcher left behind.
    for (const name of [BUNDLE, RUNTIME]) await fs.rm(join(directory, name), { force: true });
    return changed;
  }
  // The launcher comes last: what it calls is there by then.
  if (sources.runtime !== undefined && (await copyNewer(sources.runtime, join(directory, RUNTIME))))
    changed.push(RUNTIME);
  if (await copyNewer(sources.bundle, join(directory, BUNDLE))) changed.push(BUNDLE);
  if (await writeAtomically(join(directory, PLUGIN_TYPE), launcher(sources.nodeRuntime), 0o755))
    changed.push(PLUGIN_TYPE);
  return changed;
}

/** Takes the plugin out of the folder. */
export async function removePrograms(directory: string): Promise<void> {
  for (const name of [PLUGIN_TYPE, BUNDLE, RUNTIME]) await fs.rm(join(directory, name), { force: true });
}

/** A hash of a file's content, read piece by piece: the executable is larger than the memory this program should take. */
async function contentHash(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(path)) hash.update(piece as Buffer);
  return hash.digest('hex');
}

/** Copies that were compared byte by byte in the life of this process: later their size and time say enough. */
const compared = new Set<string>();

/** Copies a file that differs; the copy keeps the time. Files of images all have one time, so the content counts, too. */
async function copyNewer(source: string, target: string): Promise<boolean> {
  const [from, to] = await Promise.all([fs.stat(source), fs.stat(target).catch(() => undefined)]);
  // File systems keep times of different precision.
  if (to !== undefined && to.size === from.size && Math.abs(to.mtimeMs - from.mtimeMs) < 2) {
    if (compared.has(target) || (await contentHash(source)) === (await contentHash(target))) {
      compared.add(target);
      return false;
    }
  }
  const fresh = `${target}.tmp-${process.pid}`;
  try {
    await fs.copyFile(source, fresh, constants.COPYFILE_FICLONE);
    await fs.chmod(fresh, 0o755);
    await fs.utimes(fresh, from.atime, from.mtime);
    await fs.rename(fresh, target);
    compared.add(target);
  } catch (error) {
    await fs.rm(fresh, { force: true });
    throw error;
  }
  return true;
}

/** Writes a file whose content or permissions differ, all at once. Returns whether it did. */
export async function writeAtomically(path: string, text: string, mode: number): Promise<boolean> {
  const old = await fs.readFile(path, 'utf8').catch(() => undefined);
  if (old === text && ((await fs.stat(path)).mode & 0o777) === mode) return false;
  const fresh = `${path}.tmp-${process.pid}`;
  try {
    await fs.writeFile(fresh, text, { mode });
    await fs.chmod(fresh, mode);
    await fs.rename(fresh, path);
  } catch (error) {
    await fs.rm(fresh, { force: true });
    throw error;
  }
  return true;
}
