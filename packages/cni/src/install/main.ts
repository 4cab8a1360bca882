import { existsSync } from 'node:fs';
import * as fs from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isSea } from 'node:sea';
import { fileURLToPath } from 'node:url';
import { createLogger, type Logger } from '@istio-ts/agent/log';
import { VERSION } from '@istio-ts/api/version';
import { type ClosableKubeClient, createKubeClient } from '@istio-ts/kube/kube-client';
import { loadKubeConfig } from '@istio-ts/kube/kubeconfig';
import { MetricsRegistry } from '@istio-ts/metrics';
import { AGENT_SOCKET } from '../plugin/agent-link.ts';
import type { Pod } from '../plugin/pod.ts';
import { localRuleWriter } from '../plugin/rule-writer.ts';
import { findPodNamespace } from '../repair/pod-namespace.ts';
import { startRepair } from '../repair/repair.ts';
import { serveHttp } from './http-servers.ts';
import { startInstaller } from './installer.ts';
import { createCniMetrics } from './metrics.ts';
import { nodeHasShell } from './node-shell.ts';
import { reachNamespace } from './reach-namespace.ts';
import { servePlugin } from './plugin-server.ts';
import { DAEMON_SET_NAME, isBeingRemoved, ownDaemonSet } from './removal.ts';
import { INSTALL_FLAGS, type InstallSettings, readInstallSettings } from './settings.ts';

const PODS = { group: '', version: 'v1', resource: 'pods', kind: 'Pod', namespaced: true } as const;

function help(): string {
  const rows = Object.entries(INSTALL_FLAGS).map(
    ([name, flag]) => `  --${name.padEnd(42)} ${flag.help}${flag.default === '' ? '' : ` (default ${flag.default})`}`,
  );
  return `Installs the CNI plugin on the node whose folders are mounted, keeps it there, and takes it away when it is removed from the cluster.

Usage:
  install-cni [flags]

Each flag is also a variable: --cni-net-dir is CNI_NET_DIR.

Flags:
${rows.join('\n')}
`;
}

/** Runs `install-cni` until a signal ends it; gives the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  if (argv.some((word) => word === '--help' || word === '-h')) {
    process.stdout.write(help());
    return 0;
  }
  if (argv[0] === 'version') {
    process.stdout.write(`${VERSION}\n`);
    return 0;
  }
  let settings: InstallSettings;
  try {
    settings = readInstallSettings(argv, process.env);
  } catch (error) {
    process.stderr.write(`Error: ${(error as Error).message}\n`);
    return 1;
  }
  const log = createLogger({
    levels: settings.logLevels,
    json: settings.logAsJson,
    write: (line) => process.stdout.write(line),
  });
  return run(settings, log);
}

/** The bundle of the plugin, beside the one of this program. */
function pluginBundle(): string {
  const path = join(dirname(fileURLToPath(import.meta.url)), 'istio-cni.mjs');
  if (!existsSync(path)) throw new Error(`${path} is missing: run install-cni from the built programs`);
  return path;
}

async function run(settings: InstallSettings, log: Logger): Promise<number> {
  log.info(`install-cni ${VERSION}`, {
    node: settings.repair.nodeName,
    excludeNamespaces: settings.plugin.excludeNamespaces.join(',') || 'none',
    configDir: settings.configDir,
  });
  if (settings.ambient)
    log.warn('AMBIENT_ENABLED: pods without sidecars are not served by this version; only sidecars get their rules');
  const metrics = new MetricsRegistry();
  const { ready, installs, requests, repairs } = createCniMetrics(metrics);

  const client: ClosableKubeClient = createKubeClient(loadKubeConfig({ env: process.env, preferInCluster: true }), {
    userAgent: 'istio-cni',
    timeoutMs: 10_000,
    dropManagedFields: true,
  });
  const daemonSet = ownDaemonSet(client, settings.podNamespace, settings.podName).catch(() => DAEMON_SET_NAME);

  const folders = { proc: settings.hostProc, netns: settings.hostNetns };
  const rules = localRuleWriter(settings.plugin.backend);

  // The plugin is answered before it is named in the chain.
  await servePlugin(settings.runDir, {
    getPod: (namespace, name) => client.get<Pod>(PODS, name, namespace),
    rules,
    reach: (netns) => reachNamespace(netns, folders),
    log,
    onResult: (code) => requests.add({ response_code: String(code) }),
  });
  const installer = startInstaller({
    settings,
    sources: {
      // In the image this program is one executable, and the plugin is the same one.
      executable: isSea() ? process.execPath : undefined,
      shell: isSea() && nodeHasShell(settings.hostProc),
      bundle: isSea() ? '' : pluginBundle(),
      runtime: settings.nodeRuntime === undefined ? process.execPath : undefined,
      nodeRuntime: settings.nodeRuntime,
    },
    log,
    onInstall: (state) => {
      ready.set(state.kind === 'installed' ? 1 : 0);
      if (state.kind !== 'waiting') installs.add({ result: state.kind === 'installed' ? 'SUCCESS' : state.step });
    },
  });
  const repair = startRepair({
    settings: settings.repair,
    excludedNamespaces: settings.plugin.excludeNamespaces,
    client,
    rules,
    namespaceOf: (pod) => findPodNamespace(pod, folders),
    log,
    onRepair: (type, result) => repairs.add({ type, result }),
    now: () => new Date(),
  });
  await serveHttp(settings.readinessPort, (path) => {
    if (path === '/healthz') return { status: 200, text: 'ok\n' };
    if (path !== '/readyz') return undefined;
    const state = installer.state();
    return state.kind === 'installed' ? { status: 200, text: 'ok\n' } : { status: 503, text: `${state.message}\n` };
  });
  await serveHttp(settings.monitoringPort, (path) =>
    path === '/metrics' ? { status: 200, text: metrics.text() } : undefined,
  );

  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => resolve(signal));
  const signal = await promise;
  ready.set(0);
  repair.close();
  if (await isBeingRemoved(client, settings.podNamespace, await daemonSet)) {
    log.info(`${signal}: the DaemonSet is gone or going`);
    await installer.uninstall();
    for (const name of [AGENT_SOCKET, 'xtables.lock']) await fs.rm(join(settings.runDir, name), { force: true });
  } else {
    log.info(`${signal}: the plugin stays for the next agent of this node`);
    await installer.stop();
  }
  client.close();
  return 0;
}
