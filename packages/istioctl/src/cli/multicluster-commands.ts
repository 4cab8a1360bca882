import type { CommandGroup } from './program.ts';

/** create-remote-secret and remote-clusters. */
export const multiclusterCommands: CommandGroup = () => {};
