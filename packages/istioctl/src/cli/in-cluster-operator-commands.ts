import { type Command, Option } from 'commander';
import { durationMs } from './duration.ts';
import { type CommandGroup, parentCommand, revisionOption } from './program.ts';
import { chartsDir, collectList, manifestsOption } from './spec-flags.ts';
import { terminalUi } from './terminal-ui.ts';

interface ChartFlags {
  readonly hub?: string;
  readonly tag?: string;
  readonly operatorNamespace: string;
  readonly watchedNamespaces: readonly string[];
  readonly imagePullSecrets: readonly string[];
  readonly manifests?: string;
  readonly charts?: string;
  readonly revision?: string;
}

const operatorNamespace = () =>
  new Option('--operatorNamespace <name>', 'namespace of the operator').default('istio-operator');

const withChart = (command: Command): Command =>
  command
    .option('--hub <registry>', 'registry of the image of the operator')
    .option('--tag <tag>', 'tag of the image of the operator')
    .addOption(operatorNamespace())
    .addOption(
      new Option(
        '--watchedNamespaces <names>',
        'namespaces whose IstioOperators count, separated by commas; "" for all (default: the one of --istioNamespace)',
      ),
    )
    .option('--imagePullSecrets <names>', 'secrets that the image is pulled with', collectList, [])
    .addOption(manifestsOption())
    .addOption(new Option('--charts <folder>').hideHelp())
    .addOption(revisionOption());

const chartOf = (
  istioNamespace: string,
  flags: Omit<ChartFlags, 'watchedNamespaces'> & { watchedNamespaces?: string },
) => {
  const folder = flags.manifests ?? flags.charts;
  return {
    chartsDir: chartsDir(folder),
    operatorNamespace: flags.operatorNamespace,
    watchedNamespaces: (flags.watchedNamespaces ?? istioNamespace)
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== ''),
    imagePullSecrets: flags.imagePullSecrets,
    ...(flags.hub !== undefined && { hub: flags.hub }),
    ...(flags.tag !== undefined && { tag: flags.tag }),
    ...(flags.revision !== undefined && { revision: flags.revision }),
  };
};
type Flags = Omit<ChartFlags, 'watchedNamespaces'> & { readonly watchedNamespaces?: string };

/** operator init, dump and remove. */
export const inClusterOperatorCommands: CommandGroup = (program, act) => {
  const load = () => import('../operator/in-cluster.ts');
  const operator = parentCommand(
    program,
    'operator',
    'an operator in the cluster that installs what IstioOperators say',
  );
  withChart(operator.command('init'))
    .description('install the operator')
    .option('-f, --filename <file>', 'file with an IstioOperator that it is to bring about', collectList, [])
    .option('--dry-run', 'show what would be applied')
    .option('--force', 'go on in spite of mistakes in the settings of -f')
    .addOption(new Option('--readiness-timeout <duration>', 'how long to wait for the operator').default('5m0s'))
    .addHelpText(
      'after',
      `
Examples:
  istioctl operator init
  istioctl operator init --watchedNamespaces=istio-system,istio-canary
  istioctl operator init -f my-config.yaml
  istioctl operator init --revision canary --tag 1.30.0`,
    )
    .action(
      act(
        async (
          session,
          flags: Flags & { filename: readonly string[]; dryRun?: boolean; force?: boolean; readinessTimeout: string },
        ) =>
          (await load()).runOperatorInit({
            ...chartOf(session.flags.istioNamespace, flags),
            ui: terminalUi(session),
            client: session.client,
            files: flags.filename,
            istioNamespace: session.flags.istioNamespace,
            dryRun: flags.dryRun === true,
            force: flags.force === true,
            readinessTimeoutMs: durationMs(flags.readinessTimeout, '--readiness-timeout'),
          }),
      ),
    );
  withChart(operator.command('dump'))
    .description('print the objects that init applies')
    .option('-o, --output <format>', 'yaml or json', 'yaml')
    .addOption(new Option('--dry-run').hideHelp())
    .addHelpText(
      'after',
      '\nExamples:\n  istioctl operator dump > operator.yaml\n  istioctl operator dump -o json --operatorNamespace mesh-operator',
    )
    .action(
      act(async (session, flags: Flags & { output: string }) =>
        (await load()).runOperatorDump({
          ...chartOf(session.flags.istioNamespace, flags),
          ui: terminalUi(session),
          output: flags.output,
        }),
      ),
    );
  operator
    .command('remove')
    .description('take the operator away; the mesh stays')
    .addOption(operatorNamespace())
    .addOption(revisionOption())
    .option('--purge', 'operators of all revisions, and the definition of IstioOperators')
    .option('--force', 'also while it is still removing something')
    .option('--dry-run', 'show what would be removed')
    .addOption(new Option('-y, --skip-confirmation').hideHelp())
    .addHelpText(
      'after',
      '\nExamples:\n  istioctl operator remove\n  istioctl operator remove --revision canary\n  istioctl operator remove --purge',
    )
    .action(
      act(
        async (
          session,
          flags: {
            readonly operatorNamespace: string;
            readonly revision?: string;
            readonly purge?: boolean;
            readonly force?: boolean;
            readonly dryRun?: boolean;
          },
        ) =>
          (await load()).runOperatorRemove({
            ui: terminalUi(session),
            client: session.client,
            operatorNamespace: flags.operatorNamespace,
            purge: flags.purge === true,
            force: flags.force === true,
            dryRun: flags.dryRun === true,
            ...(flags.revision !== undefined && { revision: flags.revision }),
          }),
      ),
    );
};
