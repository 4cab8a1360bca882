import type { CommandGroup } from './program.ts';

/** experimental workload group and workload entry. */
export const workloadCommands: CommandGroup = () => {};
