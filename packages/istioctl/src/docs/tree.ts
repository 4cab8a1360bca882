import { VERSION } from '@istio-ts/api/version';
import type { Command } from 'commander';
import { commandGroups } from '../cli/command-groups.ts';
import { createProgram } from '../cli/program.ts';

/** The tree of istioctl's commands, only to be looked at: none of them can be run. */
export function commandTree(): Command {
  return createProgram(
    VERSION,
    () => {
      throw new Error('this tree of commands is for reading only');
    },
    () => undefined,
    commandGroups,
  );
}
