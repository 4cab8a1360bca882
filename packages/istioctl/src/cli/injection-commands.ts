import type { CommandGroup } from './program.ts';

/** experimental check-inject and injector list. */
export const injectionCommands: CommandGroup = () => {};
