import { type Command, Option } from 'commander';
import { type CommandGroup, revisionOption, switchedOn } from './program.ts';
import { xdsOptions } from './xds-options.ts';

const output = (shown: string, fallback = 'short') =>
  new Option('-o, --output <format>', `output format: ${shown}`).default(fallback);
const adminPort = () => new Option('--proxy-admin-port <port>', "port of Envoy's admin interface").default('15000');
const file = (what = 'a configuration dump of Envoy') =>
  new Option('-f, --file <file>', `${what} instead of a pod ("-" is standard input)`);
const verbose = (command: Command) =>
  switchedOn(command, 'verbose', 'show all columns (--verbose=false: one row a resource)');
const pod = ['[pod]', 'POD[.NAMESPACE] or KIND/NAME[.NAMESPACE], for example deploy/frontend.shop'] as const;
const examples = (...lines: readonly string[]) =>
  `\nExamples:\n${lines.map((line) => `  istioctl ${line}`).join('\n')}`;

/** Adds what `proxy-status` takes; `experimental proxy-status` is the same command. */
export function proxyStatusOptions(command: Command): Command {
  return xdsOptions(
    command
      .alias('ps')
      .argument(
        '[pod]',
        'POD[.NAMESPACE] or KIND/NAME[.NAMESPACE]: compare what this proxy has with what istiod would send',
      )
      .description('which proxies are connected to istiod, and whether each has the latest configuration')
      .addOption(output('table, json, yaml', 'table'))
      .addOption(adminPort())
      .option('--file <file>', 'a configuration dump of Envoy to compare ("-" is standard input)')
      .option('-v, --verbosity <number>', '1 or more: tell also of what is not sent', '0'),
  ).addHelpText(
    'after',
    examples(
      'proxy-status',
      'proxy-status -n shop',
      'proxy-status frontend-68b6c9f5d-x2v8q.shop',
      'proxy-status deploy/frontend.shop --file dump.json',
      'proxy-status --xds-address istiod.example.com:15012 --cert-dir ./certs',
    ),
  );
}

/** version, proxy-status and proxy-config. */
export const inspectCommands: CommandGroup = (program, act) => {
  switchedOn(program.command('version'), 'remote', 'ask the control plane (--remote=false: only istioctl itself)')
    .description('versions of istioctl, the control plane and the proxies')
    .option('-o, --output <format>', 'output format: yaml or json')
    .option('-s, --short', 'print only the numbers (--short=false: tell also of builds, pods and proxies)')
    .addOption(new Option('--no-short').hideHelp())
    .addOption(revisionOption())
    .addHelpText('after', examples('version', 'version --remote=false', 'version -o json'))
    .action(act(async (session, flags) => (await import('../commands/version.ts')).runVersion(session, flags)));

  proxyStatusOptions(program.command('proxy-status')).action(
    act(async (session, flags, target) =>
      (await import('../commands/proxy-status.ts')).runProxyStatus(session, flags, target),
    ),
  );

  const proxyConfig = program.command('proxy-config').alias('pc').description("what a pod's Envoy has been told");
  const sub = (name: string, aliases: readonly string[], description: string): Command =>
    proxyConfig
      .command(name)
      .aliases([...aliases])
      .argument(...pod)
      .description(description)
      .addOption(adminPort());
  const load = () => import('../commands/proxy-config.ts');

  sub('cluster', ['clusters', 'c'], 'clusters: the upstream services that Envoy can reach')
    .addOption(output('short, json, yaml'))
    .addOption(file())
    .option('--fqdn <host>', 'only services whose name contains this')
    .option('--port <port>', 'only this port')
    .option('--subset <name>', 'only subsets whose name contains this')
    .option('--direction <direction>', 'inbound or outbound')
    .addHelpText(
      'after',
      examples(
        'proxy-config clusters deploy/frontend.shop',
        'proxy-config clusters frontend-abc --fqdn cart.shop.svc.cluster.local -o json',
        'proxy-config clusters --file dump.json --direction inbound',
      ),
    )
    .action(act(async (session, flags, target) => (await load()).runProxyConfigCluster(session, flags, target)));
  verbose(sub('listener', ['listeners', 'l'], 'listeners: where Envoy takes connections'))
    .addOption(output('short, json, yaml'))
    .addOption(file())
    .option('--address <address>', 'only this address')
    .option('--port <port>', 'only this port')
    .option('--type <type>', 'HTTP, TCP, HTTP+TCP or UNKNOWN')
    .addHelpText(
      'after',
      examples(
        'proxy-config listeners deploy/frontend.shop',
        'proxy-config listeners frontend-abc --port 15006 -o yaml',
      ),
    )
    .action(act(async (session, flags, target) => (await load()).runProxyConfigListener(session, flags, target)));
  verbose(sub('route', ['routes', 'r'], 'routes: which request goes where'))
    .addOption(output('short, json, yaml'))
    .addOption(file())
    .option('--name <names>', 'only these route configurations, separated by commas')
    .addHelpText(
      'after',
      examples('proxy-config routes deploy/frontend.shop', 'proxy-config routes frontend-abc --name 8080 -o json'),
    )
    .action(act(async (session, flags, target) => (await load()).runProxyConfigRoute(session, flags, target)));
  sub('endpoint', ['endpoints', 'ep'], 'endpoints: the addresses behind the clusters, and their health')
    .addOption(output('short, json, yaml'))
    .addOption(file("an answer of Envoy's /clusters?format=json"))
    .option('--address <address>', 'only this address')
    .option('--port <port>', 'only this port')
    .option('--cluster <name>', 'only this cluster')
    .option('--status <status>', 'healthy, unhealthy, draining or degraded')
    .addHelpText(
      'after',
      examples(
        'proxy-config endpoints deploy/frontend.shop --status unhealthy',
        "proxy-config endpoints frontend-abc --cluster 'outbound|7070||cart.shop.svc.cluster.local'",
      ),
    )
    .action(act(async (session, flags, target) => (await load()).runProxyConfigEndpoint(session, flags, target)));
  sub('secret', ['secrets', 's'], 'certificates: which Envoy has, and until when they are valid')
    .addOption(output('short, json, yaml'))
    .addOption(file())
    .addHelpText('after', examples('proxy-config secrets deploy/frontend.shop'))
    .action(act(async (session, flags, target) => (await load()).runProxyConfigSecret(session, flags, target)));
  sub('bootstrap', ['b'], 'the configuration that Envoy started with')
    .addOption(output('short, json, yaml', 'json'))
    .addOption(file())
    .addHelpText('after', examples('proxy-config bootstrap deploy/frontend.shop -o yaml'))
    .action(act(async (session, flags, target) => (await load()).runProxyConfigBootstrap(session, flags, target)));
  verbose(sub('all', ['a'], 'everything, one part after the other'))
    .addOption(output('short, json, yaml'))
    .addOption(file())
    .option('--address <address>', 'only listeners and endpoints with this address')
    .option('--direction <direction>', 'only clusters of this direction: inbound or outbound')
    .option('--fqdn <host>', 'only clusters of services whose name contains this')
    .option('--name <names>', 'only these route configurations, separated by commas')
    .option('--port <port>', 'only clusters, listeners and endpoints with this port')
    .option('--subset <name>', 'only clusters of subsets whose name contains this')
    .option('--type <type>', 'only listeners of this type: HTTP, TCP, HTTP+TCP or UNKNOWN')
    .option('--with-headers', 'a heading above each part')
    .addHelpText(
      'after',
      examples(
        'proxy-config all deploy/frontend.shop --with-headers',
        'proxy-config all frontend-abc -o json > dump.json',
        'proxy-config all --file dump.json --port 8080',
      ),
    )
    .action(act(async (session, flags, target) => (await load()).runProxyConfigAll(session, flags, target)));
  sub('ecds', ['ec'], 'extensions that Envoy gets by name')
    .addOption(output('short, json, yaml'))
    .addOption(file())
    .addHelpText('after', examples('proxy-config ecds deploy/frontend.shop -o yaml'))
    .action(act(async (session, flags, target) => (await load()).runProxyConfigEcds(session, flags, target)));
  sub('log', ['o'], "show or set Envoy's log levels")
    .option(
      '--level <levels>',
      'LEVEL or LOGGER:LEVEL, several separated by commas: trace, debug, info, warning, error, critical, off',
    )
    .option('-r, --reset', 'back to the default level, warning')
    .option('-l, --selector <labels>', 'all pods with these labels')
    .addHelpText(
      'after',
      examples(
        'proxy-config log deploy/frontend.shop',
        'proxy-config log deploy/frontend.shop --level http:debug,rbac:debug',
        'proxy-config log -l app=frontend -n shop --reset',
      ),
    )
    .action(
      act(async (session, flags, target) =>
        (await import('../commands/proxy-log.ts')).runProxyConfigLog(session, flags, target),
      ),
    );
  proxyConfig
    .command('rootca-compare')
    .alias('rc')
    .argument('[pod1]', pod[1])
    .argument('[pod2]', pod[1])
    .description('do two pods trust the same root certificates?')
    .addOption(adminPort())
    .addHelpText('after', examples('proxy-config rootca-compare frontend-abc.shop cart-def.shop'))
    .action(act(async (session, flags, first, second) => (await load()).runRootCompare(session, flags, first, second)));
};
