import type { CommandGroup } from './program.ts';

/** manifest diff, translate and versions. */
export const manifestCommands: CommandGroup = () => {};
