import type { LogFindings } from './log-errors.ts';

/** One file of a report. */
export interface Task {
  /** Path in the archive. */
  readonly file: string;
  /** Where it comes from, for the index. */
  readonly what: string;
  /** Gets it; undefined: there is nothing to tell, and no file. Rejects when it cannot be had, which the index tells. */
  readonly run: () => Promise<TaskResult | undefined>;
}

export interface TaskResult {
  readonly content: string | Buffer;
  readonly findings?: LogFindings;
  /** What was left out. */
  readonly note?: string;
}
