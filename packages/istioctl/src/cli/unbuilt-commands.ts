import { CliError } from './failure.ts';
import type { CommandGroup } from './program.ts';

// Commands of Istio's istioctl that this one does not have yet: they are known by name, so that a user reads why instead of "unknown command".
const unbuilt: Readonly<Record<string, string>> = {
  admin: 'log levels of istiod',
  authz: 'authorization policies of a pod',
  'bug-report': 'collecting logs and configuration',
  completion: 'shell completion',
  'create-remote-secret': 'multicluster',
  experimental: 'experimental commands',
  operator: 'the in-cluster operator',
  'remote-clusters': 'multicluster',
  tag: 'revision tags',
  upgrade: 'in-place upgrades (istioctl install on a running mesh upgrades it)',
  waypoint: 'ambient waypoints',
  'ztunnel-config': 'ambient',
};

export const unbuiltCommands: CommandGroup = (program, act) => {
  for (const [name, what] of Object.entries(unbuilt)) {
    if (program.commands.some((command) => command.name() === name)) continue;
    program
      .command(name, { hidden: true })
      .argument('[words...]')
      .allowUnknownOption()
      .helpOption(false)
      .action(
        act(async () => {
          throw new CliError(`istioctl ${name} is not built yet (${what})`);
        }),
      );
  }
};
