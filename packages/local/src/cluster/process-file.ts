import { existsSync, linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { processStart } from '../node/container-process.ts';

interface Entry {
  readonly pid: number;
  /** Start time in clock ticks since boot: a process id alone may have been given out again. */
  readonly start: string;
}

/** Notes that this process (or `pid`) is the one the file is about. */
export function writeProcessFile(file: string, pid: number = process.pid): void {
  writeJson(file, { pid, start: processStart(pid) ?? '' } satisfies Entry);
}

/**
 * Like `writeProcessFile` for this process, unless the file is about another one that still runs; then it stays as it is and the result is
 * that process' id.
 */
export function claimProcessFile(file: string): number | undefined {
  const own = `${file}.${process.pid}`;
  writeProcessFile(own);
  try {
    for (;;) {
      try {
        // Fails when the file exists: of two processes that start at once, one gets it.
        linkSync(own, file);
        return undefined;
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
        const other = readProcessFile(file);
        if (other !== undefined) return other;
        rmSync(file, { force: true });
      }
    }
  } finally {
    rmSync(own, { force: true });
  }
}

/** Process id in the file, if that very process still runs. */
export function readProcessFile(file: string): number | undefined {
  const entry = readJson(file);
  if (typeof entry !== 'object' || entry === null || !('pid' in entry) || !('start' in entry)) return undefined;
  const { pid, start } = entry;
  if (typeof pid !== 'number' || typeof start !== 'string' || start === '') return undefined;
  return processStart(pid) === start ? pid : undefined;
}

export function removeFile(file: string): void {
  rmSync(file, { force: true });
}

/** Parsed content of a JSON file; undefined when it is not there or damaged. */
export function readJson(file: string): unknown {
  if (!existsSync(file)) return undefined;
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Writes JSON so that readers see the old or the new content, never half of it. */
export function writeJson(file: string, value: unknown): void {
  writeFileSync(`${file}.tmp`, `${JSON.stringify(value)}\n`, { mode: 0o600 });
  renameSync(`${file}.tmp`, file);
}
