import { Command, Option } from 'commander';
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
}

const collect = (value: string, previous: readonly string[] | undefined): readonly string[] => [
  ...(previous ?? []),
  value,
];

/** Adds `-r`, which many commands share. */
export const revisionOption = () => new Option('-r, --revision <name>', 'control plane revision');

/** Every option of a command and those below it. */
function optionsOf(command: Command): readonly Option[] {
  return [...command.options, ...command.commands.flatMap(optionsOf)];
}

/**
 * Flags as Go's programs take them: `--purge=true` and `--browser=false` beside `--purge` and `--no-browser`. Only where every option of that name is a
 * switch; words after `--` stay.
 */
export function withSwitches(argv: readonly string[], program: Command): readonly string[] {
  const options = optionsOf(program);
  const end = argv.indexOf('--');
  return argv.flatMap((word, index) => {
    const [, flag, value] = /^(--[a-zA-Z][\w-]*)=(true|false)$/.exec(word) ?? [];
    if (flag === undefined || (end >= 0 && index > end)) return [word];
    const named = options.filter(({ long }) => long === flag);
    if (named.length === 0 || !named.every((option) => option.isBoolean())) return [word];
    if (value === 'true') return [flag];
    const negative = `--no-${flag.slice(2)}`;
    return options.some(({ long }) => long === negative) ? [negative] : [];
  });
}

/** The parent of commands that several groups fill, for example `manifest`: made by whoever asks first. */
export function parentCommand(program: Command, name: string, description: string): Command {
  return program.commands.find((command) => command.name() === name) ?? program.command(name).description(description);
}

/** `istioctl experimental`, which several groups fill. */
export const experimentalCommand = (program: Command): Command =>
  program.commands.find((command) => command.name() === 'experimental') ??
  program.command('experimental').aliases(['x', 'exp']).description('commands that may still change');

/** Adds a switch that is on unless `--no-NAME` (or `--NAME=false`) turns it off. */
export function switchedOn(command: Command, name: string, description: string): Command {
  return command
    .addOption(new Option(`--${name}`, description).default(true))
    .addOption(new Option(`--no-${name}`).hideHelp());
}

/** The commands of istioctl. Each loads its code when it runs, so that a short command starts fast. */
export type CommandGroup = (program: Command, action: Act) => void;

/** Turns the handler of a command into commander's action: opens the session, runs, closes it and ends with the exit code. */
export type Act = (
  handler: (session: Session, flags: never, ...words: (string | undefined)[]) => Promise<number>,
) => (...args: unknown[]) => Promise<void>;

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
    .showHelpAfterError('(run with --help for what is possible)')
    .showSuggestionAfterError(true)
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
      const session = openSession({
        istioNamespace: raw.istioNamespace,
        ...(raw.kubeconfig !== undefined && { kubeconfig: raw.kubeconfig }),
        ...(raw.context !== undefined && { context: raw.context }),
        ...(raw.namespace !== undefined && { namespace: raw.namespace }),
        ...(raw.as !== undefined && { as: raw.as }),
        ...(raw.asGroup !== undefined && { asGroup: raw.asGroup }),
      });
      try {
        finish(await handler(session, raw as never, ...words));
      } finally {
        session.close();
      }
    };
  for (const group of groups) group(program, act);
  return program;
}
