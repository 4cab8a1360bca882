import { delimiter } from 'node:path';
import { run } from './shell.ts';

/** A user at a shell: one folder, one environment, commands as they stand in a tutorial. */
export interface Terminal {
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  /** Runs a command line with bash; resolves with what it printed. Rejects when it fails. */
  type(command: string, input?: string): Promise<string>;
}

/** Opens a terminal in a folder. `path` comes before the PATH of the tests. */
export function openTerminal(folder: string, env: NodeJS.ProcessEnv, path: readonly string[] = []): Terminal {
  const own = { ...env, PATH: [...path, env.PATH].join(delimiter) };
  return {
    folder,
    env: own,
    type: async (command, input) => {
      const { stdout, stderr, exitCode } = await run('bash', ['-o', 'pipefail', '-c', `cd ${folder} && ${command}`], {
        env: own,
        timeoutMs: 600_000,
        ...(input !== undefined && { input }),
      });
      if (exitCode !== 0) throw new Error(`$ ${command}\nended with ${exitCode}:\n${stdout}${stderr}`);
      return stdout + stderr;
    },
  };
}
