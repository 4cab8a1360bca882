import * as fs from 'node:fs';
import { PassThrough, type Readable } from 'node:stream';

export interface LogReadOptions {
  readonly follow: boolean;
  readonly tailLines?: number;
  /** Milliseconds since the epoch. */
  readonly since?: number;
  readonly timestamps: boolean;
  readonly limitBytes?: number;
}

const CHUNK = 64 * 1024;

/**
 * Reads a container's log file (and what was rotated away before it) as `kubectl logs` shows it. With `follow` the stream stays open until
 * `ended` resolves and all is read.
 */
export function readLog(file: string, options: LogReadOptions, ended: Promise<unknown>): Readable {
  const output = new PassThrough();
  void pump(file, options, ended, output).catch((error: Error) => output.destroy(error));
  return output;
}

async function pump(file: string, options: LogReadOptions, ended: Promise<unknown>, output: PassThrough) {
  let left = options.limitBytes ?? Number.POSITIVE_INFINITY;
  const emit = async (text: string): Promise<boolean> => {
    const buffer = Buffer.from(text);
    const part = buffer.length > left ? buffer.subarray(0, left) : buffer;
    left -= part.length;
    if (part.length > 0 && !output.write(part)) {
      await new Promise<void>((resolve) => {
        const done = () => {
          output.off('drain', done);
          output.off('close', done);
          resolve();
        };
        output.on('drain', done);
        output.on('close', done);
      });
    }
    return left > 0 && !output.destroyed;
  };
  const files = [`${file}.2`, `${file}.1`, file].filter((path) => fs.existsSync(path));
  let position = 0;
  const inode = fs.existsSync(file) ? fs.statSync(file).ino : 0;
  let rest = '';
  if (options.tailLines !== undefined) {
    const lines: string[] = [];
    for (const path of files) {
      const text = fs.readFileSync(path, 'utf8');
      const end = text.lastIndexOf('\n') + 1;
      if (path === file) position = Buffer.byteLength(text.slice(0, end));
      for (const line of text.slice(0, end).split('\n')) if (line !== '') lines.push(line);
    }
    const wanted = lines.filter((line) => isSince(line, options.since)).slice(-options.tailLines || lines.length);
    if (options.tailLines > 0 && !(await emit(wanted.map((line) => render(line, options)).join('')))) {
      output.end();
      return;
    }
  } else {
    for (const path of files.filter((candidate) => candidate !== file)) {
      if (!(await emit(renderAll(fs.readFileSync(path, 'utf8'), options)))) {
        output.end();
        return;
      }
    }
  }
  let over = false;
  void ended.then(
    () => {
      over = true;
      wake();
    },
    () => {
      over = true;
      wake();
    },
  );
  let wake: () => void = () => {};
  const watcher = options.follow && fs.existsSync(file) ? fs.watch(file, () => wake()) : undefined;
  watcher?.on('error', () => {});
  output.on('close', () => wake());
  let current = file;
  let known = inode;
  try {
    for (;;) {
      const last = over;
      let descriptor: number;
      try {
        descriptor = fs.openSync(current, 'r');
      } catch {
        // Rotated away between two looks.
        break;
      }
      try {
        if (known !== 0 && fs.fstatSync(descriptor).ino !== known) {
          // The file was rotated: finish the old one, then go on with the new one.
          const old = `${file}.1`;
          if (fs.existsSync(old) && fs.statSync(old).ino === known) {
            const tail = fs.readFileSync(old).subarray(position).toString('utf8');
            if (!(await emit(renderAll(rest + tail, options)))) break;
          }
          known = fs.fstatSync(descriptor).ino;
          position = 0;
          rest = '';
        }
        const buffer = Buffer.alloc(CHUNK);
        for (;;) {
          const count = fs.readSync(descriptor, buffer, 0, CHUNK, position);
          if (count === 0) break;
          // Cut at the last line end in the bytes, so that no character is cut.
          const end = buffer.lastIndexOf(10, count - 1) + 1;
          if (end === 0 && count === CHUNK) {
            position += count;
            continue;
          }
          if (end === 0) break;
          position += end;
          if (!(await emit(renderAll(buffer.toString('utf8', 0, end), options)))) return;
        }
      } finally {
        fs.closeSync(descriptor);
      }
      current = file;
      if (!options.follow || last || output.destroyed) break;
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (over || output.destroyed) resolve();
        // Events of a file system may get lost; a slow look makes up for it.
        setTimeout(resolve, 1000).unref();
      });
    }
  } finally {
    watcher?.close();
    output.end();
  }
}

function renderAll(text: string, options: LogReadOptions): string {
  let result = '';
  for (const line of text.split('\n')) {
    if (line !== '' && isSince(line, options.since)) result += render(line, options);
  }
  return result;
}

function isSince(line: string, since: number | undefined): boolean {
  if (since === undefined) return true;
  const end = line.indexOf(' ');
  return Date.parse(`${line.slice(0, 23)}Z`) >= since || end < 0;
}

/** `TIME STREAM F|P TEXT`: a partial line has no line end of its own. */
function render(line: string, options: LogReadOptions): string {
  const time = line.indexOf(' ');
  const stream = line.indexOf(' ', time + 1);
  const tag = line.indexOf(' ', stream + 1);
  const text = line.slice(tag + 1);
  const end = line.slice(stream + 1, tag) === 'P' ? '' : '\n';
  return options.timestamps ? `${line.slice(0, time)} ${text}${end}` : `${text}${end}`;
}
