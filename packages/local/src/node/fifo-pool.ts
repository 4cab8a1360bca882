import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import type { RunCommand } from '../network/command.ts';

/** Named pipes made in advance, as making one costs a program. */
export interface FifoPool {
  /** Moves a fresh pipe of mode 0666 to `path`. */
  place(path: string): Promise<void>;
}

const BATCH = 32;

export function createFifoPool(run: RunCommand, directory: string): FifoPool {
  const ready: string[] = [];
  let refill: Promise<void> | undefined;
  const fill = () => {
    refill ??= (async () => {
      await fs.mkdir(directory, { recursive: true });
      const names = Array.from({ length: BATCH }, () => join(directory, randomBytes(8).toString('hex')));
      await run('mkfifo', ['-m', '666', ...names]);
      ready.push(...names);
    })().finally(() => {
      refill = undefined;
    });
    return refill;
  };
  return {
    async place(path) {
      while (ready.length === 0) await fill();
      const fifo = ready.pop();
      if (fifo === undefined) throw new Error('no named pipe could be made');
      if (ready.length < BATCH / 4) fill().catch(() => {});
      await fs.rename(fifo, path);
    },
  };
}
