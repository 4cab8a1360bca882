import type { Argument, Command, Option } from 'commander';
import { optionsFor, subcommand } from '../cli/command-line.ts';
import { isHidden } from '../cli/help-layout.ts';

/** A word that may stand where the cursor is, and what it means. */
export interface Candidate {
  readonly word: string;
  readonly description?: string;
}

/** What is asked for where the cursor is. `prefix` stands before every answer: the `--flag=` of a value that is written in the same word. */
export type Question =
  | {
      readonly kind: 'words';
      readonly prefix: string;
      readonly typed: string;
      readonly candidates: readonly Candidate[];
    }
  | {
      readonly kind: 'value';
      readonly prefix: string;
      readonly typed: string;
      readonly command: Command;
      readonly of: Option | Argument;
      readonly flags: FlagsGiven;
    }
  | { readonly kind: 'nothing' };

/** Values of the flags before the cursor, by long name without dashes; of a flag given several times the last. */
export type FlagsGiven = ReadonlyMap<string, string>;

const named = (options: readonly Option[], flag: string) =>
  options.find((option) => option.long === flag || option.short === flag);

/**
 * Finds out what a user wants to have completed. `words` are those after the program's name up to the cursor; the last one is the one under the cursor
 * and may be empty.
 */
export function questionOf(program: Command, words: readonly string[]): Question {
  let command = program;
  let operands = 0;
  let literal = false;
  const flags = new Map<string, string>();
  const seen = new Set<Option>();
  const typed = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  for (let at = 0; at < before.length; at++) {
    const word = before[at] ?? '';
    if (literal) {
      operands++;
    } else if (word === '--') {
      literal = true;
    } else if (word.startsWith('-') && word !== '-') {
      const [flag = '', value] = word.split(/=(.*)/s);
      const option = named(optionsFor(command), flag);
      if (!option) continue;
      seen.add(option);
      if (value !== undefined) flags.set(option.name(), value);
      else if (option.required) {
        if (at + 1 >= before.length) return { kind: 'value', prefix: '', typed, command, of: option, flags };
        flags.set(option.name(), before[++at] ?? '');
      }
    } else {
      const child = operands === 0 ? subcommand(command, word) : undefined;
      if (child) command = child;
      else operands++;
    }
  }
  if (!literal && typed.startsWith('-') && typed !== '-') return flagQuestion(command, typed, seen, flags);
  if (operands === 0 && !literal && command.commands.length > 0) return commandQuestion(command, typed);
  const positions = command.registeredArguments;
  const argument = positions[operands] ?? (positions.at(-1)?.variadic ? positions.at(-1) : undefined);
  return argument
    ? { kind: 'value', prefix: '', typed, command, of: argument, flags }
    : { kind: 'words', prefix: '', typed, candidates: [] };
}

function flagQuestion(command: Command, typed: string, seen: ReadonlySet<Option>, flags: FlagsGiven): Question {
  const options = optionsFor(command);
  const [, flag, value] = /^(--[^=]+)=(.*)$/s.exec(typed) ?? [];
  if (flag !== undefined && value !== undefined) {
    const option = named(options, flag);
    if (!option) return { kind: 'nothing' };
    const prefix = `${flag}=`;
    if (!option.isBoolean()) return { kind: 'value', prefix, typed: value, command, of: option, flags };
    return { kind: 'words', prefix, typed: value, candidates: [{ word: 'true' }, { word: 'false' }] };
  }
  const candidates = options
    // A parser that collects values takes the flag several times.
    .filter((option) => !option.hidden && (!seen.has(option) || option.parseArg !== undefined))
    .flatMap((option) => {
      const description = option.description.split('\n')[0] ?? '';
      const long = option.long ? [{ word: option.long, description }] : [];
      // Short names only when one was begun with: they would double every line.
      return option.short && typed === option.short ? [{ word: option.short, description }, ...long] : long;
    });
  const help = { word: '--help', description: 'what this command does and takes' };
  return { kind: 'words', prefix: '', typed, candidates: [...candidates, help] };
}

function commandQuestion(command: Command, typed: string): Question {
  const visible = command.commands.filter((child) => !isHidden(child));
  const byName = visible.map((child) => ({ word: child.name(), description: child.description() }));
  // Other names of commands only where no first name fits: `istioctl pc<TAB>`.
  const byAlias = visible.flatMap((child) =>
    child.aliases().map((alias) => ({ word: alias, description: child.description() })),
  );
  const fits = byName.some(({ word }) => word.startsWith(typed));
  return { kind: 'words', prefix: '', typed, candidates: fits ? byName : byAlias };
}
