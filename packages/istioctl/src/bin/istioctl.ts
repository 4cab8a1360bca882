import { VERSION } from '@istio-ts/api/version';
import { lifecycleCommands } from '../cli/lifecycle-commands.ts';
import { manifestCommands } from '../cli/manifest-commands.ts';
import { inClusterOperatorCommands } from '../cli/in-cluster-operator-commands.ts';
import { analysisCommands } from '../cli/analysis-commands.ts';
import { explainCommands } from '../cli/explain-commands.ts';
import { injectionCommands } from '../cli/injection-commands.ts';
import { adminCommands } from '../cli/admin-commands.ts';
import { multiclusterCommands } from '../cli/multicluster-commands.ts';
import { workloadCommands } from '../cli/workload-commands.ts';
import { ambientCommands } from '../cli/ambient-commands.ts';
import { bugReportCommands } from '../cli/bug-report-commands.ts';
import { generalCommands } from '../cli/general-commands.ts';
import { dashboardCommands } from '../cli/dashboard-commands.ts';
import { CliError } from '../cli/failure.ts';
import { inspectCommands } from '../cli/inspect-commands.ts';
import { createProgram, withSwitches } from '../cli/program.ts';
import { createSession } from '../cli/session.ts';
import { localCommands } from '../cli/local-commands.ts';
import { operatorCommands } from '../cli/operator-commands.ts';
import { unbuiltCommands } from '../cli/unbuilt-commands.ts';

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
  [
    operatorCommands,
    lifecycleCommands,
    manifestCommands,
    inClusterOperatorCommands,
    inspectCommands,
    analysisCommands,
    explainCommands,
    injectionCommands,
    adminCommands,
    dashboardCommands,
    multiclusterCommands,
    workloadCommands,
    ambientCommands,
    bugReportCommands,
    generalCommands,
    localCommands,
    unbuiltCommands,
  ],
);
// No `await` at the top: the single executable of the release is a CommonJS script, which cannot have one.
program.parseAsync([...withSwitches(process.argv, program)]).catch((error: Error) => {
  const debug = process.env.ISTIOCTL_DEBUG ? error.stack : undefined;
  process.stderr.write(`Error: ${debug ?? error.message}\n`);
  process.exitCode = error instanceof CliError ? error.exitCode : 1;
});
