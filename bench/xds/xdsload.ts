// The public load generator, built outside of the repository, where it and Go are there.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync } from 'node:fs';
import { join } from 'node:path';

const source = join(import.meta.dirname, '..', '..', '..', 'shared', 'bench', 'xdsload');

/** Builds it into a folder; says why not when it cannot. */
export function buildXdsload(
  directory: string,
): { readonly program: string } | { readonly program?: undefined; readonly reason: string } {
  if (!existsSync(source)) return { reason: `its sources are not in ${source}` };
  const copy = join(directory, 'xdsload');
  cpSync(source, copy, { recursive: true });
  for (const go of ['go', '/usr/local/go/bin/go']) {
    const { status, stderr, error } = spawnSync(go, ['build', '-buildvcs=false', '-o', 'xdsload', '.'], {
      cwd: copy,
      encoding: 'utf8',
    });
    if (error !== undefined) continue;
    return status === 0 ? { program: join(copy, 'xdsload') } : { reason: `it does not build: ${stderr.trim()}` };
  }
  return { reason: 'Go is not installed' };
}

export interface XdsloadRun {
  readonly port: number;
  readonly pid: number;
  readonly kubeconfig: string;
  readonly services: number;
  readonly namespaces: number;
  readonly endpoints: number;
  readonly proxies: number;
  readonly changes: readonly string[];
  readonly reps: number;
  readonly stateOfTheWorld: boolean;
}

/** Runs it; its tables go to the output. Throws when it fails. */
export function runXdsload(program: string, run: XdsloadRun): void {
  const { status, signal, error, stderr } = spawnSync(
    program,
    [
      'run',
      run.stateOfTheWorld ? '--sotw' : '--delta',
      `--addr=127.0.0.1:${run.port}`,
      `--kubeconfig=${run.kubeconfig}`,
      `--proxies=${run.proxies}`,
      `--services=${run.services}`,
      `--namespaces=${run.namespaces}`,
      `--endpoints=${run.endpoints}`,
      `--changes=${run.changes.join(',')}`,
      `--reps=${run.reps}`,
      `--pid=${run.pid}`,
    ],
    { stdio: ['ignore', 'inherit', 'pipe'], encoding: 'utf8' },
  );
  if (error) throw new Error(`${program}: ${error.message}`);
  if (status !== 0) throw new Error(`${program} ended with ${status ?? signal}: ${stderr.slice(-1000)}`);
}
