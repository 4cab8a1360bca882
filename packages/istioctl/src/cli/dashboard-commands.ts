import type { Command } from 'commander';
import { type CommandGroup, revisionOption, switchedOn } from './program.ts';

const examples = (...lines: readonly string[]) =>
  `\nExamples:\n${lines.map((line) => `  istioctl ${line}`).join('\n')}`;

/** dashboard: pages of the mesh's parts, brought to this machine. */
export const dashboardCommands: CommandGroup = (program, act) => {
  const dashboard = program.command('dashboard').aliases(['dash', 'd']).description('open a web page of the mesh');
  const load = () => import('../commands/dashboard.ts');
  const sub = (name: string, description: string, uiPort?: string): Command => {
    const command = dashboard
      .command(name)
      .description(description)
      .option('--address <address>', 'address of this machine to listen on', 'localhost')
      .option('-p, --port <port>', 'port of this machine to listen on (default: any free one)');
    switchedOn(command, 'browser', 'open a browser (--browser=false: only print the address)');
    if (uiPort !== undefined) command.option('--ui-port <port>', 'port of the page in the pod', uiPort);
    return command;
  };
  for (const name of ['envoy', 'proxy'])
    sub(name, "Envoy's admin page of a pod", '15000')
      .argument('[pod]', 'POD[.NAMESPACE] or KIND/NAME[.NAMESPACE]')
      .option('-l, --selector <labels>', 'labels of the pod')
      .addHelpText(
        'after',
        examples(`dashboard ${name} deploy/frontend.shop`, `dashboard ${name} -l app=frontend -n shop`),
      )
      .action(act(async (session, flags, target) => (await load()).runDashboardEnvoy(session, flags, target)));
  sub('controlz', "istiod's introspection page")
    .argument('[pod]', 'an istiod pod: POD[.NAMESPACE]')
    .option('--ctrlz_port <port>', 'port of ControlZ in the pod', '9876')
    .option('-l, --selector <labels>', 'labels of the pod')
    .addOption(revisionOption())
    .addHelpText('after', examples('dashboard controlz', 'dashboard controlz istiod-5c4b6cb6d9-x7t2j.istio-system'))
    .action(act(async (session, flags, target) => (await load()).runDashboardControlz(session, flags, target)));
  sub('istiod-debug', "istiod's debug page")
    .argument('[pod]', 'an istiod pod: POD[.NAMESPACE]')
    .option('-l, --selector <labels>', 'labels of the pod')
    .addOption(revisionOption())
    .addHelpText('after', examples('dashboard istiod-debug'))
    .action(act(async (session, flags, target) => (await load()).runDashboardDebug(session, flags, target)));
  const addonPorts = {
    grafana: '3000',
    jaeger: '16686',
    kiali: '20001',
    prometheus: '9090',
    skywalking: '8080',
    zipkin: '9411',
  } as const;
  for (const [name, port] of Object.entries(addonPorts) as [keyof typeof addonPorts, string][]) {
    sub(name, `the page of ${name}`, port)
      .addHelpText('after', examples(`dashboard ${name}`, `dashboard ${name} --port ${port} --browser=false`))
      .action(act(async (session, flags) => (await load()).runDashboardAddon(session, name, flags)));
  }
};
