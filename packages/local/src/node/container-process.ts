import { type ChildProcess, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { Socket } from 'node:net';
import { constants } from 'node:os';
import { join } from 'node:path';
import { type ContainerPlan, fstab, innerScript, outerScript } from './container-script.ts';
import type { FifoPool } from './fifo-pool.ts';
import { type LogPump, startLogPump } from './container-log.ts';

export interface ExitInfo {
  readonly exitCode: number;
  /** Signal number when it ended by one. */
  readonly signal: number | undefined;
  /** Why it never started; undefined when the program ran. */
  readonly setupFailure: string | undefined;
  readonly finishedAt: Date;
}

/** A started container. */
export interface ContainerProcess {
  /** Process id of the container's first process, as the host counts. */
  readonly pid: number;
  readonly startedAt: Date;
  readonly directory: string;
  readonly env: Readonly<Record<string, string>>;
  readonly plan: ContainerPlan;
  readonly logs: LogPump;
  /** The write end of its standard input, for containers with `stdin: true`. */
  readonly stdin: Socket | undefined;
  readonly exited: Promise<ExitInfo>;
  /** Sends a signal to the first process; false when there is none any more. */
  signal(name: NodeJS.Signals): boolean;
  /** Whether the first process has a handler for the signal; without one it never notices it. */
  handles(name: NodeJS.Signals): boolean;
  /** Stops watching; the container runs on. */
  release(): void;
}

const HOST_ENV = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8' };

interface Meta {
  readonly plan: ContainerPlan;
  readonly startedAt: string;
  readonly logFile: string;
  /** Start time of `pid` in clock ticks since boot, against process ids that were given out again. */
  readonly processStart: string;
  readonly pid: number;
}

/**
 * Starts a container. Resolves when its program is about to run; rejects with an Error whose message is for the pod's status when it cannot be
 * put together (`SetupError`).
 */
export async function startContainer(
  plan: ContainerPlan,
  logFile: string,
  fifos: FifoPool,
  options: { readonly stdin: boolean; readonly onError: (error: Error) => void },
): Promise<ContainerProcess> {
  const { directory } = plan;
  for (const name of ['root', 'upper', 'work', 'upper-usr', 'work-usr']) {
    fs.mkdirSync(join(directory, name), { recursive: true, mode: 0o755 });
  }
  fs.writeFileSync(join(directory, 'fstab'), fstab(plan), { mode: 0o600 });
  fs.writeFileSync(join(directory, 'inner.sh'), innerScript(plan), { mode: 0o600 });
  fs.writeFileSync(join(directory, 'outer.sh'), outerScript(plan), { mode: 0o600 });
  const stdout = join(directory, 'stdout');
  const stderr = join(directory, 'stderr');
  await fifos.place(stdout);
  if (!plan.tty) await fifos.place(stderr);
  // The container holds both ends, so that it can always write.
  const output = fs.openSync(stdout, fs.constants.O_RDWR);
  const errors = plan.tty ? output : fs.openSync(stderr, fs.constants.O_RDWR);
  const logs = startLogPump(logFile, { stdout, stderr: plan.tty ? undefined : stderr }, options.onError);
  let input: number | 'ignore' = 'ignore';
  let stdin: Socket | undefined;
  if (options.stdin) {
    const path = join(directory, 'stdin');
    await fifos.place(path);
    const both = fs.openSync(path, fs.constants.O_RDWR);
    input = fs.openSync(path, fs.constants.O_RDONLY);
    stdin = new Socket({ fd: fs.openSync(path, fs.constants.O_WRONLY), readable: false, writable: true });
    stdin.on('error', () => {});
    fs.closeSync(both);
  }
  const child = spawn('sh', [join(directory, 'outer.sh')], {
    cwd: directory,
    detached: true,
    env: HOST_ENV,
    stdio: [input, output, errors, 'pipe'],
  });
  fs.closeSync(output);
  if (errors !== output) fs.closeSync(errors);
  if (typeof input === 'number') fs.closeSync(input);
  const pid = await started(child, directory);
  const startedAt = new Date();
  const meta: Meta = { plan, startedAt: startedAt.toISOString(), logFile, pid, processStart: processStart(pid) ?? '' };
  fs.writeFileSync(join(directory, 'meta.json'), JSON.stringify(meta), { mode: 0o600 });
  child.unref();
  return watchContainer(meta, logs, child, stdin);
}

/** A container that could not be put together. */
export class SetupError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'SetupError';
  }
}

function started(child: ChildProcess, directory: string): Promise<number> {
  return new Promise((resolve, reject) => {
    let pid = 0;
    let text = '';
    const pipe = child.stdio[3];
    const fail = () => {
      let detail = '';
      try {
        detail = fs.readFileSync(join(directory, 'setup'), 'utf8').trim();
      } catch {
        // It failed before it could write why.
      }
      reject(new SetupError(detail || `the container's namespaces could not be made (see ${directory})`));
    };
    child.on('error', (error) => reject(new SetupError(error.message)));
    child.on('exit', () => setImmediate(fail));
    if (pipe === undefined || pipe === null || !('on' in pipe)) return fail();
    pipe.on('data', (data: Buffer) => {
      text += data.toString();
      const match = /^pid (\d+)$/m.exec(text);
      if (match !== null) pid = Number(match[1]);
      if (/^start$/m.test(text)) {
        child.removeAllListeners('exit');
        if ('destroy' in pipe) pipe.destroy();
        resolve(pid);
      } else if (/^fail$/m.test(text)) fail();
    });
    pipe.on('error', () => {});
    return undefined;
  });
}

/** Takes over a container that an earlier process of the cluster started; undefined when that directory holds none that ran. */
export function adoptContainer(
  directory: string,
  onError: (error: Error) => void,
): { readonly container: ContainerProcess; readonly alive: boolean } | undefined {
  let meta: Meta;
  try {
    meta = JSON.parse(fs.readFileSync(join(directory, 'meta.json'), 'utf8'));
  } catch {
    // Ended before it was written: there is nothing to adopt.
    return undefined;
  }
  const alive = processStart(meta.pid) === meta.processStart && meta.processStart !== '';
  const logs = startLogPump(
    meta.logFile,
    { stdout: join(directory, 'stdout'), stderr: meta.plan.tty ? undefined : join(directory, 'stderr') },
    onError,
  );
  if (!alive) logs.close();
  return { container: watchContainer(meta, logs, undefined, undefined), alive };
}

function watchContainer(
  meta: Meta,
  logs: LogPump,
  child: ChildProcess | undefined,
  stdin: Socket | undefined,
): ContainerProcess {
  const { directory } = meta.plan;
  const exitFile = join(directory, 'exit');
  const alive = () => processStart(meta.pid) === meta.processStart;
  let watcher: fs.FSWatcher | undefined;
  const exited = new Promise<ExitInfo>((resolve) => {
    let settled = false;
    const settle = (code: number) => {
      if (settled) return;
      settled = true;
      watcher?.close();
      clearInterval(timer);
      stdin?.destroy();
      // What the program wrote last shall be in the log before its end is known.
      const wait = new Promise<void>((done) => setTimeout(done, 300));
      void Promise.race([logs.ended, wait]).then(() =>
        resolve({
          exitCode: code,
          signal: code > 128 && code < 160 ? code - 128 : undefined,
          setupFailure: undefined,
          finishedAt: new Date(),
        }),
      );
    };
    const look = (): boolean => {
      let text: string;
      try {
        text = fs.readFileSync(exitFile, 'utf8').trim();
      } catch {
        // Written when the process has ended.
        return false;
      }
      if (!/^\d+$/.test(text)) return false;
      settle(Number(text));
      return true;
    };
    const lost = () => {
      // The exit code is written right after the end; without it nobody knows how the container ended.
      if (!look() && !alive()) setTimeout(() => look() || settle(137), 100);
    };
    const timer = setInterval(lost, 30_000);
    timer.unref();
    if (child !== undefined) {
      child.on('exit', () => {
        if (!look()) settle(137);
      });
    } else if (!look()) {
      try {
        watcher = fs.watch(directory, () => look());
        watcher.on('error', () => {});
      } catch {
        // Without inotify the timer and the end of the log remain.
      }
      lost();
    }
    void logs.ended.then(lost);
  });
  return {
    pid: meta.pid,
    startedAt: new Date(meta.startedAt),
    directory,
    env: meta.plan.env,
    plan: meta.plan,
    logs,
    stdin,
    exited,
    signal(name) {
      if (!alive()) return false;
      try {
        process.kill(meta.pid, name);
        return true;
      } catch {
        // It ended just now.
        return false;
      }
    },
    handles(name) {
      try {
        const caught = /^SigCgt:\s*([0-9a-f]+)$/m.exec(fs.readFileSync(`/proc/${meta.pid}/status`, 'utf8'))?.[1];
        return ((BigInt(`0x${caught ?? '0'}`) >> BigInt(constants.signals[name] - 1)) & 1n) === 1n;
      } catch {
        // A process that has ended handles nothing.
        return false;
      }
    },
    release() {
      watcher?.close();
      logs.close();
    },
  };
}

/** Start time of a process in clock ticks since boot (proc(5), field 22 of stat); undefined when it does not run. */
export function processStart(pid: number): string | undefined {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie has ended.
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch {
    // No such process.
    return undefined;
  }
}
