import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import {
  findPlugin,
  formatNetworkList,
  type JsonObject,
  type NetworkList,
  NetworkListError,
  parseNetworkList,
  PLUGIN_TYPE,
  sameJson,
  withoutPlugin,
  withPlugin,
} from '../config/network-list.ts';
import { writeAtomically } from './programs.ts';

/** Thrown while there is no CNI configuration to join; it is waited for. */
export class NoNetworkFileError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'NoNetworkFileError';
  }
}

/** Folder of CNI configuration, and folder that remembers how files were before. */
export interface NetworkDirectories {
  readonly config: string;
  readonly state: string;
}

/** Name of the plugin's own file where it is not chained (Multus). */
const OWN_FILE = 'YYY-istio-cni.conf';

interface Candidate {
  readonly name: string;
  readonly text: string;
  readonly list: NetworkList;
}

/** Configurations in the order in which container runtimes choose (libcni: by name; these endings). Broken ones are passed over, as runtimes do. */
async function candidates(directory: string): Promise<readonly Candidate[]> {
  const names = (await fs.readdir(directory)).filter((name) => /\.(conf|conflist|json)$/.test(name)).sort();
  const found: Candidate[] = [];
  for (const name of names) {
    const text = await fs.readFile(join(directory, name), 'utf8').catch(() => '');
    try {
      found.push({ name, text, list: parseNetworkList(text) });
    } catch (error) {
      if (!(error instanceof NetworkListError)) throw error;
    }
  }
  return found;
}

/** The list without our plugin is what others wrote; ours alone is no network to join. */
const othersOf = (candidate: Candidate): readonly JsonObject[] => withoutPlugin(candidate.list).plugins;

/** The configuration to join: the named one, also after it has become a list, or the first. Raises {@link NoNetworkFileError}. */
async function choose(directory: string, wanted: string | undefined): Promise<Candidate> {
  const all = (await candidates(directory)).filter((candidate) => othersOf(candidate).length > 0);
  const names =
    wanted === undefined
      ? undefined
      : [wanted, wanted.replace(/\.conf$/, '.conflist'), wanted.replace(/\.conflist$/, '.conf')];
  const chosen =
    names === undefined ? all[0] : names.map((name) => all.find((item) => item.name === name)).find((item) => item);
  if (chosen === undefined)
    throw new NoNetworkFileError(
      wanted === undefined
        ? `no CNI configuration is in ${directory} yet: waiting for the network plugin of the cluster`
        : `${wanted} is not in ${directory} yet`,
    );
  return chosen;
}

const listName = (name: string): string => name.replace(/\.(conf|json)$/, '.conflist');

/**
 * Makes the plugin the last of the chain. A configuration of a single plugin becomes a list. Returns the file's name, and whether it had to be written.
 * Raises {@link NoNetworkFileError} and errors of the file system.
 */
export async function joinChain(
  directories: NetworkDirectories,
  plugin: JsonObject,
  wanted: string | undefined,
): Promise<{ readonly file: string; readonly changed: boolean }> {
  const chosen = await choose(directories.config, wanted);
  const file = listName(chosen.name);
  // A network that became the first one is joined, and the one before it left.
  for (const other of await candidates(directories.config))
    if (other.name !== chosen.name && other.name !== file && findPlugin(other.list) !== undefined)
      await leaveFile(directories, other);
  if (chosen.name === file && sameJson(findPlugin(chosen.list), plugin)) return { file, changed: false };
  if (findPlugin(chosen.list) === undefined) await remember(directories, chosen, file);
  const fields =
    chosen.list.fields.cniVersion === undefined ? { cniVersion: '0.3.1', ...chosen.list.fields } : chosen.list.fields;
  const mode = (await fs.stat(join(directories.config, chosen.name))).mode & 0o777;
  await writeAtomically(
    join(directories.config, file),
    formatNetworkList(withPlugin({ fields, plugins: chosen.list.plugins }, plugin)),
    mode,
  );
  if (chosen.name !== file) await fs.rm(join(directories.config, chosen.name), { force: true });
  return { file, changed: true };
}

/** Writes the plugin's own configuration, for networks that Multus attaches. Returns whether it had to be written. */
export async function writeOwnFile(
  directories: NetworkDirectories,
  plugin: JsonObject,
  wanted: string | undefined,
): Promise<{ readonly file: string; readonly changed: boolean }> {
  const file = wanted ?? OWN_FILE;
  const text = `${JSON.stringify({ cniVersion: '0.3.1', name: PLUGIN_TYPE, ...plugin }, null, 2)}\n`;
  return { file, changed: await writeAtomically(join(directories.config, file), text, 0o644) };
}

/** Takes the plugin out of every configuration; files get their text back as it was, unless others have changed them since. */
export async function leaveChain(directories: NetworkDirectories): Promise<readonly string[]> {
  const left: string[] = [];
  for (const candidate of await candidates(directories.config)) {
    if (findPlugin(candidate.list) === undefined) continue;
    await leaveFile(directories, candidate);
    left.push(candidate.name);
  }
  return left;
}

interface Memory {
  /** Name of the file that was there, which may have been a `.conf`. */
  readonly name: string;
  readonly text: string;
}

const memoryOf = (directories: NetworkDirectories, file: string): string =>
  join(directories.state, `before-${file}.json`);

async function remember(directories: NetworkDirectories, { name, text }: Candidate, file: string): Promise<void> {
  const memory: Memory = { name, text };
  await fs.mkdir(directories.state, { recursive: true });
  await writeAtomically(memoryOf(directories, file), JSON.stringify(memory), 0o600);
}

async function leaveFile(directories: NetworkDirectories, { name, list }: Candidate): Promise<void> {
  const path = join(directories.config, name);
  const rest = withoutPlugin(list);
  const memory = await recall(memoryOf(directories, name));
  await fs.rm(memoryOf(directories, name), { force: true });
  if (rest.plugins.length === 0) {
    await fs.rm(path, { force: true });
    return;
  }
  const mode = (await fs.stat(path)).mode & 0o777;
  const before = memory === undefined ? undefined : parseNetworkList(memory.text);
  const same =
    before !== undefined &&
    sameJson(rest.plugins, before.plugins) &&
    sameJson({ cniVersion: '0.3.1', ...before.fields }, { cniVersion: '0.3.1', ...rest.fields });
  if (memory === undefined || !same) {
    await writeAtomically(path, formatNetworkList(rest), mode);
    return;
  }
  await writeAtomically(join(directories.config, memory.name), memory.text, mode);
  if (memory.name !== name) await fs.rm(path, { force: true });
}

async function recall(path: string): Promise<Memory | undefined> {
  try {
    const memory: Memory = JSON.parse(await fs.readFile(path, 'utf8'));
    parseNetworkList(memory.text);
    return memory.name.includes('/') ? undefined : memory;
  } catch {
    // Missing or damaged: as if nothing had been remembered.
    return undefined;
  }
}
