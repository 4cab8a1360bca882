import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Command, Option } from 'commander';
import { optionsFor, subcommand } from '../cli/command-line.ts';
import { durationMs } from '../cli/duration.ts';
import { commandTree } from './tree.ts';

/** What is different on purpose, and why. */
const deliberate: Readonly<Record<string, string>> = {
  'version --remote': 'on by default: whoever asks for versions wants those of the mesh too',
  'experimental version --remote': 'on by default: whoever asks for versions wants those of the mesh too',
};

/** The list of Istio's commands that lies beside this repository where it is developed. */
const reference = join(import.meta.dirname, '../../../../../shared/reference/cli.md');

interface TheirFlag {
  readonly short?: string;
  readonly long: string;
  readonly fallback?: string;
}
interface TheirCommand {
  readonly path: readonly string[];
  readonly aliases: readonly string[];
  readonly flags: readonly TheirFlag[];
}

function readReference(text: string): readonly TheirCommand[] {
  return text
    .split('\n')
    .filter((line) => /^istioctl( |$)/.test(line))
    .map((line) => {
      const [path = '', ...parts] = line.split(' | ').map((part) => part.trim());
      const aliases = parts.find((part) => part.startsWith('aliases '));
      return {
        path: path.split(' ').slice(1),
        aliases: aliases?.slice('aliases '.length).split(', ') ?? [],
        flags: parts
          .filter((part) => part.includes('--'))
          .flatMap((part) => part.split('; '))
          .map((flag): TheirFlag => {
            const [, short, long = '', fallback] =
              /^(?:(-\w), )?(--[\w-]+)(?: [\w]+)?(?:=(.*))?$/.exec(flag.trim()) ?? assert.fail(`cannot read ${flag}`);
            return { long, ...(short && { short }), ...(fallback && { fallback }) };
          }),
      };
    });
}

const below = (command: Command): readonly Option[] => [...command.options, ...command.commands.flatMap(below)];

/** Defaults that mean the same: `1m30s` and `90s`, an empty list and none. */
function sameDefault(theirs: string | undefined, ours: unknown): boolean {
  const plain = (value: unknown): string => {
    const text = Array.isArray(value) ? value.join(',') : String(value ?? '');
    if (['false', '[]', '0'].includes(text)) return '';
    return /^(\d+(h|m|s))+$/.test(text) ? String(durationMs(text)) : text.replace(/^\[(.*)\]$/, '$1');
  };
  return plain(theirs) === plain(ours);
}

describe("Istio's commands, flags and defaults", {
  skip: !existsSync(reference) && 'no list of them beside this repository',
}, () => {
  const program = commandTree();
  for (const { path, aliases, flags } of existsSync(reference) ? readReference(readFileSync(reference, 'utf8')) : [])
    test(['istioctl', ...path].join(' '), () => {
      let command: Command | undefined = program;
      for (const word of path) command = command && subcommand(command, word);
      assert.ok(command, 'the command is missing');
      const differences: string[] = [];
      // A name that is a command of its own here does the same.
      for (const alias of aliases)
        if (!subcommand(command.parent ?? program, alias)) differences.push(`alias ${alias} is missing`);
      for (const { short, long, fallback } of flags) {
        if (deliberate[`${path.join(' ')} ${long}`]) continue;
        // Flags of a parent may be given to it as long as one of its commands has them.
        const ours = [...optionsFor(command), ...below(command)].find((option) => option.long === long);
        if (!ours) differences.push(`${long} is missing`);
        else {
          if (short && ours.short !== short) differences.push(`${long} has no ${short}`);
          if (!sameDefault(fallback, ours.defaultValue))
            differences.push(`${long} is ${String(ours.defaultValue)}, not ${fallback}`);
        }
      }
      assert.deepEqual(differences, []);
    });
});
