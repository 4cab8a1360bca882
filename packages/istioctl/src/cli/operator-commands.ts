import { dirname, join } from 'node:path';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Command, Option } from 'commander';
import { CliError } from './failure.ts';
import type { CommandGroup } from './program.ts';
import { parentCommand, revisionOption } from './program.ts';
import type { Session } from './session.ts';
import { terminalUi } from './terminal-ui.ts';

const collect = (value: string, previous: readonly string[]): readonly string[] => [...previous, value];

interface SpecFlags {
  readonly filename: readonly string[];
  readonly set: readonly string[];
  readonly manifests?: string;
  readonly revision?: string;
}

/** The folder with charts and profiles: given, or the one that came with istioctl. */
function chartsDir(given: string | undefined): string {
  const here = dirname(fileURLToPath(import.meta.url));
  const candidates =
    given === undefined
      ? [
          join(here, '..', 'data', 'manifests'),
          join(here, '..', 'manifests'),
          join(here, '..', '..', '..', 'charts', 'manifests'),
        ]
      : [given, join(given, 'manifests')];
  const found = candidates.find((folder) => existsSync(join(folder, 'profiles')));
  if (!found)
    throw new CliError(
      given === undefined
        ? 'the charts that belong to istioctl are missing: build it again with npm run build'
        : `--manifests ${given}: there is no folder "profiles" in it`,
    );
  return found;
}

/** Reads `5m0s` or `90s` into milliseconds. */
function durationMs(text: string): number {
  const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text)
    throw new CliError(`"${text}" is not a duration: write for example 90s or 5m`);
  return parts.reduce((sum, [, value, unit]) => sum + Number(value) * (units[unit ?? ''] ?? 0), 0);
}

const withSpec = (command: Command): Command =>
  command
    .option(
      '-f, --filename <file>',
      'file with an IstioOperator; may be given several times, later ones on top',
      collect,
      [],
    )
    .option(
      '-s, --set <setting>',
      'PATH=VALUE, for example profile=demo, meshConfig.accessLogFile=/dev/stdout, values.pilot.replicaCount=2',
      collect,
      [],
    )
    .option('-d, --manifests <folder>', 'folder with charts and profiles instead of those of istioctl')
    .addOption(revisionOption());

const specOf = (session: Session, flags: SpecFlags) => ({
  ui: terminalUi(session),
  client: session.client,
  chartsDir: chartsDir(flags.manifests),
  files: flags.filename,
  sets: flags.set,
  istioNamespace: session.flags.istioNamespace,
  ...(flags.revision !== undefined && { revision: flags.revision }),
});

interface InstallFlags extends SpecFlags {
  readonly skipConfirmation?: boolean;
  readonly dryRun?: boolean;
  readonly readinessTimeout: string;
  readonly verify?: boolean;
  readonly force?: boolean;
}

/** install, uninstall, manifest, profile, verify-install and kube-inject. */
export const operatorCommands: CommandGroup = (program, act) => {
  const load = () => import('../install/index.ts');
  const install = (command: Command) =>
    withSpec(command)
      .option('-y, --skip-confirmation', 'do not ask')
      .option('--dry-run', 'let the cluster check everything, change nothing')
      .addOption(new Option('--readiness-timeout <duration>', 'how long to wait for each part').default('5m0s'))
      .option('--verify', 'check the installation afterwards')
      .option('--force', 'go on in spite of mistakes in the settings')
      .action(
        act(async (session, flags: InstallFlags) =>
          (await load()).runInstall({
            ...specOf(session, flags),
            dryRun: flags.dryRun === true,
            skipConfirmation: flags.skipConfirmation === true,
            readinessTimeoutMs: durationMs(flags.readinessTimeout),
            verify: flags.verify === true,
            force: flags.force === true,
          }),
        ),
      );
  install(program.command('install').alias('apply').description('install or change the mesh of a cluster')).addHelpText(
    'after',
    `
Examples:
  istioctl install --set profile=demo -y
  istioctl install -f my-config.yaml
  istioctl install --set meshConfig.accessLogFile=/dev/stdout --set values.gateways.istio-ingressgateway.type=NodePort`,
  );
  withSpec(program.command('uninstall'))
    .description('remove a control plane, or everything of Istio')
    .option('--purge', 'remove everything of Istio, its custom resource definitions included')
    .option('-y, --skip-confirmation', 'do not ask')
    .option('--dry-run', 'show what would be removed')
    .option('-v, --verbose', 'say more')
    .addOption(new Option('--force').hideHelp())
    .action(
      act(async (session, flags: InstallFlags & { purge?: boolean; verbose?: boolean }) =>
        (await load()).runUninstall({
          ...specOf(session, flags),
          purge: flags.purge === true,
          dryRun: flags.dryRun === true,
          skipConfirmation: flags.skipConfirmation === true,
          verbose: flags.verbose === true,
        }),
      ),
    );
  withSpec(program.command('verify-install'))
    .description('is everything that an installation should have in the cluster, and ready?')
    .action(act(async (session, flags: SpecFlags) => (await load()).runVerifyInstall(specOf(session, flags))));

  const manifest = parentCommand(program, 'manifest', 'the objects that an installation consists of');
  withSpec(manifest.command('generate'))
    .description('print the objects; needs no cluster')
    .option('-o, --output <folder>', 'write files into a folder instead')
    .option('--force', 'go on in spite of mistakes in the settings')
    .addOption(new Option('--dry-run').hideHelp())
    .addOption(new Option('--cluster-specific').hideHelp())
    .addHelpText(
      'after',
      '\nExamples:\n  istioctl manifest generate --set profile=demo > istio.yaml\n  istioctl manifest generate -f my-config.yaml | kubectl delete --ignore-not-found=true -f -',
    )
    .action(
      act(async (session, flags: SpecFlags & { output?: string; force?: boolean }) =>
        (await load()).runManifestGenerate({
          ...specOf(session, flags),
          force: flags.force === true,
          ...(flags.output !== undefined && { output: flags.output }),
        }),
      ),
    );
  install(manifest.command('install').alias('apply').description('the same as istioctl install'));

  const profile = program.command('profile').description('the sets of settings that come with istioctl');
  const folder = ['-d, --manifests <folder>', 'folder with charts and profiles instead of those of istioctl'] as const;
  profile
    .command('list')
    .description('their names')
    .option(...folder)
    .action(
      act(async (session, flags: SpecFlags) =>
        (await load()).runProfileList({ ui: terminalUi(session), chartsDir: chartsDir(flags.manifests) }),
      ),
    );
  profile
    .command('dump')
    .argument('[profile]')
    .description('all settings of one')
    .option('-f, --filename <file>', 'an IstioOperator instead of a profile', collect, [])
    .option('-p, --config-path <path>', 'only what stands below this path, for example components.pilot')
    .addOption(new Option('-o, --output <format>', 'yaml, json or flags').default('yaml'))
    .option(...folder)
    .action(
      act(async (session, flags: SpecFlags & { configPath?: string; output: string }, name) =>
        (await load()).runProfileDump({
          ui: terminalUi(session),
          chartsDir: chartsDir(flags.manifests),
          files: flags.filename,
          output: flags.output,
          ...(name !== undefined && { name }),
          ...(flags.configPath !== undefined && { configPath: flags.configPath }),
        }),
      ),
    );
  profile
    .command('diff')
    .argument('<profile>')
    .argument('<profile>')
    .description('settings that differ between two')
    .option(...folder)
    .action(
      act(async (session, flags: SpecFlags, a, b) =>
        (await load()).runProfileDiff({
          ui: terminalUi(session),
          chartsDir: chartsDir(flags.manifests),
          names: [a ?? '', b ?? ''],
        }),
      ),
    );

  program
    .command('kube-inject')
    .description('put the sidecar into the pods of a manifest, as the webhook would')
    .requiredOption('-f, --filename <file>', 'manifest ("-" is standard input)')
    .option('-o, --output <file>', 'write here instead of standard output')
    .option('--injectConfigFile <file>', 'injection templates from a file instead of the cluster')
    .option('--meshConfigFile <file>', 'mesh configuration from a file instead of the cluster')
    .option('--valuesFile <file>', 'values of the injection templates from a file instead of the cluster')
    .option('--meshConfigMapName <name>', 'ConfigMap of the mesh configuration', 'istio')
    .addOption(revisionOption())
    .addHelpText('after', '\nExamples:\n  istioctl kube-inject -f deployment.yaml | kubectl apply -f -')
    .action(act(async (session, flags) => (await import('../commands/kube-inject.ts')).runKubeInject(session, flags)));
};
