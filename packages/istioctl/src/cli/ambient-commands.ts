import type { CommandGroup } from './program.ts';

/** waypoint and ztunnel-config. */
export const ambientCommands: CommandGroup = () => {};
