import { type Command, Option } from 'commander';
import { type CommandGroup, revisionOption, switchedOn } from './program.ts';

const output = (shown: string, fallback = 'short') =>
  new Option('-o, --output <format>', `output format: ${shown}`).default(fallback);
const adminPort = () => new Option('--proxy-admin-port <port>', "port of Envoy's admin interface").default('15000');
const file = () =>
  new Option('-f, --file <file>', 'a configuration dump of Envoy instead of a pod ("-" is standard input)');
const verbose = (command: Command) => switchedOn(command, 'verbose', 'show all columns');
const pod = ['[pod]', 'POD[.NAMESPACE] or KIND/NAME[.NAMESPACE]'] as const;

/** version, proxy-status and proxy-config. */
export const inspectCommands: CommandGroup = (program, act) => {
  switchedOn(program.command('version'), 'remote', 'ask the control plane')
    .description('versions of istioctl, the control plane and the proxies')
    .option('-o, --output <format>', 'output format: yaml or json')
    .option('-s, --short', 'print only the number', false)
    .addOption(revisionOption())
    .action(act(async (session, flags) => (await import('../commands/version.ts')).runVersion(session, flags)));

  program
    .command('proxy-status')
    .alias('ps')
    .argument('[pod]', 'POD[.NAMESPACE]: only this proxy')
    .description('which proxies are connected to istiod, and whether each has the latest configuration')
    .addOption(output('table, json, yaml', 'table'))
    .addOption(revisionOption())
    .addHelpText(
      'after',
      '\nExamples:\n  istioctl proxy-status\n  istioctl proxy-status frontend-68b6c9f5d-x2v8q.istio-app',
    )
    .action(
      act(async (session, flags, target) =>
        (await import('../commands/proxy-status.ts')).runProxyStatus(session, flags, target),
      ),
    );

  const proxyConfig = program.command('proxy-config').alias('pc').description("what a pod's Envoy has been told");
  const sub = (name: string, aliases: readonly string[], description: string): Command => {
    const command = proxyConfig
      .command(name)
      .aliases([...aliases])
      .argument(...pod)
      .description(description)
      .addOption(adminPort());
    return command;
  };
  const load = () => import('../commands/proxy-config.ts');
  sub('cluster', ['clusters', 'c'], 'clusters: the upstream services that Envoy can reach')
    .addOption(output('short, json, yaml'))
    .addOption(file())
    .option('--fqdn <host>', 'only this service')
    .option('--port <port>', 'only this port')
    .option('--subset <name>', 'only this subset')
    .option('--direction <direction>', 'inbound or outbound')
    .addHelpText(
      'after',
      '\nExamples:\n  istioctl proxy-config clusters deploy/frontend.istio-app\n  istioctl proxy-config clusters frontend-abc --fqdn cartservice.istio-app.svc.cluster.local -o json',
    )
    .action(act(async (session, flags, target) => (await load()).runProxyConfigCluster(session, flags, target)));
  verbose(sub('listener', ['listeners', 'l'], 'listeners: where Envoy takes connections'))
    .addOption(output('short, json, yaml'))
    .addOption(file())
    .option('--address <address>', 'only this address')
    .option('--port <port>', 'only this port')
    .option('--type <type>', 'HTTP or TCP')
    .action(act(async (session, flags, target) => (await load()).runProxyConfigListener(session, flags, target)));
  verbose(sub('route', ['routes', 'r'], 'routes: which request goes where'))
    .addOption(output('short, json, yaml'))
    .addOption(file())
    .option('--name <name>', 'only this route configuration')
    .action(act(async (session, flags, target) => (await load()).runProxyConfigRoute(session, flags, target)));
  sub('endpoint', ['endpoints', 'ep'], 'endpoints: the addresses behind the clusters, and their health')
    .addOption(output('short, json, yaml'))
    .addOption(file())
    .option('--address <address>', 'only this address')
    .option('--port <port>', 'only this port')
    .option('--cluster <name>', 'only this cluster')
    .option('--status <status>', 'healthy, unhealthy, draining')
    .action(act(async (session, flags, target) => (await load()).runProxyConfigEndpoint(session, flags, target)));
  sub('secret', ['secrets', 's'], 'certificates: which Envoy has, and until when they are valid')
    .addOption(output('short, json, yaml'))
    .addOption(file())
    .action(act(async (session, flags, target) => (await load()).runProxyConfigSecret(session, flags, target)));
  sub('bootstrap', ['b'], 'the configuration that Envoy started with')
    .addOption(output('json, yaml', 'json'))
    .addOption(file())
    .action(act(async (session, flags, target) => (await load()).runProxyConfigBootstrap(session, flags, target)));
  verbose(sub('all', ['a'], 'everything'))
    .addOption(output('short, json, yaml'))
    .addOption(file())
    .action(act(async (session, flags, target) => (await load()).runProxyConfigAll(session, flags, target)));
  sub('ecds', ['ec'], 'extensions that Envoy gets by name')
    .addOption(output('short, json, yaml'))
    .addOption(file())
    .action(act(async (session, flags, target) => (await load()).runProxyConfigEcds(session, flags, target)));
  sub('log', ['o'], "show or set Envoy's log levels")
    .option(
      '--level <levels>',
      'LEVEL or SCOPE:LEVEL, several separated by commas: trace, debug, info, warning, error, critical, off',
    )
    .option('-r, --reset', 'back to the default level')
    .action(act(async (session, flags, target) => (await load()).runProxyConfigLog(session, flags, target)));
};
