import type { CommandGroup } from './program.ts';

/** operator init, dump and remove. */
export const inClusterOperatorCommands: CommandGroup = () => {};
