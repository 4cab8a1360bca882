import { VERSION } from '@istio-ts/api/version';
import { commandGroups } from '../cli/command-groups.ts';
import { CliError } from '../cli/failure.ts';
import { createProgram, runProgram, UsageFailure } from '../cli/program.ts';
import { createSession } from '../cli/session.ts';

const colours = process.stdout.isTTY === true && !process.env.NO_COLOR;
const io = {
  env: process.env,
  out: (text: string) => void process.stdout.write(text),
  err: (text: string) => void process.stderr.write(text),
  colours,
};
// A pager or `head` that stops reading is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

const program = createProgram(
  VERSION,
  (flags) => createSession(flags, io),
  (code) => {
    process.exitCode = code;
  },
  commandGroups,
);
// No `await` at the top: the single executable of the release is a CommonJS script, which cannot have one.
runProgram(program, process.argv.slice(2), process.env).catch((error: Error) => {
  if (!(error instanceof UsageFailure)) {
    const debug = process.env.ISTIOCTL_DEBUG ? error.stack : undefined;
    process.stderr.write(`Error: ${debug ?? error.message}\n`);
    // Told by its name: its class would load the client of the API server for every command.
    if (error.name === 'ConnectionError')
      process.stderr.write(
        'Is the cluster running? Its address is that of the kubeconfig (KUBECONFIG, --kubeconfig, --context).\n',
      );
  }
  process.exitCode = error instanceof CliError ? error.exitCode : 1;
});
