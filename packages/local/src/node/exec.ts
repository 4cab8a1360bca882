import { type ChildProcess, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { constants } from 'node:os';
import { randomBytes } from 'node:crypto';
import { PassThrough, Writable } from 'node:stream';
import type { ExecSession } from '../node-runtime.ts';
import { shellQuote } from '../network/command.ts';
import type { ContainerProcess } from './container-process.ts';
import { envArguments, setprivArguments } from './container-script.ts';
import type { FifoPool } from './fifo-pool.ts';

const HOST_ENV = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8' };

/** Runs a command inside a running container, as its user and with its environment. */
export async function execIn(
  container: ContainerProcess,
  fifos: FifoPool,
  options: { readonly command: readonly string[]; readonly tty: boolean; readonly stdin: boolean },
): Promise<ExecSession> {
  const { plan, pid } = container;
  const terminal: Record<string, string> = options.tty ? { TERM: 'xterm' } : {};
  const args = [
    ...['-t', String(pid), '-m', '-u', '-i', '-n', '-p', '--'],
    // A session of its own inside the container's pid namespace, so that shells there have job control.
    ...(options.tty ? ['/usr/bin/setsid', '-c'] : []),
    '/usr/bin/setpriv',
    ...setprivArguments(plan.credentials),
    ...['--', '/usr/bin/env', '-C', plan.workingDir],
    ...envArguments({ ...terminal, ...plan.env }),
    ...options.command,
  ];
  const output = await openPipe(fifos, plan.directory);
  const errors = options.tty ? undefined : await openPipe(fifos, plan.directory);
  const input = options.stdin ? await openPipe(fifos, plan.directory) : undefined;
  const stdio: [number | 'ignore', number, number] = [
    input === undefined ? 'ignore' : input.read,
    output.write,
    errors?.write ?? output.write,
  ];
  const child = options.tty
    ? spawn('script', ['-qfec', ['exec', 'nsenter', ...args].map(shellQuote).join(' '), '/dev/null'], {
        stdio,
        env: HOST_ENV,
        detached: true,
      })
    : spawn('nsenter', args, { stdio, env: HOST_ENV, detached: true });
  for (const pipe of [output, errors]) if (pipe !== undefined) fs.closeSync(pipe.write);
  if (input !== undefined) fs.closeSync(input.read);
  const exitCode = new Promise<number>((resolve) => {
    child.on('error', () => resolve(126));
    child.on('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  });
  let size: readonly [number, number] | undefined;
  return {
    stdin: input === undefined ? undefined : new Socket({ fd: input.write, readable: false, writable: true }),
    stdout: new Socket({ fd: output.read, readable: true, writable: false }),
    stderr: errors === undefined ? undefined : new Socket({ fd: errors.read, readable: true, writable: false }),
    exitCode,
    resize(columns, rows) {
      size = [columns, rows];
      if (options.tty) void resizeTerminal(child, () => size);
    },
    kill() {
      if (child.pid === undefined || child.exitCode !== null) return;
      try {
        process.kill(-child.pid, 'SIGHUP');
        setTimeout(() => killGroup(child), 2000).unref();
      } catch {
        // It ended in between.
      }
    },
  };
}

/** Runs a command to its end, for probes and hooks. */
export async function execToEnd(
  container: ContainerProcess,
  fifos: FifoPool,
  command: readonly string[],
  timeout: number,
): Promise<{ readonly exitCode: number; readonly output: string }> {
  const session = await execIn(container, fifos, { command, tty: false, stdin: false });
  let output = '';
  const collect = (data: Buffer) => {
    if (output.length < 10_240) output += data.toString();
  };
  session.stdout.on('data', collect);
  session.stderr?.on('data', collect);
  session.stdout.on('error', () => {});
  session.stderr?.on('error', () => {});
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<number>((resolve) => {
    timer = setTimeout(() => {
      session.kill();
      output = `command timed out after ${timeout} ms`;
      resolve(-1);
    }, timeout);
  });
  const exitCode = await Promise.race([session.exitCode, late]);
  clearTimeout(timer);
  return { exitCode, output: output.trim() };
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It ended in between.
  }
}

/** A pipe with a name only while it is opened; programs can open `/dev/stdout` on it, which they could not on a socket. */
async function openPipe(
  fifos: FifoPool,
  directory: string,
): Promise<{ readonly read: number; readonly write: number }> {
  const path = join(directory, `exec-${randomBytes(6).toString('hex')}`);
  await fifos.place(path);
  const both = fs.openSync(path, fs.constants.O_RDWR);
  const read = fs.openSync(path, fs.constants.O_RDONLY);
  const write = fs.openSync(path, fs.constants.O_WRONLY);
  fs.closeSync(both);
  fs.unlinkSync(path);
  return { read, write };
}

/** Sets the size of the terminal that script(1) made, as soon as it is there. */
async function resizeTerminal(child: ChildProcess, size: () => readonly [number, number] | undefined): Promise<void> {
  for (let tries = 0; tries < 40; tries++) {
    const wanted = size();
    const terminal = child.pid === undefined ? undefined : terminalOf(child.pid);
    if (terminal !== undefined && wanted !== undefined) {
      spawn('stty', ['-F', terminal, 'cols', String(wanted[0]), 'rows', String(wanted[1])], {
        stdio: 'ignore',
        env: HOST_ENV,
      }).on('error', () => {});
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

function terminalOf(script: number): string | undefined {
  try {
    const inner = fs.readFileSync(`/proc/${script}/task/${script}/children`, 'utf8').trim().split(' ')[0];
    const target = inner ? fs.readlinkSync(`/proc/${inner}/fd/0`) : '';
    return target.startsWith('/dev/pts/') ? target : undefined;
  } catch {
    // The program has ended, and its terminal with it.
    return undefined;
  }
}

/** Joins the input and output of a container's first process. */
export function attachTo(
  container: ContainerProcess,
  options: { readonly stdin: boolean; readonly stdinOnce: boolean },
): ExecSession {
  const stdout = new PassThrough();
  const stderr = container.plan.tty ? undefined : new PassThrough();
  const stop = container.logs.onData((stream, data) => {
    (stream === 'stderr' ? stderr : stdout)?.write(data);
  });
  const exitCode = container.exited.then((exit) => {
    stop();
    stdout.end();
    stderr?.end();
    return exit.exitCode;
  });
  const input = options.stdin ? container.stdin : undefined;
  const stdin =
    input === undefined
      ? undefined
      : new Writable({
          write: (chunk, _encoding, done) => {
            input.write(chunk, () => done());
          },
          final: (done) => {
            if (options.stdinOnce) input.end();
            done();
          },
        });
  return {
    stdin,
    stdout,
    stderr,
    exitCode,
    resize(columns, rows) {
      if (!container.plan.tty) return;
      try {
        const terminal = fs.readlinkSync(`/proc/${container.pid}/fd/0`);
        // The path counts inside the machine's own /dev, where script(1) made the terminal.
        if (terminal.startsWith('/dev/pts/')) {
          spawn('stty', ['-F', terminal, 'cols', String(columns), 'rows', String(rows)], {
            stdio: 'ignore',
            env: HOST_ENV,
          }).on('error', () => {});
        }
      } catch {
        // It ended in between.
      }
    },
    kill() {
      stop();
      stdout.end();
      stderr?.end();
    },
  };
}
