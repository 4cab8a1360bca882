import type { CommandGroup } from './program.ts';

/** bug-report. */
export const bugReportCommands: CommandGroup = () => {};
