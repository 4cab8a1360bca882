import { Option } from 'commander';
import { type CommandGroup, collect, revisionOption, switchedOn } from './program.ts';

/** create-remote-secret and remote-clusters: meshes of several clusters. */
export const multiclusterCommands: CommandGroup = (program, act) => {
  const secret = program
    .command('create-remote-secret')
    .description('print a Secret by which a control plane in another cluster can read this one')
    .addOption(
      new Option('--auth-type <type>', 'how the control plane proves who it is')
        .choices(['bearer-token', 'plugin'])
        .default('bearer-token'),
    )
    .option(
      '--auth-plugin-name <name>',
      'with --auth-type plugin: command that prints credentials (client-go exec plugin)',
    )
    .option(
      '--auth-plugin-config <KEY=VALUE>',
      'with --auth-type plugin: variables of its environment; "args" are its arguments, "apiVersion" that of its protocol; may be given several times',
      collect,
      [],
    );
  switchedOn(secret, 'create-service-account', 'make the service account and its roles where they are missing')
    .option('-d, --manifests <folder>', 'folder with charts and profiles instead of those of istioctl')
    .option('--name <name>', 'name of the cluster, unique in the mesh (default: the UID of its namespace kube-system)')
    .option('--secret-name <name>', 'Secret with the token to use; needed where the service account has several')
    .option(
      '--server <url>',
      'address of the API server as the control plane reaches it (default: that of the kubeconfig)',
    )
    .option(
      '--service-account <name>',
      'account to act as (default: istio-reader-service-account; with --type config istiod)',
    )
    .option('--tls-server-name <name>', "name to expect in the API server's certificate instead of its address")
    .addOption(
      new Option(
        '--type <type>',
        'remote: a cluster to discover; config: the cluster with the configuration of the mesh',
      )
        .choices(['remote', 'config'])
        .default('remote'),
    )
    .addHelpText(
      'after',
      `
Run it against the cluster that is to be read, and apply what it prints in the cluster of the control plane.

Examples:
  istioctl create-remote-secret --context west --name west | kubectl apply -f - --context east`,
    )
    .action(
      act(async (session, flags) =>
        (await import('../multicluster/create-remote-secret.ts')).runCreateRemoteSecret(session, flags),
      ),
    );

  program
    .command('remote-clusters')
    .description('the clusters that each istiod watches, and whether it has seen all of them')
    .option('-o, --output <format>', 'table, json or yaml', 'table')
    .addOption(revisionOption())
    .addHelpText('after', '\nExamples:\n  istioctl remote-clusters')
    .action(
      act(async (session, flags) =>
        (await import('../multicluster/remote-clusters.ts')).runRemoteClusters(session, flags),
      ),
    );
};
