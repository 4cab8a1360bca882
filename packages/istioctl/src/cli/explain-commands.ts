import type { CommandGroup } from './program.ts';

/** experimental describe, authz check, envoy-stats, metrics, internal-debug, proxy-status and version. */
export const explainCommands: CommandGroup = () => {};
