import { execFile } from 'node:child_process';

export interface Output {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/** Runs a program to its end; never throws for an exit code. */
export function run(
  command: string,
  args: readonly string[],
  options: { readonly env?: NodeJS.ProcessEnv; readonly input?: string; readonly timeoutMs?: number } = {},
): Promise<Output> {
  return new Promise((resolve) => {
    const child = execFile(
      command,
      [...args],
      { env: options.env ?? process.env, maxBuffer: 64 * 1024 * 1024, timeout: options.timeoutMs ?? 300_000 },
      (error, stdout, stderr) => {
        const exitCode = error ? (typeof error.code === 'number' ? error.code : 1) : 0;
        resolve({
          stdout,
          stderr: error && typeof error.code !== 'number' ? `${stderr}${error.message}` : stderr,
          exitCode,
        });
      },
    );
    // A program that ends without reading its input is judged by its exit code.
    child.stdin?.on('error', () => {});
    child.stdin?.end(options.input ?? '');
  });
}

/** Asks again and again until `probe` gives a value; fails with the last reason when the deadline passes. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined>,
  timeoutMs = 120_000,
  everyMs = 100,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let reason = 'nothing came';
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined) return value;
    } catch (error) {
      reason = (error as Error).message;
    }
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs / 1000} s for ${what}: ${reason}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

/**
 * Checks again and again until all of it holds at once. For what becomes true in its own time, piece by piece: proxies and their threads, routes, clusters,
 * certificates and the status of objects do not change in the same moment. `check` must be such that it can be asked twice.
 */
export async function eventually(what: string, check: () => Promise<void>, timeoutMs?: number): Promise<void> {
  await until(
    what,
    async () => {
      await check();
      return true;
    },
    timeoutMs,
  );
}
