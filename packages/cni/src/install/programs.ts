import { createHash } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import * as fs from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PLUGIN_TYPE } from '../config/network-list.ts';
import { SILENT_COMMANDS, VERSION_ANSWER } from '../plugin/quick-answer.ts';
import { removeUnfinished, syncFolder, unfinished, writeAtomically } from './atomic-file.ts';

/** Where the plugin's program comes from. */
export interface ProgramSources {
  /** The plugin as one executable, which needs nothing else on the node; undefined where there is only the bundle. */
  readonly executable?: string | undefined;
  /** Whether the node has a shell, so that a launcher can stand before the executable. The bundle always has one. */
  readonly shell?: boolean;
  /** The bundle, one file. */
  readonly bundle: string;
  /** The Node runtime to bring along; undefined when the node has one at `nodeRuntime`. */
  readonly runtime: string | undefined;
  /** Path of a runtime on the node, when it has one. */
  readonly nodeRuntime: string | undefined;
}

const BUNDLE = `${PLUGIN_TYPE}.mjs`;
const RUNTIME = `${PLUGIN_TYPE}-runtime`;

const quoted = (path: string): string => `'${path.replaceAll("'", "'\\''")}'`;

/**
 * The file that container runtimes call. It finds its parts beside itself, wherever the folder is on the node. Calls that need no work (the rules end
 * with the pod's network) are answered without starting anything; a runtime asks for the status every few seconds. Variables that change how Node runs are
 * not the caller's to set.
 */
function launcher(program: string): string {
  return `#!/bin/sh
# CNI plugin of Istio, installed by install-cni.
case "$CNI_COMMAND" in
${SILENT_COMMANDS.join('|')}) exit 0;;
VERSION) echo '${VERSION_ANSWER}'; exit 0;;
esac
here=\${0%/*}
unset NODE_OPTIONS NODE_EXTRA_CA_CERTS NODE_V8_COVERAGE
exec ${program}
`;
}

/**
 * Puts the plugin into the node's folder of plugins. Each file appears complete or not at all, as a container runtime may call it at any moment; the
 * launcher comes last, for what it calls is there by then. Returns the names of the files that changed.
 */
export async function installPrograms(sources: ProgramSources, directory: string): Promise<readonly string[]> {
  const changed: string[] = [];
  const copy = async (source: string, name: string): Promise<void> => {
    if (await copyNewer(source, join(directory, name))) changed.push(name);
  };
  const launch = async (program: string): Promise<void> => {
    if (await writeAtomically(join(directory, PLUGIN_TYPE), launcher(program), 0o755)) changed.push(PLUGIN_TYPE);
  };
  const { executable, shell, bundle, runtime, nodeRuntime } = sources;
  if (executable === undefined) {
    if (runtime !== undefined) await copy(runtime, RUNTIME);
    await copy(bundle, BUNDLE);
    const node = nodeRuntime === undefined ? `"$here/${RUNTIME}"` : quoted(nodeRuntime);
    await launch(`${node} --no-warnings --max-semi-space-size=1 "$here/${BUNDLE}"`);
    return changed;
  }
  if (shell) {
    await copy(executable, RUNTIME);
    await launch(`"$here/${RUNTIME}"`);
  } else await copy(executable, PLUGIN_TYPE);
  // What an installation of another kind left behind.
  for (const name of [BUNDLE, ...(shell ? [] : [RUNTIME])]) await fs.rm(join(directory, name), { force: true });
  return changed;
}

/** Takes the plugin out of the folder. */
export async function removePrograms(directory: string): Promise<void> {
  for (const name of [PLUGIN_TYPE, BUNDLE, RUNTIME]) {
    await fs.rm(join(directory, name), { force: true });
    await removeUnfinished(join(directory, name));
  }
}

/** A hash of a file's content, read piece by piece: the executable is larger than the memory this program should take. */
async function contentHash(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(path)) hash.update(piece as Buffer);
  return hash.digest('hex');
}

/** Copies that were compared byte by byte in the life of this process: later their size and time say enough. */
const compared = new Set<string>();

const PROGRAM_MODE = 0o755;

/** How long a copy takes at most, in milliseconds: what is older was left by a process that was killed. */
const LONGEST_COPY_MS = 600_000;

/** Copies a file that differs; the copy keeps the time. Files of images all have one time, so the content counts, too. */
async function copyNewer(source: string, target: string): Promise<boolean> {
  const [from, to] = await Promise.all([fs.stat(source), fs.stat(target).catch(() => undefined)]);
  // File systems keep times of different precision.
  const isExecutable = to !== undefined && (to.mode & 0o777) === PROGRAM_MODE;
  if (isExecutable && to.size === from.size && Math.abs(to.mtimeMs - from.mtimeMs) < 2) {
    if (compared.has(target) || (await contentHash(source)) === (await contentHash(target))) {
      compared.add(target);
      return false;
    }
  }
  await removeUnfinished(target, Date.now() - LONGEST_COPY_MS);
  const fresh = unfinished(target);
  try {
    await fs.copyFile(source, fresh, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
    const file = await fs.open(fresh, 'r+');
    try {
      await file.chmod(PROGRAM_MODE);
      await file.utimes(from.atime, from.mtime);
      // A node whose power fails must not start with half a plugin: nothing would start there, this program's own pod included.
      await file.sync();
    } finally {
      await file.close();
    }
    await fs.rename(fresh, target);
    await syncFolder(dirname(target));
    compared.add(target);
  } catch (error) {
    await fs.rm(fresh, { force: true });
    throw error;
  }
  return true;
}
