import { type FSWatcher, watch } from 'node:fs';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '@istio-ts/agent/log';
import { formatKubeconfig } from '../config/kubeconfig-file.ts';
import { pluginEntry } from '../config/plugin-settings.ts';
import { FileChangedError, removeUnfinished, writeAtomically } from './atomic-file.ts';
import { joinChain, leaveChain, NoNetworkFileError, writeOwnFile } from './network-files.ts';
import { installPrograms, type ProgramSources, removePrograms } from './programs.ts';
import type { InstallSettings } from './settings.ts';

/** How the node stands. */
export type InstallState =
  | { readonly kind: 'installed'; readonly file: string }
  /** The cluster's own network plugin has not written its configuration yet. */
  | { readonly kind: 'waiting'; readonly message: string }
  | { readonly kind: 'failed'; readonly message: string; readonly step: FailedStep };

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

/** Steps of an installation, by the result that Istio's metric `istio_cni_installs_total` has when one fails. */
export type FailedStep = 'COPY_BINARIES_FAILURE' | 'CREATE_KUBECONFIG_FAILURE' | 'CREATE_CNI_CONFIG_FAILURE';

/** Why an installation failed, and at which step. */
export class InstallError extends Error {
  readonly step: FailedStep;
  constructor(step: FailedStep, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.name = 'InstallError';
    this.step = step;
  }
}

async function attempt<Result>(step: FailedStep, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof NoNetworkFileError || error instanceof FileChangedError) throw error;
    throw new InstallError(step, error);
  }
}

/**
 * Brings the node into the state that the settings ask for, once. Raises {@link NoNetworkFileError} while there is no network to join,
 * {@link FileChangedError} when others wrote at the same moment, and {@link InstallError}.
 */
export async function installOnce(
  settings: InstallSettings,
  sources: ProgramSources,
): Promise<{ readonly file: string; readonly changed: readonly string[] }> {
  const changed: string[] = [];
  const { binDir, kubeconfig } = settings.plugin;
  // In this order a plugin is never named in the configuration without being able to work.
  const programs = () => installPrograms(sources, settings.binDir);
  for (const name of await attempt('COPY_BINARIES_FAILURE', programs)) changed.push(`${binDir}/${name}`);
  if (await attempt('CREATE_KUBECONFIG_FAILURE', () => writeKubeconfig(settings))) changed.push(kubeconfig);
  const entry = pluginEntry(settings.plugin);
  const joined = await attempt('CREATE_CNI_CONFIG_FAILURE', () =>
    settings.chained
      ? joinChain(settings.configDir, entry, settings.configFile)
      : writeOwnFile(settings.configDir, entry, settings.configFile),
  );
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
  const left = await leaveWhile(settings.configDir, 5);
  const kubeconfig = join(settings.configDir, settings.kubeconfigName);
  await fs.rm(kubeconfig, { force: true });
  await removeUnfinished(kubeconfig);
  await removePrograms(settings.binDir);
  return left;
}

/** Others may write a configuration at the same moment: then it is read again. */
async function leaveWhile(directory: string, attempts: number): Promise<readonly string[]> {
  try {
    return await leaveChain(directory);
  } catch (error) {
    if (!(error instanceof FileChangedError) || attempts <= 1) throw error;
    return leaveWhile(directory, attempts - 1);
  }
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
      if (error instanceof FileChangedError) {
        schedule(SETTLE);
        return;
      }
      const message = error instanceof Error ? error.message : String(error);
      const step = error instanceof InstallError ? error.step : 'CREATE_CNI_CONFIG_FAILURE';
      state = error instanceof NoNetworkFileError ? { kind: 'waiting', message } : { kind: 'failed', message, step };
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
