import { adminCommands } from './admin-commands.ts';
import { ambientCommands } from './ambient-commands.ts';
import { analysisCommands } from './analysis-commands.ts';
import { bugReportCommands } from './bug-report-commands.ts';
import { certsCommands } from './certs-commands.ts';
import { completionCommands } from './completion-commands.ts';
import { dashboardCommands } from './dashboard-commands.ts';
import { explainCommands } from './explain-commands.ts';
import { formerCommands } from './former-commands.ts';
import { generateCommands } from './generate-commands.ts';
import { generalCommands } from './general-commands.ts';
import { inClusterOperatorCommands } from './in-cluster-operator-commands.ts';
import { injectionCommands } from './injection-commands.ts';
import { inspectCommands } from './inspect-commands.ts';
import { lifecycleCommands } from './lifecycle-commands.ts';
import { localCommands } from './local-commands.ts';
import { manifestCommands } from './manifest-commands.ts';
import { multiclusterCommands } from './multicluster-commands.ts';
import { operatorCommands } from './operator-commands.ts';
import type { CommandGroup } from './program.ts';
import { workloadCommands } from './workload-commands.ts';

/** All commands of istioctl. Those that are no more come last: they leave out names that are taken. */
export const commandGroups: readonly CommandGroup[] = [
  operatorCommands,
  lifecycleCommands,
  manifestCommands,
  inClusterOperatorCommands,
  inspectCommands,
  analysisCommands,
  explainCommands,
  generateCommands,
  injectionCommands,
  adminCommands,
  dashboardCommands,
  multiclusterCommands,
  workloadCommands,
  certsCommands,
  ambientCommands,
  bugReportCommands,
  localCommands,
  completionCommands,
  generalCommands,
  formerCommands,
];
