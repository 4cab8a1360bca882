import type { Readable, Writable } from 'node:stream';
import type { ExecSession } from '../../node-runtime.ts';

/** What the client's side of an exec or attach offers; absent streams were not asked for. */
export interface ExecChannels {
  readonly stdin: Readable | undefined;
  readonly stdout: Writable | undefined;
  readonly stderr: Writable | undefined;
  /** Hears of new terminal sizes as JSON `{"Width":..,"Height":..}`, one object after the other. */
  readonly resize: Readable | undefined;
  /** Gets the outcome as a Status object, then is closed. */
  readonly finish: (status: object) => Promise<void>;
  /** Resolves when the client has gone. */
  readonly gone: Promise<void>;
}

export function successStatus(): object {
  return { metadata: {}, status: 'Success' };
}

export function exitStatus(code: number): object {
  return {
    metadata: {},
    status: 'Failure',
    message: `command terminated with non-zero exit code: exit status ${code}`,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(code) }] },
  };
}

export function failureStatus(message: string): object {
  return {
    metadata: {},
    status: 'Failure',
    message,
    reason: 'InternalError',
    details: { causes: [{ message }] },
    code: 500,
  };
}

function copied(from: Readable, to: Writable): Promise<void> {
  return new Promise((resolve) => {
    from.on('error', () => resolve());
    to.on('error', () => resolve());
    to.once('close', () => resolve());
    from.once('end', () => resolve());
    from.pipe(to, { end: false });
  });
}

function watchSizes(resize: Readable, session: ExecSession): void {
  let pending = '';
  resize.on('error', () => {});
  resize.on('data', (chunk: Buffer) => {
    pending = (pending + chunk.toString('utf8')).slice(-4096);
    for (let end = pending.indexOf('}'); end >= 0; end = pending.indexOf('}')) {
      const text = pending.slice(0, end + 1);
      pending = pending.slice(end + 1);
      const width = /"Width"\s*:\s*(\d{1,5})/i.exec(text)?.[1];
      const height = /"Height"\s*:\s*(\d{1,5})/i.exec(text)?.[1];
      if (width !== undefined && height !== undefined) session.resize(Number(width), Number(height));
    }
  });
}

/** Connects a running command with the client until the command ends or the client goes. */
export async function runSession(
  start: Promise<ExecSession>,
  channels: ExecChannels,
  log: (line: string) => void,
): Promise<void> {
  let session: ExecSession;
  try {
    session = await start;
  } catch (error) {
    await channels.finish(failureStatus(error instanceof Error ? error.message : String(error)));
    return;
  }
  let over = false;
  void channels.gone.then(() => {
    if (!over) session.kill();
  });
  if (channels.stdin !== undefined && session.stdin !== undefined) {
    session.stdin.on('error', () => {});
    channels.stdin.on('error', () => {});
    channels.stdin.pipe(session.stdin);
  }
  if (channels.resize !== undefined) watchSizes(channels.resize, session);
  const copies: Promise<void>[] = [];
  if (channels.stdout !== undefined) copies.push(copied(session.stdout, channels.stdout));
  else session.stdout.resume();
  if (session.stderr !== undefined) {
    if (channels.stderr !== undefined) copies.push(copied(session.stderr, channels.stderr));
    else session.stderr.resume();
  }
  try {
    const code = await session.exitCode;
    await Promise.all(copies);
    over = true;
    await channels.finish(code === 0 ? successStatus() : exitStatus(code));
  } catch (error) {
    over = true;
    log(`exec: ${error instanceof Error ? error.message : String(error)}`);
    await channels.finish(failureStatus(error instanceof Error ? error.message : String(error)));
  }
}
