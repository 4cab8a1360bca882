import { spawn } from 'node:child_process';

const TIMEOUT_MS = 10_000;

/** Why Envoy would not start with these arguments; undefined where it would. Never rejects. */
export function whyRefused(binary: string, args: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn(binary, [...args, '--mode', 'validate'], { stdio: ['ignore', 'pipe', 'pipe'] });
    const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS);
    let output = '';
    const collect = (chunk: Buffer): void => {
      output = `${output}${chunk.toString()}`.slice(-4000);
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      // It may say OK and then end badly, which it would not do when it runs.
      if (code === 0 || / OK\s*$/m.test(output)) resolve(undefined);
      else resolve(output.trim().split('\n').at(-1) || `ended with ${signal ?? code}`);
    });
  });
}
