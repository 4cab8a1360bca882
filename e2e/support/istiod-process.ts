// istiod as a process of this machine, not in a pod.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ISTIOD_MALLOC, ISTIOD_NODE_FLAGS } from '@istio-ts/local/images/istiod-process';
import { freePorts } from './ports.ts';
import { until } from './shell.ts';

const root = join(import.meta.dirname, '..', '..');
export const builtIstiod = join(root, 'dist', 'bin', 'pilot-discovery.mjs');

export interface IstiodOptions {
  readonly kubeconfig: string;
  /** File that its output is written to. */
  readonly log: string;
  readonly program?: string;
  readonly nodeFlags?: readonly string[];
  /** More flags of `pilot-discovery discovery`. */
  readonly flags?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly readyTimeoutMs?: number;
}

export interface IstiodProcess {
  readonly pid: number;
  readonly ports: {
    /** ADS in plain text. */
    readonly grpc: number;
    readonly secureGrpc: number;
    readonly webhooks: number;
    readonly debug: number;
    readonly monitoring: number;
  };
  /** From the start of the process to its readiness. */
  readonly readyMs: number;
  output(): string;
  stop(graceMs?: number): Promise<void>;
}

/** Starts istiod on free ports of loopback and waits until it is ready; throws with the end of its output when that does not happen. */
export async function startIstiod(options: IstiodOptions): Promise<IstiodProcess> {
  const [grpc = 0, secureGrpc = 0, debug = 0, webhooks = 0, monitoring = 0, controlZ = 0] = await freePorts(6);
  const started = performance.now();
  const log = openSync(options.log, 'w');
  const child = spawn(
    process.execPath,
    [
      // As the image of istiod starts it.
      ...ISTIOD_NODE_FLAGS,
      ...(options.nodeFlags ?? []),
      options.program ?? builtIstiod,
      'discovery',
      `--kubeconfig=${options.kubeconfig}`,
      `--grpcAddr=127.0.0.1:${grpc}`,
      `--secureGRPCAddr=127.0.0.1:${secureGrpc}`,
      `--httpAddr=127.0.0.1:${debug}`,
      `--httpsAddr=127.0.0.1:${webhooks}`,
      `--monitoringAddr=127.0.0.1:${monitoring}`,
      `--ctrlz_port=${controlZ}`,
      ...(options.flags ?? []),
    ],
    {
      stdio: ['ignore', log, log],
      env: {
        ...process.env,
        ...ISTIOD_MALLOC,
        POD_NAMESPACE: 'istio-system',
        POD_NAME: 'istiod-process',
        ...options.env,
      },
    },
  );
  closeSync(log);
  const output = (): string => readFileSync(options.log, 'utf8');
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  const stop = async (graceMs = 5000): Promise<void> => {
    process.off('exit', kill);
    await ended(child, graceMs);
  };
  try {
    await until(
      'istiod to be ready',
      async () => {
        if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
        return (await fetch(`http://127.0.0.1:${debug}/ready`)).ok || undefined;
      },
      options.readyTimeoutMs ?? 120_000,
      10,
    );
  } catch (error) {
    await stop(0);
    throw new Error(`${(error as Error).message}\n${output().slice(-4000)}`);
  }
  return {
    pid: child.pid ?? 0,
    ports: { grpc, secureGrpc, webhooks, debug, monitoring },
    readyMs: performance.now() - started,
    output,
    stop,
  };
}

async function ended(child: ChildProcess, graceMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.once('exit', resolve));
  const late = setTimeout(() => child.kill('SIGKILL'), graceMs);
  child.kill('SIGTERM');
  await exit;
  clearTimeout(late);
}
