import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';

/** How Envoy ended. */
export interface EnvoyExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Thrown when Envoy cannot be started at all. */
export class EnvoyStartError extends Error {
  constructor(binary: string, reason: string) {
    super(
      `Envoy cannot be started from ${binary}: ${reason}. Set ENVOY_BINARY or ProxyConfig.binaryPath to where it is.`,
    );
    this.name = 'EnvoyStartError';
  }
}

/** A running Envoy. Its output goes to the agent's. */
export interface EnvoyProcess {
  readonly pid: number;
  readonly exited: Promise<EnvoyExit>;
  /** SIGTERM, then SIGKILL when it has not ended after `graceMs`. */
  stop(graceMs: number): Promise<EnvoyExit>;
}

/** Resolves when the process runs. Raises {@link EnvoyStartError}. */
export function startEnvoy(binary: string, args: readonly string[]): Promise<EnvoyProcess> {
  const child: ChildProcess = spawn(binary, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  const exited = new Promise<EnvoyExit>((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(new EnvoyStartError(binary, error.message)));
    child.once('spawn', () => {
      resolve({
        pid: child.pid ?? 0,
        exited,
        async stop(graceMs) {
          child.kill('SIGTERM');
          const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
          const exit = await exited;
          clearTimeout(timer);
          return exit;
        },
      });
    });
  });
}
