import { Command, CommanderError, Option } from 'commander';
import { type CommandLine, readCommandLine, subcommand } from './command-line.ts';
import { type UserDefault, userDefaults } from './defaults.ts';
import { durationMs, wholeNumber } from './duration.ts';
import { CliError, usageExitCode } from './failure.ts';
import { groupCommands, hasAction, helpLayout } from './help-layout.ts';
import type { GlobalFlags, Session } from './session.ts';

/** Makes a session out of the flags that stand before or after the command. */
export type OpenSession = (flags: GlobalFlags) => Session;
/** Ends the program with an exit code. */
export type Finish = (code: number) => void;

interface RawGlobals {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly namespace?: string;
  readonly istioNamespace: string;
  readonly as?: string;
  readonly asGroup?: readonly string[];
  readonly asUid?: string;
  readonly kubeclientTimeout: string;
  readonly vklog?: string;
}

/** For flags that may be given several times. */
export const collect = (value: string, previous: readonly string[] | undefined): readonly string[] => [
  ...(previous ?? []),
  value,
];

/** For flags that may be given several times and whose values are lists separated by commas. */
export const collectList = (value: string, previous: readonly string[] | undefined): readonly string[] => [
  ...(previous ?? []),
  ...value.split(',').filter((entry) => entry !== ''),
];

/** Adds `-r`, which many commands share. */
export const revisionOption = () => new Option('-r, --revision <name>', 'control plane revision');

/** The parent of commands that several groups fill, for example `manifest`: made by whoever asks first. */
export function parentCommand(program: Command, name: string, description: string): Command {
  return program.commands.find((command) => command.name() === name) ?? program.command(name).description(description);
}

/** `istioctl experimental`, which several groups fill. */
export const experimentalCommand = (program: Command): Command =>
  program.commands.find((command) => command.name() === 'experimental') ??
  program.command('experimental').aliases(['x', 'exp']).description('commands that may still change');

/** Adds a switch that is on unless `--no-NAME` (or `--NAME=false`) turns it off. */
export function switchedOn(command: Command, name: string, description: string, short?: string): Command {
  const flags = short === undefined ? `--${name}` : `-${short}, --${name}`;
  return command
    .addOption(new Option(flags, description).default(true))
    .addOption(new Option(`--no-${name}`).hideHelp());
}

/** The commands of istioctl. Each loads its code when it runs, so that a short command starts fast. */
export type CommandGroup = (program: Command, action: Act) => void;

/** Turns the handler of a command into commander's action: opens the session, runs, closes it and ends with the exit code. */
export type Act = (
  handler: (session: Session, flags: never, ...words: (string | undefined)[]) => Promise<number>,
) => (...args: unknown[]) => Promise<void>;

/** The global flags out of what commander read; raises CliError for values that cannot be used. */
function globalFlags(raw: RawGlobals): GlobalFlags {
  const timeout = durationMs(raw.kubeclientTimeout, '--kubeclient-timeout');
  return {
    istioNamespace: raw.istioNamespace,
    ...(raw.kubeconfig !== undefined && { kubeconfig: raw.kubeconfig }),
    ...(raw.context !== undefined && { context: raw.context }),
    ...(raw.namespace !== undefined && { namespace: raw.namespace }),
    ...(raw.as !== undefined && { as: raw.as }),
    ...(raw.asGroup !== undefined && { asGroup: raw.asGroup }),
    ...(raw.asUid !== undefined && { asUid: raw.asUid }),
    // Zero is Go's way to say "no limit"; a day is as good.
    kubeclientTimeoutMs: timeout === 0 ? 24 * 3600 * 1000 : timeout,
    verbosity: raw.vklog === undefined ? 0 : wholeNumber(raw.vklog, '--vklog'),
  };
}

/** The tree of commands. Each reads its flags, opens a session and ends by `finish`; parse command lines with {@link runProgram}. */
export function createProgram(
  version: string,
  openSession: OpenSession,
  finish: Finish,
  groups: readonly CommandGroup[],
): Command {
  const program = new Command('istioctl')
    .description('Installs, configures and explains an Istio service mesh.')
    .version(version, '--client-version', 'print the version of istioctl')
    .option('-c, --kubeconfig <file>', 'Kubernetes configuration file')
    .option('--context <name>', 'context of the kubeconfig to use')
    .option('-i, --istioNamespace <name>', 'namespace of the control plane', 'istio-system')
    .option('-n, --namespace <name>', 'namespace to work in')
    .option('--as <user>', 'user to impersonate')
    .option('--as-group <group>', 'group to impersonate; may be given several times', collect)
    .option('--as-uid <uid>', 'UID to impersonate')
    .option('--kubeclient-timeout <duration>', 'how long one request to the Kubernetes API may take', '15s')
    .option('--vklog <level>', 'from level 6 on, print each request to the Kubernetes API')
    .helpOption('-h, --help', 'what a command does and takes')
    .helpCommand(false)
    .configureHelp(helpLayout)
    .showHelpAfterError('(run with --help for what is possible)')
    .showSuggestionAfterError(true)
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error:/, 'Error:')) })
    .addHelpText(
      'after',
      `
Examples:
  istioctl install --set profile=demo -y        install the mesh
  istioctl proxy-status                         is every proxy up to date?
  istioctl proxy-config routes deploy/frontend  what does this proxy know?
  istioctl local up                             a cluster on this machine`,
    );
  const act: Act =
    (handler) =>
    async (...args) => {
      const command = args.at(-1) as Command;
      const words = args.slice(0, -2) as (string | undefined)[];
      const raw = command.optsWithGlobals() as RawGlobals & Readonly<Record<string, unknown>>;
      const session = openSession(globalFlags(raw));
      try {
        finish(await handler(session, raw as never, ...words));
      } finally {
        session.close();
      }
    };
  for (const group of groups) group(program, act);
  groupCommands(program);
  return program;
}

/** Puts users' defaults under the flags of all commands. */
function applyDefaults(command: Command, defaults: readonly UserDefault[]): void {
  for (const { flag, value } of defaults) {
    const option = command.options.find(({ long }) => long === `--${flag}`);
    if (option)
      command.setOptionValueWithSource(option.attributeName(), option.isBoolean() ? value === 'true' : value, 'env');
  }
  for (const child of command.commands) applyDefaults(child, defaults);
}

/** `istioctl proxy-status` is `istioctl experimental proxy-status` for users who prefer experimental commands. */
function preferExperimental(line: CommandLine, program: Command): CommandLine {
  const experimental = subcommand(program, 'experimental');
  const [name = ''] = line.words;
  const twin = line.command.parent === program && experimental ? subcommand(experimental, name) : undefined;
  return twin ? { ...line, command: twin, words: ['experimental', ...line.words] } : line;
}

/**
 * Runs the command that the words (without `node` and the script) name. A parent without a subcommand prints its help. Raises CliError for a command line
 * that cannot be understood (exit code 64) and whatever the command raises.
 */
export async function runProgram(
  program: Command,
  words: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  const defaults = userDefaults(env).filter(({ isSet }) => isSet);
  applyDefaults(program, defaults);
  const read = readCommandLine(words, program);
  const prefers = defaults.some(({ flag, value }) => flag === 'prefer-experimental' && value === 'true');
  const line = prefers ? preferExperimental(read, program) : read;
  try {
    const asksVersion = line.command === program && line.words.includes('--client-version');
    const isOnlyParent = line.command.commands.length > 0 && !hasAction(line.command);
    if (isOnlyParent && line.operands === 0 && line.bad.length === 0 && !asksVersion) line.command.outputHelp();
    else await program.parseAsync([...line.words], { from: 'user' });
  } catch (error) {
    // commander has printed what is wrong; help and --client-version end this way too.
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) throw new UsageFailure();
  }
}

/** A command line that commander has refused and explained: only the exit code is left to set. */
export class UsageFailure extends CliError {
  constructor() {
    super('', usageExitCode);
    this.name = 'UsageFailure';
  }
}
