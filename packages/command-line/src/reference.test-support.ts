import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FlagSpec } from './arguments.ts';

/** The list of Istio's commands and flags that lies beside this repository where it is developed. */
const reference = join(import.meta.dirname, '../../../../shared/reference/cli.md');

/** Why the comparison with Istio's flags cannot be made here; false where it can. */
export const noReference = !existsSync(reference) && 'no list of Istio’s flags beside this repository';

/** How the flags of a command differ from Istio's: names, short names, defaults. */
export function differencesToIstio(command: string, flags: readonly FlagSpec[]): readonly string[] {
  const line = readFileSync(reference, 'utf8')
    .split('\n')
    .find((text) => text.startsWith(`${command} | `));
  if (line === undefined) return [`Istio has no ${command}`];
  return line
    .split(' | ')
    .slice(1)
    .flatMap((part) => part.split('; '))
    .flatMap((flag) => {
      const [, short, name = '', fallback = ''] = /^(?:-(\w), )?--([\w-]+)(?: \w+)?(?:=(.*))?$/.exec(flag.trim()) ?? [];
      const ours = flags.find((known) => known.name === name);
      if (!ours) return [`--${name} is missing`];
      const theirs = fallback.replace(/^\[(.*)\]$/, '$1');
      const own = ours.default === '0' ? '' : (ours.default ?? '');
      return [
        ...(short && ours.short !== short ? [`--${name} has no -${short}`] : []),
        ...(own === theirs ? [] : [`--${name} is ${own}, not ${theirs}`]),
      ];
    });
}
