import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  clusterLogs,
  clusterStatus,
  ClusterStartError,
  distDirectory,
  downCluster,
  findEnvoy,
  PreflightError,
  upCluster,
} from '@istio-ts/local';
import { CliError } from '../cli/failure.ts';
import { structured } from '../cli/output.ts';
import type { Session } from '../cli/session.ts';
import { isSingleExecutable } from '../single-executable.ts';

export interface LocalFlags {
  readonly name: string;
  readonly wipe?: boolean;
  readonly follow?: boolean;
  readonly output?: string;
  readonly apiPort?: string;
}

const tick = (session: Session) => (session.colours ? '\x1b[32m✓\x1b[0m' : '✓');

/** Turns the failures of the local cluster, whose messages are for users, into those of istioctl. */
async function forUsers<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof PreflightError || error instanceof ClusterStartError) throw new CliError(error.message);
    throw error;
  }
}

/** Brings what the local cluster needs and the machine lacks. Raises CliError. */
function prepareMachine(session: Session): void {
  if (isSingleExecutable())
    throw new CliError(
      "the local cluster consists of more programs than this one file: get them with 'npm install -g' of the release's npm package, or from a checkout with 'npm start'",
    );
  const script = join(distDirectory(), '..', 'scripts', 'prepare.mjs');
  if (findEnvoy() !== undefined || !existsSync(script)) return;
  session.out(' installing what is missing\n');
  const { status } = spawnSync(process.execPath, [script, '--quiet'], { stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) throw new CliError('the local cluster cannot be started: something that it needs is missing');
}

/** `istioctl local up`: starts the local cluster, or says that it runs. */
export async function runLocalUp(session: Session, flags: LocalFlags): Promise<number> {
  prepareMachine(session);
  const started = performance.now();
  let step: string | undefined;
  const finished = () => {
    if (step !== undefined) session.out(` ${tick(session)} ${step}\n`);
  };
  const info = await forUsers(
    upCluster({ name: flags.name, ...(flags.apiPort !== undefined && { apiPort: Number(flags.apiPort) }) }, (next) => {
      finished();
      step = next;
    }),
  );
  if (info.alreadyRunning) {
    session.out(`The local cluster ${info.name} is running at ${info.server} (context ${info.context}).\n`);
    return 0;
  }
  finished();
  session.out(
    ` ${tick(session)} local cluster ${info.name} is up at ${info.server} (${((performance.now() - started) / 1000).toFixed(1)}s), context ${info.context}\n`,
  );
  return 0;
}

/** `istioctl local down [--wipe]`. */
export async function runLocalDown(session: Session, flags: LocalFlags): Promise<number> {
  const absent = clusterStatus(flags.name).state === 'absent';
  // Also of a cluster that is not there something may remain: a network, mounts, a context in the kubeconfig.
  await forUsers(downCluster(flags.name, { wipe: flags.wipe === true }));
  if (absent) {
    session.out(`There is no local cluster ${flags.name}.\n`);
    return 0;
  }
  session.out(
    flags.wipe
      ? `The local cluster ${flags.name} is gone, with its state.\n`
      : `The local cluster ${flags.name} is down; its state stays (istioctl local up brings it back).\n`,
  );
  return 0;
}

/** `istioctl local status`: ends with 3 when it does not run. */
export async function runLocalStatus(session: Session, flags: LocalFlags): Promise<number> {
  const status = clusterStatus(flags.name);
  if (flags.output === 'json' || flags.output === 'yaml') session.out(structured(status, flags.output));
  else if (status.state === 'running')
    session.out(
      `The local cluster ${status.name} is running at ${status.server} (supervisor ${status.supervisorPid}, cluster ${status.clusterPid ?? 'restarting'}).\n`,
    );
  else if (status.state === 'starting') session.out(`The local cluster ${status.name} is starting: ${status.step}\n`);
  else
    session.out(
      `The local cluster ${status.name} is ${status.state === 'absent' ? 'not there: start it with istioctl local up' : 'stopped: istioctl local up brings it back'}.\n`,
    );
  return status.state === 'running' ? 0 : 3;
}

/** `istioctl local logs [cluster|supervisor] [-f]`. */
export async function runLocalLogs(session: Session, flags: LocalFlags, component?: string): Promise<number> {
  if (component !== undefined && component !== 'cluster' && component !== 'supervisor')
    throw new CliError(`"${component}" is no part of the local cluster: use cluster or supervisor`);
  for await (const chunk of clusterLogs(flags.name, component ?? 'cluster', { follow: flags.follow === true }))
    session.out(chunk);
  return 0;
}
