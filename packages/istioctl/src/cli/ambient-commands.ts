import { type Command, Option } from 'commander';
import { CliError } from './failure.ts';
import { type CommandGroup, revisionOption, switchedOn } from './program.ts';

/** Raised by every command about ambient mode: its data plane is a part of the product that is still to come. */
const notBuilt = (command: string, what: string): CliError =>
  new CliError(
    `istioctl ${command} is not built yet: this Istio has no ${what}. Put sidecars into pods instead (label the namespace istio-injection=enabled).`,
  );

/** waypoint and ztunnel-config: known with all their flags, and say that ambient mode is not there. */
export const ambientCommands: CommandGroup = (program, act) => {
  const refuse = (command: Command, path: string, what: string) =>
    command.action(
      act(async () => {
        throw notBuilt(path, what);
      }),
    );

  const waypoint = program.command('waypoint').description('waypoint proxies of ambient mode (not built yet)');
  const waypointCommand = (name: string, description: string) => {
    const command = waypoint
      .command(name)
      .description(`${description} (not built yet)`)
      .option('--name <name>', 'name of the waypoint', 'waypoint');
    return refuse(command, `waypoint ${name}`, 'waypoint controller');
  };
  const traffic = () => new Option('--for <traffic>', 'traffic that it takes: service, workload, all or none');
  const waypointTimeout = () =>
    new Option('--waypoint-timeout <duration>', 'how long to wait until it is ready').default('1m30s');
  waypointCommand('apply', 'make a waypoint in a namespace')
    .option('--enroll-namespace', 'send the traffic of the namespace through it')
    .addOption(traffic())
    .option('--overwrite', 'replace the waypoint that the namespace uses')
    .addOption(revisionOption())
    .option('-w, --wait', 'wait until it is ready')
    .addOption(waypointTimeout());
  waypointCommand('delete', 'remove waypoints of a namespace')
    .argument('[names...]', 'names of waypoints')
    .option('--all', 'all of the namespace')
    .addOption(revisionOption());
  waypointCommand('generate', 'print the Gateway of a waypoint').addOption(traffic()).addOption(revisionOption());
  waypointCommand('list', 'the waypoints of a namespace').option('-A, --all-namespaces', 'of all namespaces');
  const status = waypointCommand('status', 'are the waypoints of a namespace ready?')
    .argument('[name]', 'name of a waypoint')
    .option('-A, --all-namespaces', 'of all namespaces')
    .addOption(waypointTimeout());
  switchedOn(status, 'wait', 'wait until they are', 'w');

  const ztunnel = program
    .command('ztunnel-config')
    .alias('zc')
    .description("what a node's ztunnel has been told (not built yet)");
  const ztunnelCommand = (name: string, aliases: readonly string[], description: string) => {
    const command = ztunnel
      .command(name)
      .aliases([...aliases])
      .description(`${description} (not built yet)`)
      .argument('[pod]', 'a ztunnel pod: POD[.NAMESPACE]')
      .option('-f, --file <file>', 'a dump of ztunnel instead of a pod')
      .option('--node <name>', 'the ztunnel of this node')
      .option('-o, --output <format>', 'short, json or yaml', 'short')
      .option('--proxy-admin-port <port>', "port of ztunnel's admin interface", '15000');
    return refuse(command, `ztunnel-config ${name}`, 'ztunnel');
  };
  ztunnelCommand('all', [], 'everything').option('--with-headers', 'a heading above each part');
  ztunnelCommand('certificate', ['certificates', 'certs', 'cert'], 'certificates');
  ztunnelCommand('connections', ['cons'], 'open connections')
    .option('--direction <direction>', 'inbound or outbound')
    .option('--raw', 'addresses instead of names')
    .option('--workload-namespace <name>', 'only workloads of this namespace');
  ztunnelCommand('log', ['o'], 'show or set log levels')
    .option('--level <levels>', 'LEVEL or SCOPE:LEVEL')
    .option('-r, --reset', 'back to the default level');
  ztunnelCommand('policy', ['policies', 'p', 'pol'], 'authorization policies').option(
    '--policy-namespace <name>',
    'only policies of this namespace',
  );
  ztunnelCommand('service', ['services', 's', 'svc'], 'services').option(
    '--service-namespace <name>',
    'only services of this namespace',
  );
  ztunnelCommand('workload', ['workloads', 'w'], 'workloads')
    .option('--address <address>', 'only this address')
    .option('--workload-namespace <name>', 'only workloads of this namespace')
    .option('--workload-node <name>', 'only workloads of this node');
};
