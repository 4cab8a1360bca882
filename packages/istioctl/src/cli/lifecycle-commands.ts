import type { CommandGroup } from './program.ts';

/** upgrade, tag and revision: control planes beside and after each other. */
export const lifecycleCommands: CommandGroup = () => {};
