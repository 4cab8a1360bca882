import type { CommandGroup } from './program.ts';

/** completion, options, and the smaller experimental commands. */
export const generalCommands: CommandGroup = () => {};
