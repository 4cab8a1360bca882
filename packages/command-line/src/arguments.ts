/**
 * A parser for command lines in the manner of the Go programs this one stands in for: `--name value`, `--name=value`,
 * `-n value`, `-nvalue`, booleans with an optional `=true|false`, `--` before positionals.
 */

/** One flag. Text flags may be given several times; the last one counts unless the reader asks for all. */
export interface FlagSpec {
  readonly name: string;
  readonly short?: string;
  readonly kind: 'text' | 'boolean' | 'integer' | 'list';
  readonly default?: string;
  readonly help: string;
}

/** Thrown for a command line that does not fit; the message is for the user. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

export interface ParsedArguments {
  readonly positionals: readonly string[];
  text(name: string): string;
  /** True when the flag stood on the command line. */
  given(name: string): boolean;
  boolean(name: string): boolean;
  integer(name: string): number;
  /** Values of a flag of kind list, split at commas. */
  list(name: string): readonly string[];
}

/** Raises {@link UsageError} for unknown flags, missing values and malformed numbers. */
export function parseArguments(argv: readonly string[], flags: readonly FlagSpec[]): ParsedArguments {
  const byName = new Map(flags.map((flag) => [flag.name, flag]));
  const byShort = new Map(flags.flatMap((flag) => (flag.short === undefined ? [] : [[flag.short, flag] as const])));
  const values = new Map<string, string[]>();
  const positionals: string[] = [];
  const put = (flag: FlagSpec, value: string): void => {
    if (flag.kind === 'boolean' && !/^(true|false|1|0|t|f)$/i.test(value))
      throw new UsageError(`--${flag.name}: "${value}" is neither true nor false`);
    if (flag.kind === 'integer' && !/^-?\d{1,15}$/.test(value))
      throw new UsageError(`--${flag.name}: "${value}" is not a whole number`);
    values.set(flag.name, [...(values.get(flag.name) ?? []), value]);
  };
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? '';
    if (word === '--') {
      positionals.push(...argv.slice(at + 1));
      break;
    }
    if (!word.startsWith('-') || word === '-') {
      positionals.push(word);
      continue;
    }
    const long = word.startsWith('--');
    const body = word.slice(long ? 2 : 1);
    const equals = body.indexOf('=');
    const name = long ? (equals < 0 ? body : body.slice(0, equals)) : body.slice(0, 1);
    const flag = long ? byName.get(name) : byShort.get(name);
    if (flag === undefined) throw new UsageError(`unknown flag: ${long ? '--' : '-'}${name}`);
    const attached = long
      ? equals < 0
        ? undefined
        : body.slice(equals + 1)
      : body.length > 1
        ? body.slice(1).replace(/^=/, '')
        : undefined;
    if (attached !== undefined) put(flag, attached);
    else if (flag.kind === 'boolean') put(flag, 'true');
    else {
      const value = argv[++at];
      if (value === undefined) throw new UsageError(`flag needs a value: ${word}`);
      put(flag, value);
    }
  }
  const text = (name: string): string => values.get(name)?.at(-1) ?? byName.get(name)?.default ?? '';
  return {
    positionals,
    text,
    given: (name) => values.has(name),
    boolean: (name) => /^(true|1|t)$/i.test(text(name)),
    integer: (name) => Number(text(name) || '0'),
    list: (name) =>
      (values.get(name) ?? [text(name)])
        .join(',')
        .split(',')
        .map((entry) => entry.trim())
        .filter((entry) => entry !== ''),
  };
}

const kindNames = { text: 'string', integer: 'int', list: 'strings' } as const;

/** Help text of one command. */
export function formatHelp(usage: string, description: string, flags: readonly FlagSpec[]): string {
  const rows = flags.map((flag) => {
    const left = `${flag.short === undefined ? '    ' : `-${flag.short}, `}--${flag.name}${flag.kind === 'boolean' ? '' : ` ${kindNames[flag.kind]}`}`;
    return [left, flag.help + (flag.default ? ` (default ${flag.default})` : '')] as const;
  });
  const width = Math.max(0, ...rows.map(([left]) => left.length)) + 3;
  const lines = rows.map(([left, right]) => `  ${left.padEnd(width)}${right}`);
  return `${description}\n\nUsage:\n  ${usage}\n${lines.length === 0 ? '' : `\nFlags:\n${lines.join('\n')}\n`}`;
}
