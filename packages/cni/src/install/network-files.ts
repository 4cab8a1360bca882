import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import {
  findPlugin,
  formatNetworkList,
  type JsonObject,
  type NetworkList,
  parseNetworkFile,
  PLUGIN_TYPE,
  sameJson,
  withoutPlugin,
  withPlugin,
} from '../config/network-list.ts';
import { FileChangedError, removeUnfinished, writeAtomically } from './atomic-file.ts';

/** Thrown while there is no CNI configuration to join; it is waited for. */
export class NoNetworkFileError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'NoNetworkFileError';
  }
}

/** Name of the plugin's own file where it is not chained (Multus). */
const OWN_FILE = 'YYY-istio-cni.conf';

interface Candidate {
  readonly name: string;
  readonly text: string;
  readonly list: NetworkList;
}

interface Configurations {
  /** In the order in which runtimes choose (libcni: by name). */
  readonly valid: readonly Candidate[];
  /** Files that runtimes pass over, and why. */
  readonly broken: readonly string[];
}

async function readConfigurations(directory: string): Promise<Configurations> {
  const names = (await fs.readdir(directory)).filter((name) => /\.(conf|conflist|json)$/.test(name)).sort();
  const valid: Candidate[] = [];
  const broken: string[] = [];
  for (const name of names) {
    try {
      const text = await fs.readFile(join(directory, name), 'utf8');
      valid.push({ name, text, list: parseNetworkFile(name, text) });
    } catch (error) {
      // A file that cannot be read is one that is being replaced, or a link that leads nowhere from here.
      broken.push(`${name}: ${(error as Error).message}`);
    }
  }
  return { valid, broken };
}

/** The list without our plugin is what others wrote; ours alone is no network to join. */
const othersOf = (candidate: Candidate): readonly JsonObject[] => withoutPlugin(candidate.list).plugins;

/** The configuration to join: the named one, also after it has become a list, or the first. Raises {@link NoNetworkFileError}. */
function choose(directory: string, { valid, broken }: Configurations, wanted: string | undefined): Candidate {
  const all = valid.filter((candidate) => othersOf(candidate).length > 0);
  const names = wanted === undefined ? undefined : [wanted, listName(wanted), wanted.replace(/\.conflist$/, '.conf')];
  const chosen =
    names === undefined ? all[0] : names.map((name) => all.find((item) => item.name === name)).find((item) => item);
  if (chosen === undefined)
    throw new NoNetworkFileError(
      `${
        wanted === undefined
          ? `no CNI configuration is in ${directory} yet: waiting for the network plugin of the cluster`
          : `${wanted} is not in ${directory} yet`
      }${broken.length === 0 ? '' : ` (passed over: ${broken.join('; ')})`}`,
    );
  return chosen;
}

const listName = (name: string): string => name.replace(/\.(conf|json)$/, '.conflist');

/**
 * Makes the plugin the last of the chain. A configuration of a single plugin becomes a list. Returns the file's name, and whether it had to be written.
 * Raises {@link NoNetworkFileError}, {@link FileChangedError} and errors of the file system.
 */
export async function joinChain(
  directory: string,
  plugin: JsonObject,
  wanted: string | undefined,
): Promise<{ readonly file: string; readonly changed: boolean }> {
  const present = await readConfigurations(directory);
  const chosen = choose(directory, present, wanted);
  const file = listName(chosen.name);
  // A network that became the first one is joined, and the one before it left.
  for (const other of present.valid)
    if (other.name !== chosen.name && other.name !== file && findPlugin(other.list) !== undefined)
      await leaveFile(directory, other);
  if (chosen.name === file && sameJson(findPlugin(chosen.list), plugin)) return { file, changed: false };
  if (findPlugin(chosen.list) === undefined) await remember(directory, chosen, file);
  const { fields, plugins } = chosen.list;
  const versioned = fields.cniVersion === undefined && fields.cniVersions === undefined;
  const path = join(directory, file);
  const mode = (await fs.stat(join(directory, chosen.name))).mode & 0o777;
  await writeAtomically(
    path,
    formatNetworkList(withPlugin({ fields: versioned ? { cniVersion: '0.3.1', ...fields } : fields, plugins }, plugin)),
    mode,
    ...(chosen.name === file ? [chosen.text] : []),
  );
  if (chosen.name !== file) {
    const single = join(directory, chosen.name);
    if ((await fs.readFile(single, 'utf8')) !== chosen.text) throw new FileChangedError(single);
    await fs.rm(single);
  }
  return { file, changed: true };
}

/** Writes the plugin's own configuration, for networks that Multus attaches, and leaves chains. Returns whether it had to be written. */
export async function writeOwnFile(
  directory: string,
  plugin: JsonObject,
  wanted: string | undefined,
): Promise<{ readonly file: string; readonly changed: boolean }> {
  const file = wanted ?? OWN_FILE;
  const present = await readConfigurations(directory);
  const same = present.valid.find(({ name }) => name === file);
  if (same !== undefined && othersOf(same).length > 0)
    throw new Error(
      `${file} is the configuration of another plugin: without a chain this plugin has a file of its own`,
    );
  for (const other of present.valid)
    if (other.name !== file && findPlugin(other.list) !== undefined) await leaveFile(directory, other);
  const text = `${JSON.stringify({ cniVersion: '0.3.1', name: PLUGIN_TYPE, ...plugin }, null, 2)}\n`;
  return { file, changed: await writeAtomically(join(directory, file), text, 0o644) };
}

/** Takes the plugin out of every configuration; files get their text back as it was, unless others have changed them since. */
export async function leaveChain(directory: string): Promise<readonly string[]> {
  const left: string[] = [];
  for (const candidate of (await readConfigurations(directory)).valid) {
    if (findPlugin(candidate.list) !== undefined) {
      await leaveFile(directory, candidate);
      await removeUnfinished(join(directory, candidate.name));
      left.push(candidate.name);
    }
  }
  // Of files that others have replaced or removed since.
  for (const name of await fs.readdir(directory)) {
    if (!name.startsWith(MEMORY)) continue;
    await fs.rm(join(directory, name), { force: true });
    await removeUnfinished(join(directory, name.slice(MEMORY.length).replace(/\.saved$/, '')));
  }
  return left;
}

interface Memory {
  /** Name of the file that was there, which may have been a `.conf`. */
  readonly name: string;
  readonly text: string;
}

/**
 * How a file was is remembered beside it, so that it outlives a start of the node as the changed file does. Runtimes do not read files with this ending.
 */
const MEMORY = 'ZZZ-istio-cni-before-';
const memoryOf = (directory: string, file: string): string => join(directory, `${MEMORY}${file}.saved`);

async function remember(directory: string, { name, text }: Candidate, file: string): Promise<void> {
  const memory: Memory = { name, text };
  await writeAtomically(memoryOf(directory, file), JSON.stringify(memory), 0o600);
}

async function leaveFile(directory: string, { name, text, list }: Candidate): Promise<void> {
  const path = join(directory, name);
  const rest = withoutPlugin(list);
  const memory = await recall(memoryOf(directory, name));
  if (rest.plugins.length === 0) await fs.rm(path, { force: true });
  else {
    const mode = (await fs.stat(path)).mode & 0o777;
    if (memory === undefined || !saysTheSame(memory.list, rest))
      await writeAtomically(path, formatNetworkList(rest), mode, text);
    else if (memory.name === name) await writeAtomically(path, memory.text, mode, text);
    else {
      await writeAtomically(join(directory, memory.name), memory.text, mode);
      await fs.rm(path, { force: true });
    }
  }
  await fs.rm(memoryOf(directory, name), { force: true });
}

/** Whether nobody has changed the plugins or the name since; a version that was added by {@link joinChain} is no change. */
function saysTheSame(before: NetworkList, rest: NetworkList): boolean {
  return (
    sameJson(rest.plugins, before.plugins) &&
    sameJson({ cniVersion: '0.3.1', ...before.fields }, { cniVersion: '0.3.1', ...rest.fields })
  );
}

async function recall(path: string): Promise<(Memory & { readonly list: NetworkList }) | undefined> {
  try {
    const memory: Memory = JSON.parse(await fs.readFile(path, 'utf8'));
    return memory.name.includes('/') ? undefined : { ...memory, list: parseNetworkFile(memory.name, memory.text) };
  } catch {
    // Missing or damaged: as if nothing had been remembered.
    return undefined;
  }
}
