import type { CommandGroup } from './program.ts';

/** analyze, validate and experimental precheck. */
export const analysisCommands: CommandGroup = () => {};
