import { spawn } from 'node:child_process';
import * as fs from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { shellQuote } from '../network/command.ts';
import { type HostDirectories, nodeDirectories } from './volumes.ts';

/** Type of the plugin that this node implements itself: address, cable and routes of the pod. */
export const BUILT_IN_PLUGIN = 'istio-local';

export interface CniCall {
  readonly containerId: string;
  readonly netns: string;
  readonly podNamespace: string;
  readonly podName: string;
  readonly podUid: string;
  readonly address: string;
  readonly gateway: string;
}

/** Runs the node's chain of CNI plugins for one pod; the built-in first plugin has done its part already. */
export interface CniChain {
  /** Throws an Error with the plugin's own message. */
  add(call: CniCall): Promise<void>;
  /** In reverse order; failures are only reported. */
  remove(call: CniCall): Promise<void>;
}

interface Plugin {
  readonly type: string;
  readonly [key: string]: unknown;
}

interface NetworkList {
  readonly cniVersion: string;
  readonly name: string;
  readonly plugins: readonly Plugin[];
}

const PLUGIN_TIMEOUT = 30_000;
const OUTPUT_LIMIT = 1024 * 1024;

/** Writes the configuration that other plugins chain themselves to, unless there is one. */
export async function ensureCniConfig(directories: HostDirectories): Promise<void> {
  await fs.mkdir(directories.cniConfig, { recursive: true });
  await fs.mkdir(directories.cniBin, { recursive: true });
  for (const [name, own] of nodeDirectories(directories)) {
    await fs.mkdir(own, { recursive: true });
    // The place of a mount for each, in stand-ins of the machine's folders that lack it.
    await fs.mkdir(join(placesOf(directories), name), { recursive: true });
  }
  const existing = (await fs.readdir(directories.cniConfig)).filter((name) => /\.(conflist|conf)$/.test(name));
  if (existing.length > 0) return;
  const list: NetworkList = { cniVersion: '1.0.0', name: 'istio-local', plugins: [{ type: BUILT_IN_PLUGIN }] };
  await fs.writeFile(join(directories.cniConfig, '10-istio-local.conflist'), `${JSON.stringify(list, null, 2)}\n`);
}

/** The chain is read anew for every pod, as installers change it while the node runs (CNI specification, "Network configuration format"). */
export function createCniChain(directories: HostDirectories, log: (line: string) => void): CniChain {
  const load = async (): Promise<NetworkList | undefined> => {
    const names = (await fs.readdir(directories.cniConfig).catch(() => []))
      .filter((name) => /\.(conflist|conf)$/.test(name))
      .sort();
    const first = names[0];
    if (first === undefined) return undefined;
    const parsed: unknown = JSON.parse(await fs.readFile(join(directories.cniConfig, first), 'utf8'));
    if (typeof parsed !== 'object' || parsed === null) return undefined;
    const fields: Record<string, unknown> = { ...parsed };
    const plugins = Array.isArray(fields.plugins) ? fields.plugins : [fields];
    return {
      cniVersion: typeof fields.cniVersion === 'string' ? fields.cniVersion : '0.3.1',
      name: typeof fields.name === 'string' ? fields.name : 'istio-local',
      plugins: plugins.filter((plugin): plugin is Plugin => typeof plugin?.type === 'string'),
    };
  };
  const call = (command: 'ADD' | 'DEL', list: NetworkList, plugin: Plugin, pod: CniCall, previous: unknown) =>
    runPlugin(`/opt/cni/bin/${plugin.type}`, command, directories, pod, {
      ...plugin,
      cniVersion: list.cniVersion,
      name: list.name,
      prevResult: previous,
    });
  return {
    async add(pod) {
      const list = await load();
      if (list === undefined) return;
      let result: unknown = builtInResult(list.cniVersion, pod);
      for (const plugin of list.plugins) {
        if (plugin.type === BUILT_IN_PLUGIN) continue;
        const answer = await call('ADD', list, plugin, pod, result);
        if (answer !== undefined) result = answer;
      }
    },
    async remove(pod) {
      const list = await load().catch(() => undefined);
      if (list === undefined) return;
      for (const plugin of [...list.plugins].reverse()) {
        if (plugin.type === BUILT_IN_PLUGIN) continue;
        await call('DEL', list, plugin, pod, builtInResult(list.cniVersion, pod)).catch((error: Error) =>
          log(`CNI plugin ${plugin.type} DEL for ${pod.podNamespace}/${pod.podName}: ${error.message}`),
        );
      }
    },
  };
}

function builtInResult(cniVersion: string, { address, gateway, netns }: CniCall): unknown {
  return {
    cniVersion,
    interfaces: [{ name: 'eth0', sandbox: netns }],
    ips: [{ address: `${address}/32`, gateway, interface: 0, version: '4' }],
    routes: [{ dst: '0.0.0.0/0', gw: gateway }],
    dns: {},
  };
}

function placesOf(directories: HostDirectories): string {
  return join(dirname(directories.cniConfig), 'places');
}

/**
 * Shell script for a mount namespace of its own, in which the folders of a Kubernetes node are this cluster's and not the machine's: plugins and
 * their configuration name files by these paths. Where the machine has no such folder, a read-only layer over its parent shows one.
 */
function nodeView(directories: HostDirectories): string {
  const shown = nodeDirectories(directories).filter(([name]) => !name.startsWith('/var/'));
  const lines = shown.map(([name, own]) => {
    const top = `/${name.split('/')[1] ?? ''}`;
    const cover = `mount -t overlay -o ${shellQuote(`ro,lowerdir=${placesOf(directories)}${top}:${top}`)} overlay ${top}`;
    // Other mounts below /run would be hidden by a layer over it, and it holds nothing but sockets and locks: there the folder is made.
    const make = top === '/run' ? `mkdir -p ${name}` : cover;
    return `[ -d ${name} ] || ${make}\nmount --bind ${shellQuote(own)} ${name}`;
  });
  return `${lines.join('\n')}\nexec "$0"`;
}

function runPlugin(
  program: string,
  command: string,
  directories: HostDirectories,
  pod: CniCall,
  config: unknown,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const child = spawn('unshare', ['--mount', '--propagation', 'slave', 'sh', '-ec', nodeView(directories), program], {
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: PLUGIN_TIMEOUT,
      env: {
        ...process.env,
        CNI_COMMAND: command,
        CNI_CONTAINERID: pod.containerId,
        CNI_NETNS: pod.netns,
        CNI_IFNAME: 'eth0',
        CNI_PATH: '/opt/cni/bin',
        CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=${pod.podNamespace};K8S_POD_NAME=${pod.podName};K8S_POD_INFRA_CONTAINER_ID=${pod.containerId};K8S_POD_UID=${pod.podUid}`,
      },
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (stdout.length < OUTPUT_LIMIT) stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (stderr.length < OUTPUT_LIMIT) stderr += text;
    });
    child.on('error', (error) => reject(new Error(`CNI plugin ${program}: ${error.message}`)));
    child.stdin.on('error', () => {});
    child.stdin.end(JSON.stringify(config));
    child.on('close', (code) => {
      let answer: unknown;
      try {
        answer = stdout.trim() === '' ? undefined : JSON.parse(stdout);
      } catch {
        // Plugins that fail may print other things; the exit code decides.
        answer = undefined;
      }
      if (code === 0) resolve(answer);
      else {
        const message = typeof answer === 'object' && answer !== null && 'msg' in answer ? String(answer.msg) : '';
        reject(new Error(`CNI plugin ${program} ${command}: ${message || stderr.trim() || `exit code ${code}`}`));
      }
    });
  });
}
