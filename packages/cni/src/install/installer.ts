import { type FSWatcher, watch } from 'node:fs';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '@istio-ts/agent/log';
import { formatKubeconfig } from '../config/kubeconfig-file.ts';
import { pluginEntry } from '../config/plugin-settings.ts';
import { joinChain, leaveChain, NoNetworkFileError, writeOwnFile } from './network-files.ts';
import { installPrograms, type ProgramSources, removePrograms, writeAtomically } from './programs.ts';
import type { InstallSettings } from './settings.ts';

/** How the node stands. */
export type InstallState =
  | { readonly kind: 'installed'; readonly file: string }
  /** The cluster's own network plugin has not written its configuration yet. */
  | { readonly kind: 'waiting'; readonly message: string }
  | { readonly kind: 'failed'; readonly message: string };

/** Keeps the plugin installed on this node. */
export interface Installer {
  readonly state: () => InstallState;
  /** Ends the watching; the plugin stays. */
  stop(): Promise<void>;
  /** Ends the watching and takes everything away again. */
  uninstall(): Promise<void>;
}

export interface InstallerParts {
  readonly settings: InstallSettings;
  readonly sources: ProgramSources;
  readonly log: Logger;
  /** Hears of every attempt that had something to do, or failed. */
  readonly onInstall: (state: InstallState) => void;
}

/** Milliseconds that changes are collected, and after which everything is looked at again without one. */
const SETTLE = 50;
const RECHECK = 15_000;

/** Brings the node into the state that the settings ask for, once. Raises what goes wrong. */
export async function installOnce(
  settings: InstallSettings,
  sources: ProgramSources,
): Promise<{ readonly file: string; readonly changed: readonly string[] }> {
  const changed: string[] = [];
  // In this order a plugin is never named in the configuration without being able to work.
  for (const name of await installPrograms(sources, settings.binDir)) changed.push(`${settings.plugin.binDir}/${name}`);
  if (await writeKubeconfig(settings)) changed.push(settings.plugin.kubeconfig);
  const directories = { config: settings.configDir, state: settings.runDir };
  const entry = pluginEntry(settings.plugin);
  const joined = settings.chained
    ? await joinChain(directories, entry, settings.configFile)
    : await writeOwnFile(directories, entry, settings.configFile);
  if (joined.changed) changed.push(joined.file);
  return { file: joined.file, changed };
}

async function writeKubeconfig(settings: InstallSettings): Promise<boolean> {
  const { api, serviceAccountDir } = settings;
  if (api.host === '') throw new Error('KUBERNETES_SERVICE_HOST is not set: install-cni runs in a pod of the cluster');
  const token = (await fs.readFile(join(serviceAccountDir, 'token'), 'utf8')).trim();
  const ca = settings.skipTlsVerify
    ? undefined
    : await fs.readFile(settings.caFile ?? join(serviceAccountDir, 'ca.crt'), 'utf8');
  return writeAtomically(
    join(settings.configDir, settings.kubeconfigName),
    formatKubeconfig({ ...api, token, ca }),
    settings.kubeconfigMode,
  );
}

/** Takes the plugin off the node: first out of the chain, so that no pod asks for a program that is gone. */
export async function uninstallOnce(settings: InstallSettings): Promise<readonly string[]> {
  const left = await leaveChain({ config: settings.configDir, state: settings.runDir });
  await fs.rm(join(settings.configDir, settings.kubeconfigName), { force: true });
  await removePrograms(settings.binDir);
  return left;
}

/** Installs now, and again whenever something of it is changed by others: the chain, the programs, the token of the service account. */
export function startInstaller({ settings, sources, log, onInstall }: InstallerParts): Installer {
  let state: InstallState = { kind: 'waiting', message: 'not installed yet' };
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();
  let stopped = false;
  const watchers = new Map<string, FSWatcher>();

  const follow = (directory: string): void => {
    if (watchers.has(directory)) return;
    try {
      const watcher = watch(directory, () => schedule(SETTLE));
      watcher.on('error', () => {
        watchers.delete(directory);
        watcher.close();
      });
      watchers.set(directory, watcher);
    } catch {
      // The folder is not there; the next look tries again.
    }
  };
  const schedule = (delay: number): void => {
    if (stopped) return;
    clearTimeout(timer);
    timer = setTimeout(() => {
      timer = undefined;
      running = running.then(look);
    }, delay);
  };
  const look = async (): Promise<void> => {
    if (stopped) return;
    for (const directory of [settings.configDir, settings.binDir, settings.serviceAccountDir]) follow(directory);
    const before = state;
    try {
      const { file, changed } = await installOnce(settings, sources);
      state = { kind: 'installed', file };
      if (changed.length > 0 || before.kind !== 'installed') {
        log.info(before.kind === 'installed' ? 'installed again' : 'installed', {
          configuration: file,
          written: changed.join(',') || 'nothing',
        });
        onInstall(state);
      }
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      state = { kind: error instanceof NoNetworkFileError ? 'waiting' : 'failed', message };
      if (before.kind !== state.kind || ('message' in before && before.message !== message)) {
        log[state.kind === 'waiting' ? 'info' : 'error'](message);
        onInstall(state);
      }
    }
    // What changed meanwhile is looked at soon; after a failure not too soon, for the attempt itself may have changed files.
    if (state.kind === 'failed') schedule(1000);
    else if (timer === undefined) schedule(RECHECK);
  };
  const stop = async (): Promise<void> => {
    stopped = true;
    clearTimeout(timer);
    for (const watcher of watchers.values()) watcher.close();
    await running;
  };
  running = look();
  return {
    state: () => state,
    stop,
    async uninstall() {
      await stop();
      state = { kind: 'waiting', message: 'uninstalled' };
      const left = await uninstallOnce(settings);
      log.info('uninstalled', { configuration: left.join(',') || 'none' });
    },
  };
}
