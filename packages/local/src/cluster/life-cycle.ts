import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { processStart } from '../node/container-process.ts';
import { cleanUp, clusterNamespaces, unmountBelow } from './cleanup.ts';
import { kubeconfigPath, mergeKubeconfig, removeFromKubeconfig } from './kubeconfig.ts';
import {
  type ClusterLayout,
  clusterLayout,
  DEFAULT_CLUSTER,
  distDirectory,
  findEnvoy,
  programFile,
  stateHome,
} from './layout.ts';
import type { ClusterPhase, ClusterSettings } from './messages.ts';
import { checkMachine, PreflightError } from './preflight.ts';
import { readJson, readProcessFile, removeFile } from './process-file.ts';

export interface UpOptions {
  /** Default `istio-local`; also the name of the context in the kubeconfig. */
  readonly name?: string;
  /** Port on 127.0.0.1 for the API server. Default: that of the last time, 6443, or a free one. */
  readonly apiPort?: number;
  /** Default: `ENVOY_BINARY`, `<home>/envoy/envoy`, or the one in the PATH. */
  readonly envoy?: string;
  /** Add the context to the user's kubeconfig and make it current. Default true. */
  readonly kubeconfig?: boolean;
  /** Milliseconds to wait until the cluster is ready. Default 60 000. */
  readonly timeout?: number;
}

export interface ClusterInfo {
  readonly name: string;
  /** Context in the kubeconfig. */
  readonly context: string;
  /** `https://127.0.0.1:PORT` */
  readonly server: string;
  /** The user's kubeconfig that has the context. */
  readonly kubeconfig: string;
  readonly stateDir: string;
  /** It ran before this call. */
  readonly alreadyRunning: boolean;
  readonly supervisorPid: number;
}

export type ClusterStatus =
  | { readonly state: 'absent' | 'stopped'; readonly name: string; readonly stateDir: string }
  | { readonly state: 'starting'; readonly name: string; readonly stateDir: string; readonly step: string }
  | {
      readonly state: 'running';
      readonly name: string;
      readonly stateDir: string;
      readonly server: string;
      readonly supervisorPid: number;
      readonly clusterPid: number | undefined;
    };

/** A cluster that did not come up; the message has the reason and the end of its log. */
export class ClusterStartError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ClusterStartError';
  }
}

/**
 * Starts the local cluster, or finds it running. Throws `PreflightError` (not root, missing programs, missing Envoy) or `ClusterStartError`.
 * `onProgress` hears each step.
 */
export async function upCluster(
  options: UpOptions = {},
  onProgress: (step: string) => void = () => {},
): Promise<ClusterInfo> {
  const name = options.name ?? DEFAULT_CLUSTER;
  const home = stateHome();
  const layout = clusterLayout(name, home);
  checkMachine({ platform: process.platform, uid: process.getuid?.() });
  const envoy = options.envoy ?? findEnvoy(process.env, home);
  if (envoy === undefined || !fs.existsSync(envoy)) {
    throw new PreflightError(
      `no Envoy was found${envoy === undefined ? '' : ` at ${envoy}`}. Put the binary into ${join(home, 'envoy', 'envoy')} or into the PATH, or name it in ENVOY_BINARY ("npm start" downloads it)`,
    );
  }
  const existing = readProcessFile(layout.supervisorPid);
  const settings: ClusterSettings = {
    name,
    home,
    apiPort: options.apiPort,
    dist: distDirectory(),
    envoy,
    nodeName: name,
  };
  const started = existing ?? (await startSupervisor(layout, settings));
  const { phase, supervisor } = await waitUntilReady(layout, started, options.timeout ?? 60_000, onProgress);
  const kubeconfig = options.kubeconfig === false ? layout.kubeconfig : mergeContext(layout, phase.server);
  return {
    name,
    context: name,
    server: phase.server,
    kubeconfig,
    stateDir: layout.root,
    alreadyRunning: existing !== undefined,
    supervisorPid: supervisor,
  };
}

async function startSupervisor(layout: ClusterLayout, settings: ClusterSettings): Promise<number> {
  fs.mkdirSync(layout.logs, { recursive: true });
  rotate(join(layout.logs, 'cluster.log'));
  rotate(join(layout.logs, 'supervisor.log'));
  const output = fs.openSync(join(layout.logs, 'supervisor.log'), 'a');
  const child = spawn(
    process.execPath,
    ['--max-semi-space-size=1', programFile('local-supervisor'), JSON.stringify(settings)],
    {
      stdio: ['ignore', output, output],
      detached: true,
      cwd: '/',
    },
  );
  fs.closeSync(output);
  const { pid } = child;
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
  child.unref();
  if (pid === undefined) throw new ClusterStartError('the supervisor process could not be started');
  return pid;
}

function rotate(file: string): void {
  if (fs.existsSync(file)) fs.renameSync(file, `${file}.1`);
}

async function waitUntilReady(
  layout: ClusterLayout,
  started: number,
  timeout: number,
  onProgress: (step: string) => void,
): Promise<{ readonly phase: Extract<ClusterPhase, { phase: 'ready' }>; readonly supervisor: number }> {
  const deadline = Date.now() + timeout;
  let shown = '';
  let supervisor = started;
  let start = processStart(supervisor);
  for (;;) {
    const phase = readPhase(layout, supervisor);
    if (phase?.phase === 'ready') return { phase, supervisor };
    if (phase?.phase === 'failed') throw new ClusterStartError(phase.message);
    if (phase?.phase === 'starting' && phase.step !== shown) {
      shown = phase.step;
      onProgress(shown);
    }
    if (start === undefined || processStart(supervisor) !== start) {
      // Somebody else may have started the cluster at the same moment, and been faster.
      const other = readProcessFile(layout.supervisorPid);
      if (other === undefined) throw new ClusterStartError(`the cluster ended while it started\n${logTail(layout)}`);
      supervisor = other;
      start = processStart(supervisor);
    }
    if (Date.now() > deadline) {
      throw new ClusterStartError(
        `the cluster was not ready after ${Math.round(timeout / 1000)} s (step: ${shown || 'start'})\n${logTail(layout)}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** What the supervisor of this process id last said. */
function readPhase(layout: ClusterLayout, supervisor: number): ClusterPhase | undefined {
  const value = readJson(layout.phase);
  if (typeof value !== 'object' || value === null || !('phase' in value)) return undefined;
  // Supervisors of earlier builds do not say who they are.
  if ('supervisor' in value && value.supervisor !== supervisor) return undefined;
  return value as ClusterPhase;
}

function logTail(layout: ClusterLayout): string {
  const parts: string[] = [];
  for (const component of ['supervisor', 'cluster']) {
    const file = join(layout.logs, `${component}.log`);
    if (!fs.existsSync(file)) continue;
    const lines = fs.readFileSync(file, 'utf8').trimEnd().split('\n').slice(-15);
    if (lines.join('') !== '') parts.push(`--- end of ${file}:`, ...lines);
  }
  return parts.join('\n');
}

function mergeContext(layout: ClusterLayout, server: string): string {
  const config = readJson(layout.kubeconfig);
  const text = (path: readonly (string | number)[]): string => {
    let value: unknown = config;
    for (const step of path) {
      value = typeof value === 'object' && value !== null ? Reflect.get(value, step) : undefined;
    }
    return Buffer.from(typeof value === 'string' ? value : '', 'base64').toString();
  };
  return mergeKubeconfig({
    name: layout.name,
    server,
    caCertificate: text(['clusters', 0, 'cluster', 'certificate-authority-data']),
    clientCertificate: text(['users', 0, 'user', 'client-certificate-data']),
    clientKey: text(['users', 0, 'user', 'client-key-data']),
  });
}

/** Stops the cluster and all its pods. The state stays for the next `up`, unless `wipe` is set. Not an error when it does not run. */
export async function downCluster(
  name: string = DEFAULT_CLUSTER,
  options: { readonly wipe?: boolean } = {},
): Promise<void> {
  const layout = clusterLayout(name);
  const supervisor = readProcessFile(layout.supervisorPid);
  const remains = supervisor !== undefined || fs.existsSync(layout.run) || clusterNamespaces(name).length > 0;
  if (remains) {
    checkMachine({ platform: process.platform, uid: process.getuid?.() });
    if (supervisor !== undefined) await endProcess(supervisor, layout);
    await cleanUp(layout);
    removeFile(layout.supervisorPid);
    removeFile(layout.phase);
  }
  if (options.wipe === true) {
    removeFromKubeconfig(name);
    await unmountBelow(layout.root);
    fs.rmSync(layout.root, { recursive: true, force: true });
  }
}

async function endProcess(pid: number, layout: ClusterLayout): Promise<void> {
  process.kill(pid, 'SIGTERM');
  const deadline = Date.now() + 30_000;
  while (readProcessFile(layout.supervisorPid) === pid) {
    if (Date.now() > deadline) {
      process.kill(pid, 'SIGKILL');
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** How a cluster is. */
export function clusterStatus(name: string = DEFAULT_CLUSTER): ClusterStatus {
  const layout = clusterLayout(name);
  const common = { name, stateDir: layout.root };
  if (!fs.existsSync(layout.root)) return { state: 'absent', ...common };
  const supervisorPid = readProcessFile(layout.supervisorPid);
  if (supervisorPid === undefined) return { state: 'stopped', ...common };
  const phase = readPhase(layout, supervisorPid);
  if (phase?.phase !== 'ready') {
    return { state: 'starting', ...common, step: phase?.phase === 'starting' ? phase.step : 'start' };
  }
  return {
    state: 'running',
    ...common,
    server: phase.server,
    supervisorPid,
    clusterPid: readProcessFile(layout.clusterPid),
  };
}

export type ClusterComponent = 'cluster' | 'supervisor';

/**
 * The log of one of the cluster's own processes, in pieces; with `follow` it goes on until the caller stops iterating. Throws an Error when there
 * is none.
 */
export async function* clusterLogs(
  name: string = DEFAULT_CLUSTER,
  component: ClusterComponent = 'cluster',
  options: { readonly follow?: boolean } = {},
): AsyncGenerator<string> {
  const layout = clusterLayout(name);
  const file = join(layout.logs, `${component}.log`);
  if (!fs.existsSync(file)) throw new Error(`cluster ${name} has no log of its ${component} (${file})`);
  let position = 0;
  for (;;) {
    const size = fs.statSync(file).size;
    if (size < position) position = 0;
    if (size > position) {
      const descriptor = fs.openSync(file, 'r');
      try {
        const buffer = Buffer.alloc(Math.min(size - position, 256 * 1024));
        const count = fs.readSync(descriptor, buffer, 0, buffer.length, position);
        position += count;
        yield buffer.toString('utf8', 0, count);
        continue;
      } finally {
        fs.closeSync(descriptor);
      }
    }
    if (options.follow !== true) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

export { kubeconfigPath };
