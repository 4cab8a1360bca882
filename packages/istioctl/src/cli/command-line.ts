import type { Command, Option } from 'commander';
import { CliError, usageExitCode } from './failure.ts';

/** A command line as commander takes it, and the command that it names. */
export interface CommandLine {
  readonly command: Command;
  /** Without `node` and the script: first the command's path, then flags and arguments in their order. */
  readonly words: readonly string[];
  /** How many words are neither flags, values of flags, nor the command's path. */
  readonly operands: number;
  /** Flags that the command does not know, and those that lack their value. */
  readonly bad: readonly string[];
}

const on = new Set(['1', 't', 'T', 'true', 'TRUE', 'True']);
const off = new Set(['0', 'f', 'F', 'false', 'FALSE', 'False']);

/** Every option of a command and of those below it. */
function optionsBelow(command: Command): readonly Option[] {
  return [...command.options, ...command.commands.flatMap(optionsBelow)];
}

/** The options that may be given to a command: its own and those of its parents. */
export function optionsFor(command: Command): readonly Option[] {
  return [...command.options, ...(command.parent ? optionsFor(command.parent) : [])];
}

/** The subcommand of this name or alias. */
export function subcommand(command: Command, word: string): Command | undefined {
  return command.commands.find((child) => child.name() === word || child.aliases().includes(word));
}

/** A command that has left `experimental` since an earlier version of Istio: it stands at the top now. */
function moved(command: Command, word: string): Command | undefined {
  return command.name() === 'experimental' && command.parent ? subcommand(command.parent, word) : undefined;
}

/** Splits `--flag=value` and `-f=value`; undefined for words that are no flags. */
function splitFlag(word: string): { readonly flag: string; readonly value?: string } | undefined {
  const [, flag, value] = /^(--[a-zA-Z][\w.-]*|-[a-zA-Z])(?:=(.*))?$/s.exec(word) ?? [];
  if (flag === undefined) return undefined;
  return value === undefined ? { flag } : { flag, value };
}

const isHelp = (word: string): boolean => word === '-h' || word === '--help';

const named = (options: readonly Option[], flag: string): Option | undefined =>
  options.find((option) => option.long === flag || option.short === flag);

/**
 * Reads a command line as Go's programs do: flags may stand anywhere, also between the words of a command's path; a switch may be given a value
 * (`--purge=false`, `-y=true`) and a short flag an equals sign (`-f=x`); what stood below
 * `experimental` once may still be called so. Words after `--` stay as they are. Unknown words and flags stay too, for commander
 * to refuse. Raises CliError for a switch with a value that is neither true nor false.
 */
export function readCommandLine(words: readonly string[], program: Command): CommandLine {
  let command = program;
  let operands = 0;
  const path: string[] = [];
  const rest: string[] = [];
  const bad: string[] = [];
  const end = words.indexOf('--');
  const flagged = end < 0 ? words : words.slice(0, end);
  for (let at = 0; at < flagged.length; at++) {
    const word = flagged[at] ?? '';
    if (word.startsWith('-') && word !== '-') {
      rest.push(word);
      const known = [...optionsFor(command), ...optionsBelow(command)];
      const option = named(known, word);
      if (!option && !isHelp(word) && !named(known, splitFlag(word)?.flag ?? word.slice(0, 2))) bad.push(word);
      if (option?.required) {
        if (at + 1 < flagged.length) rest.push(flagged[++at] ?? '');
        else bad.push(word);
      }
      continue;
    }
    const child = operands === 0 ? (subcommand(command, word) ?? moved(command, word)) : undefined;
    if (child?.parent === program) path.length = 0;
    if (child) {
      command = child;
      path.push(word);
    } else {
      operands++;
      rest.push(word);
    }
  }
  const tail = end < 0 ? [] : words.slice(end);
  return {
    command,
    bad,
    operands: operands + Math.max(0, tail.length - 1),
    words: [...path, ...inCommanderForm(rest, optionsFor(command)), ...tail],
  };
}

function inCommanderForm(words: readonly string[], options: readonly Option[]): readonly string[] {
  const result: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    const { flag, value } = splitFlag(word) ?? {};
    const option = flag === undefined ? undefined : named(options, flag);
    if (option === undefined || flag === undefined || value === undefined) {
      result.push(word);
      // The value of a flag is never looked at, whatever it looks like.
      if (option?.required && at + 1 < words.length) result.push(words[++at] ?? '');
    } else if (!option.isBoolean()) {
      result.push(...(flag.startsWith('--') ? [word] : [flag, value]));
    } else if (on.has(value)) {
      result.push(flag);
    } else if (off.has(value)) {
      const negative = `--no-${option.name()}`;
      const earlier = result.flatMap((given, index) =>
        given === option.long || given === option.short ? [index] : [],
      );
      for (const index of earlier.reverse()) result.splice(index, 1);
      if (options.some(({ long }) => long === negative)) result.push(negative);
    } else {
      throw new CliError(`${flag} is a switch: "${value}" is neither true nor false`, usageExitCode);
    }
  }
  return result;
}
