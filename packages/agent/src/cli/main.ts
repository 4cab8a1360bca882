import { VERSION } from '@istio-ts/api/version';
import { preferSmallMemory } from '../memory.ts';
import { createLogger, parseLogLevel } from '../log.ts';
import { formatHelp, parseArguments, UsageError } from './arguments.ts';
import type { FlagSpec, ParsedArguments } from './arguments.ts';

/** Flags that every command takes. */
const COMMON_FLAGS: readonly FlagSpec[] = [
  { name: 'help', short: 'h', kind: 'boolean', help: 'Help' },
  { name: 'log_as_json', kind: 'boolean', help: 'Write log lines as JSON' },
  { name: 'log_caller', kind: 'text', help: 'Accepted for compatibility' },
  {
    name: 'log_output_level',
    kind: 'text',
    default: 'default:info',
    help: 'Least severe level written, as default:debug',
  },
  { name: 'log_stacktrace_level', kind: 'text', help: 'Accepted for compatibility' },
  { name: 'log_target', kind: 'text', help: 'Accepted for compatibility' },
  { name: 'vklog', kind: 'text', help: 'Accepted for compatibility' },
];

interface Command {
  readonly usage: string;
  readonly description: string;
  readonly flags: () => Promise<readonly FlagSpec[]>;
  readonly run: (args: ParsedArguments) => Promise<number>;
}

/** Commands load their code when they run: the one that stays in memory pays for itself only. */
const COMMANDS: Readonly<Record<string, Command>> = {
  proxy: {
    usage: 'pilot-agent proxy [sidecar|router|waypoint] [flags]',
    description: 'Runs Envoy with configuration and certificates from the control plane.',
    flags: async () => (await import('./proxy-command.ts')).PROXY_FLAGS,
    run: async (args) => {
      preferSmallMemory();
      return (await import('./proxy-command.ts')).runProxy(args, logger(args));
    },
  },
  'istio-iptables': {
    usage: 'pilot-agent istio-iptables [flags]',
    description: 'Writes the rules that send the traffic of a pod through Envoy.',
    flags: async () => (await import('./iptables-command.ts')).IPTABLES_FLAGS,
    run: async (args) => {
      await (await import('./iptables-command.ts')).runIptables(args, process.env);
      return 0;
    },
  },
  request: {
    usage: 'pilot-agent request METHOD PATH [flags]',
    description: "Sends a request to Envoy's admin interface.",
    flags: async () => (await import('./small-commands.ts')).REQUEST_FLAGS,
    run: async (args) => (await import('./small-commands.ts')).runRequest(args),
  },
  wait: {
    usage: 'pilot-agent wait [flags]',
    description: 'Waits until the proxy is ready.',
    flags: async () => (await import('./small-commands.ts')).WAIT_FLAGS,
    run: async (args) => (await import('./small-commands.ts')).runWait(args),
  },
  version: {
    usage: 'pilot-agent version [flags]',
    description: 'Prints the version.',
    flags: async () => (await import('./small-commands.ts')).VERSION_FLAGS,
    run: async (args) => {
      process.stdout.write((await import('./small-commands.ts')).formatVersion(VERSION, args));
      return 0;
    },
  },
};

function logger(args: ParsedArguments): ReturnType<typeof createLogger> {
  return createLogger({
    level: parseLogLevel(args.text('log_output_level')),
    json: args.boolean('log_as_json'),
    write: (line) => process.stdout.write(line),
  });
}

/** Runs a command line (without `node` and the script) and gives the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const [name = '', ...rest] = argv;
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) {
    const list = Object.entries(COMMANDS).map(([word, entry]) => `  ${word.padEnd(16)}${entry.description}`);
    const text = `Runs and watches the proxy of a pod.\n\nUsage:\n  pilot-agent COMMAND [flags]\n\nCommands:\n${list.join('\n')}\n`;
    if (name === '' || name === '--help' || name === '-h' || name === 'help') {
      process.stdout.write(text);
      return 0;
    }
    process.stderr.write(`Error: unknown command "${name}"\n\n${text}`);
    return 1;
  }
  try {
    const flags = [...(await command.flags()), ...COMMON_FLAGS];
    const args = parseArguments(rest, flags);
    if (args.boolean('help')) {
      process.stdout.write(formatHelp(command.usage, command.description, flags));
      return 0;
    }
    return await command.run(args);
  } catch (error) {
    const usage = error instanceof UsageError ? `\nRun "pilot-agent ${name} --help" for the flags.` : '';
    process.stderr.write(`Error: ${error instanceof Error ? error.message : String(error)}${usage}\n`);
    return error instanceof Error && 'exitCode' in error && typeof error.exitCode === 'number' ? error.exitCode : 1;
  }
}
