import { VERSION } from '@istio-ts/api/version';
import { preferSmallMemory } from '../memory.ts';
import { createLogger, LOG_SCOPES, LogLevelError, type Logger, parseLogLevels } from '../log.ts';
import { type ProgramCommand, runProgram } from '@istio-ts/command-line/program';
import { versionText } from '@istio-ts/command-line/version';
import { type FlagSpec, type ParsedArguments, UsageError } from './arguments.ts';

/** Flags that every command takes. */
export const COMMON_FLAGS: readonly FlagSpec[] = [
  { name: 'log_as_json', kind: 'boolean', help: 'Write log lines as JSON' },
  { name: 'log_caller', kind: 'text', help: 'Accepted for compatibility' },
  {
    name: 'log_output_level',
    kind: 'text',
    default: 'default:info',
    help: `How much to log, by scope: default:info,dns:debug; scopes are default, ${LOG_SCOPES.join(', ')}, and all`,
  },
  { name: 'log_stacktrace_level', kind: 'text', default: 'default:none', help: 'Accepted for compatibility' },
  { name: 'log_target', kind: 'list', default: 'stdout', help: 'Accepted for compatibility' },
  { name: 'vklog', kind: 'text', help: 'Accepted for compatibility' },
];

/** Commands load their code when they run: the one that stays in memory pays for itself only. */
const COMMANDS: Readonly<Record<string, ProgramCommand>> = {
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
      process.stdout.write(versionText(VERSION, args));
      return 0;
    },
  },
};

function logger(args: ParsedArguments): Logger {
  try {
    return createLogger({
      levels: parseLogLevels(args.text('log_output_level')),
      json: args.boolean('log_as_json'),
      write: (line) => process.stdout.write(line),
    });
  } catch (error) {
    if (error instanceof LogLevelError) throw new UsageError(error.message);
    throw error;
  }
}

/** Runs a command line (without `node` and the script) and gives the exit code. */
export const main = (argv: readonly string[]): Promise<number> =>
  runProgram(
    {
      name: 'pilot-agent',
      description: 'Runs and watches the proxy of a pod.',
      commands: COMMANDS,
      commonFlags: COMMON_FLAGS,
    },
    argv,
    { out: (text) => void process.stdout.write(text), err: (text) => void process.stderr.write(text) },
  );
