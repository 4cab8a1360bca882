import type { CommandGroup } from './program.ts';

/** admin log: the log levels of istiod. */
export const adminCommands: CommandGroup = () => {};
