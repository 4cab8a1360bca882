import { spawn } from 'node:child_process';

/** A program of the host that ended with a failure; the message has what it printed on stderr. */
export class CommandError extends Error {
  readonly program: string;
  readonly exitCode: number;
  constructor(program: string, args: readonly string[], exitCode: number, stderr: string) {
    super(`${program} ${args.slice(0, 6).join(' ')}: exit code ${exitCode}: ${stderr.trim() || 'no message'}`);
    this.name = 'CommandError';
    this.program = program;
    this.exitCode = exitCode;
  }
}

export interface CommandOptions {
  readonly input?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Milliseconds after which the program is ended with SIGKILL. Default 30 000. */
  readonly timeout?: number;
}

export type RunCommand = (program: string, args: readonly string[], options?: CommandOptions) => Promise<string>;

const OUTPUT_LIMIT = 8 * 1024 * 1024;

/** Runs a program to its end and returns its standard output. Throws `CommandError` for an exit code other than 0. */
export const runCommand: RunCommand = (program, args, options = {}) =>
  new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      env: options.env ?? process.env,
    });
    let stdout = '';
    let stderr = '';
    const timer = setTimeout(() => child.kill('SIGKILL'), options.timeout ?? 30_000);
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      if (stdout.length < OUTPUT_LIMIT) stdout += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      if (stderr.length < 65_536) stderr += text;
    });
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (code === 0) resolve(stdout);
      else reject(new CommandError(program, args, code ?? 255, stderr || (signal ? `ended by ${signal}` : '')));
    });
    if (options.input !== undefined) {
      child.stdin?.on('error', () => {});
      child.stdin?.end(options.input);
    }
  });

/** Quotes one word for a POSIX shell. */
export function shellQuote(word: string): string {
  return /^[A-Za-z0-9_./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
