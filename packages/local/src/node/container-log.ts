import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { Socket } from 'node:net';

/** A line (or part of one) that a container wrote. */
export type LogListener = (stream: 'stdout' | 'stderr', data: Buffer) => void;

/** Takes what a container writes into its log file, in the format of the Container Runtime Interface. */
export interface LogPump {
  /** Hears the raw bytes as they come, for `attach`; the first listener also hears what was written before it came, if that was little. */
  onData(listener: LogListener): () => void;
  /** Resolves when both pipes have ended and everything is in the file. */
  readonly ended: Promise<void>;
  close(): void;
}

const ROTATE_AT = 10 * 1024 * 1024;
const KEEP_ROTATED = 2;
/** What is kept for the first listener: more than a program writes between its start and the `attach` of `kubectl run`. */
const EARLY_LIMIT = 4 * 1024;
/** CRI splits longer lines into partial ones. */
const LINE_LIMIT = 16 * 1024;

/**
 * Reads the named pipes of a container. The pipes belong to the container, so that it neither fails nor loses output when this process goes
 * away; a later one continues to read.
 */
export function startLogPump(
  file: string,
  pipes: { readonly stdout: string; readonly stderr: string | undefined },
  onError: (error: Error) => void,
): LogPump {
  fs.mkdirSync(dirname(file), { recursive: true });
  let descriptor = fs.openSync(file, 'a');
  let size = fs.fstatSync(descriptor).size;
  const listeners = new Set<LogListener>();
  let early: { readonly stream: 'stdout' | 'stderr'; readonly data: Buffer }[] | undefined = [];
  let earlySize = 0;
  const sockets: Socket[] = [];
  let open = 0;
  let finish: () => void = () => {};
  const ended = new Promise<void>((resolve) => {
    finish = resolve;
  });

  const write = (text: string) => {
    try {
      fs.writeSync(descriptor, text);
      size += Buffer.byteLength(text);
      if (size > ROTATE_AT) rotate();
    } catch (error) {
      onError(error instanceof Error ? error : new Error(String(error)));
    }
  };
  const rotate = () => {
    fs.closeSync(descriptor);
    fs.rmSync(`${file}.${KEEP_ROTATED}`, { force: true });
    for (let index = KEEP_ROTATED - 1; index >= 1; index--) {
      if (fs.existsSync(`${file}.${index}`)) fs.renameSync(`${file}.${index}`, `${file}.${index + 1}`);
    }
    fs.renameSync(file, `${file}.1`);
    descriptor = fs.openSync(file, 'a');
    size = 0;
  };

  const read = (path: string, stream: 'stdout' | 'stderr') => {
    let rest: Buffer = Buffer.alloc(0);
    const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
    const socket = new Socket({ fd, readable: true, writable: false });
    open += 1;
    sockets.push(socket);
    socket.on('data', (data: Buffer) => {
      for (const listener of listeners) listener(stream, data);
      if (early !== undefined) {
        earlySize += data.length;
        if (earlySize <= EARLY_LIMIT) early.push({ stream, data });
        else early = undefined;
      }
      const chunk = rest.length === 0 ? data : Buffer.concat([rest, data]);
      const stamp = timestamp();
      let text = '';
      let start = 0;
      for (;;) {
        const end = chunk.indexOf(10, start);
        if (end < 0) break;
        text += `${stamp} ${stream} F ${chunk.toString('utf8', start, end)}\n`;
        start = end + 1;
      }
      rest = chunk.subarray(start);
      if (rest.length > LINE_LIMIT) {
        text += `${stamp} ${stream} P ${rest.toString('utf8')}\n`;
        rest = Buffer.alloc(0);
      }
      if (text !== '') write(text);
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      if (rest.length > 0) write(`${timestamp()} ${stream} F ${rest.toString('utf8')}\n`);
      open -= 1;
      if (open === 0) {
        fs.closeSync(descriptor);
        finish();
      }
    });
  };
  read(pipes.stdout, 'stdout');
  if (pipes.stderr !== undefined) read(pipes.stderr, 'stderr');

  return {
    onData(listener) {
      for (const { stream, data } of early ?? []) listener(stream, data);
      early = undefined;
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    ended,
    close() {
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** RFC 3339 with nine digits, as log files of containers have them. */
export function timestamp(): string {
  return `${new Date().toISOString().slice(0, -1)}000000Z`;
}
