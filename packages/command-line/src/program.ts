import { type FlagSpec, formatHelp, type ParsedArguments, parseArguments, UsageError } from './arguments.ts';
import { completionScript, type Shell } from './completion-scripts.ts';

/** One command of a program. */
export interface ProgramCommand {
  readonly usage: string;
  readonly description: string;
  /** Loaded when the command runs: what stays in memory pays for itself only. */
  readonly flags: () => Promise<readonly FlagSpec[]>;
  /** Gives the exit code. */
  readonly run: (args: ParsedArguments) => Promise<number>;
}

/** A program with commands, as `pilot-agent` and `pilot-discovery` are. */
export interface Program {
  readonly name: string;
  readonly description: string;
  readonly commands: Readonly<Record<string, ProgramCommand>>;
  /** Flags that every command takes. */
  readonly commonFlags: readonly FlagSpec[];
}

export interface ProgramOutput {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
}

const helpFlag: FlagSpec = { name: 'help', short: 'h', kind: 'boolean', help: 'What the command does and takes' };
const shells = ['bash', 'zsh', 'fish', 'powershell'] as const satisfies readonly Shell[];
const completionFlags: readonly FlagSpec[] = [
  { name: 'no-descriptions', kind: 'boolean', help: 'Only the words, without what they mean' },
];

function completionCommand(program: Program, { out }: ProgramOutput): ProgramCommand {
  return {
    usage: `${program.name} completion ${shells.join('|')} [flags]`,
    description: 'Prints the completion script for a shell.',
    flags: async () => completionFlags,
    run: async (args) => {
      const [word, ...rest] = args.positionals;
      const shell = shells.find((known) => known === word);
      if (shell === undefined || rest.length > 0) throw new UsageError(`name one shell: ${shells.join(', ')}`);
      out(completionScript(shell, program.name, !args.boolean('no-descriptions')));
      return 0;
    },
  };
}

/**
 * Runs a command line (without `node` and the script) and gives the exit code: that of the command, for an error its `exitCode` where it has one, else
 * 1.
 */
export async function runProgram(program: Program, argv: readonly string[], output: ProgramOutput): Promise<number> {
  const commands: Program['commands'] = { ...program.commands, completion: completionCommand(program, output) };
  if (argv[0] === '__complete') {
    const words = argv.slice(argv[1] === '--' ? 2 : 1);
    output.out(await candidates({ ...program, commands }, words));
    return 0;
  }
  const asksHelp = argv.length === 0 || argv[0] === 'help' || argv[0] === '--help' || argv[0] === '-h';
  const [name = '', ...rest] = argv[0] === 'help' && argv.length > 1 ? [argv[1] ?? '', '--help'] : argv;
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) {
    const width = Math.max(...Object.keys(commands).map((word) => word.length)) + 3;
    const list = Object.entries(commands).map(([word, entry]) => `  ${word.padEnd(width)}${entry.description}`);
    const text = `${program.description}\n\nUsage:\n  ${program.name} COMMAND [flags]\n\nCommands:\n${list.join('\n')}\n`;
    if (asksHelp && argv.length <= 1) output.out(text);
    else output.err(`Error: unknown command "${name}"\n\n${text}`);
    return asksHelp && argv.length <= 1 ? 0 : 1;
  }
  try {
    const flags = [...(await command.flags()), ...program.commonFlags, helpFlag];
    const args = parseArguments(rest, flags);
    if (args.boolean('help')) {
      output.out(formatHelp(command.usage, command.description, flags));
      return 0;
    }
    return await command.run(args);
  } catch (error) {
    const usage = error instanceof UsageError ? `\nRun "${program.name} ${name} --help" for the flags.` : '';
    output.err(`Error: ${error instanceof Error ? error.message : String(error)}${usage}\n`);
    return error instanceof Error && 'exitCode' in error && typeof error.exitCode === 'number' ? error.exitCode : 1;
  }
}

/** What may stand at the end of a command line, as the completion scripts read it (see `completionScript`). */
async function candidates(program: Program, words: readonly string[]): Promise<string> {
  const typed = words.at(-1) ?? '';
  const [name] = words.slice(0, -1);
  const answer = (found: readonly (readonly [word: string, description: string])[]) =>
    [
      ...found.filter(([word]) => word.startsWith(typed)).map(([word, about]) => (about ? `${word}\t${about}` : word)),
      ':words\n',
    ].join('\n');
  if (name === undefined)
    return answer(Object.entries(program.commands).map(([word, { description }]) => [word, description]));
  const command = Object.hasOwn(program.commands, name) ? program.commands[name] : undefined;
  if (command === undefined) return answer([]);
  const flags = [...(await command.flags()), ...program.commonFlags, helpFlag];
  if (typed.startsWith('-')) return answer(flags.map(({ name: flag, help }) => [`--${flag}`, help]));
  const before = words.at(-2) ?? '';
  const pending = flags.find(({ name: flag, short }) => before === `--${flag}` || (short && before === `-${short}`));
  if (pending && pending.kind !== 'boolean') return ':files\n';
  return answer(name === 'completion' ? shells.map((shell) => [shell, '']) : []);
}
