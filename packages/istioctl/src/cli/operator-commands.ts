import { type Command, Option } from 'commander';
import type { CommandGroup } from './program.ts';
import { parentCommand, revisionOption } from './program.ts';
import { durationMs, type SpecFlags, specOf, withSpec } from './spec-flags.ts';

interface InstallFlags extends SpecFlags {
  readonly skipConfirmation?: boolean;
  readonly dryRun?: boolean;
  readonly readinessTimeout: string;
  readonly verify?: boolean;
  readonly force?: boolean;
}

/** install, uninstall, manifest install, verify-install and kube-inject. */
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
  install(manifest.command('install').alias('apply').description('the same as istioctl install'));

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
