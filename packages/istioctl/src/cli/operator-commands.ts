import { type Command, Option } from 'commander';
import { durationMs } from './duration.ts';
import type { CommandGroup } from './program.ts';
import { parentCommand } from './program.ts';
import type { Session } from './session.ts';
import { type SpecFlags, specOf, withSpec } from './spec-flags.ts';

/** Flags of install, and of what installs in another way. */
export interface InstallFlags extends SpecFlags {
  readonly skipConfirmation?: boolean;
  readonly dryRun?: boolean;
  readonly readinessTimeout: string;
  readonly verify?: boolean;
  readonly force?: boolean;
}

/** Adds the flags that install and upgrade have in common. */
export const withInstallFlags = (command: Command, force: string): Command =>
  withSpec(command)
    .option('-y, --skip-confirmation', 'do not ask')
    .option('--dry-run', 'show what would change, let the cluster check it, change nothing')
    .addOption(new Option('--readiness-timeout <duration>', 'how long to wait for each part').default('5m0s'))
    .option('--verify', 'check the installation afterwards')
    .option('--force', force);

/** What installing is told by these flags. */
export const installOptions = (session: Session, flags: InstallFlags) => ({
  ...specOf(session, flags),
  dryRun: flags.dryRun === true,
  skipConfirmation: flags.skipConfirmation === true,
  readinessTimeoutMs: durationMs(flags.readinessTimeout, '--readiness-timeout'),
  verify: flags.verify === true,
  force: flags.force === true,
});

/** install, uninstall, manifest install, and verify-install. */
export const operatorCommands: CommandGroup = (program, act) => {
  const load = () => import('../install/index.ts');
  const install = (command: Command) =>
    withInstallFlags(command, 'go on in spite of mistakes in the settings, and over objects of Helm releases').action(
      act(async (session, flags: InstallFlags) => (await load()).runInstall(installOptions(session, flags))),
    );
  install(program.command('install').alias('apply').description('install or change the mesh of a cluster')).addHelpText(
    'after',
    `
Shows what it will create, change and remove, and asks. Running it again repairs what was changed or interrupted.

Examples:
  istioctl install --set profile=demo -y
  istioctl install -f my-config.yaml --dry-run
  istioctl install --set meshConfig.accessLogFile=/dev/stdout --set values.gateways.istio-ingressgateway.type=NodePort
  istioctl install --revision canary              a second control plane beside the first`,
  );
  withSpec(program.command('uninstall'))
    .description('remove a control plane, or everything of Istio')
    .option('--purge', 'remove everything of Istio, its custom resource definitions included')
    .option('-y, --skip-confirmation', 'do not ask')
    .option('--dry-run', 'show what would be removed')
    .option('-v, --verbose', 'say more')
    .option('--force', 'go on in spite of mistakes in the settings that -f gives')
    .addHelpText(
      'after',
      `
Namespaces and their secrets stay, so that the next installation has the same root certificate.

Examples:
  istioctl uninstall --revision canary            one control plane; says which proxies still use it
  istioctl uninstall -f my-config.yaml            the one that this file installed
  istioctl uninstall --purge --dry-run            everything; only show it`,
    )
    .action(
      act(async (session, flags: InstallFlags & { purge?: boolean; verbose?: boolean }) =>
        (await load()).runUninstall({
          ...specOf(session, flags),
          purge: flags.purge === true,
          dryRun: flags.dryRun === true,
          skipConfirmation: flags.skipConfirmation === true,
          verbose: flags.verbose === true,
          force: flags.force === true,
        }),
      ),
    );
  withSpec(program.command('verify-install'))
    .description('is everything that an installation should have in the cluster, and ready?')
    .addHelpText(
      'after',
      `
Without settings it checks against those that the installation was made with. Ends with 1 when something is missing or not ready.

Examples:
  istioctl verify-install
  istioctl verify-install --revision canary
  istioctl verify-install -f my-config.yaml`,
    )
    .action(act(async (session, flags: SpecFlags) => (await load()).runVerifyInstall(specOf(session, flags))));

  const manifest = parentCommand(program, 'manifest', 'the objects that an installation consists of');
  install(manifest.command('install').alias('apply').description('the same as istioctl install'));
};
