import { type CommandGroup, createProgram, runProgram } from './program.ts';
import { createSession } from './session.ts';

/** What a command printed, and the code it ended with. */
export interface Ended {
  readonly out: string;
  readonly err: string;
  readonly code: number;
}

/** Runs istioctl with some of its command groups in this process, without environment and colours. Rejects with what the command fails with. */
export async function runInProcess(groups: readonly CommandGroup[], words: readonly string[]): Promise<Ended> {
  let out = '';
  let err = '';
  let code = 0;
  const io = {
    env: {},
    colours: false,
    out: (text: string) => {
      out += text;
    },
    err: (text: string) => {
      err += text;
    },
  };
  const program = createProgram(
    '1.30.0',
    (flags) => createSession(flags, io),
    (ended) => {
      code = ended;
    },
    groups,
  );
  await runProgram(program, words, {});
  return { out, err, code };
}
