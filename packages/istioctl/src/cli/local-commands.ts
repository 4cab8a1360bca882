import type { CommandGroup } from './program.ts';

/** local: a Kubernetes-compatible cluster on this machine. */
export const localCommands: CommandGroup = (program, act) => {
  const local = program
    .command('local')
    .description('a Kubernetes-compatible cluster on this machine, without containers');
  const load = () => import('../commands/local.ts');
  const sub = (name: string, description: string) =>
    local
      .command(name)
      .description(description)
      .option('--name <name>', 'name of the cluster and of its context', 'istio-local');
  sub('up', 'start the cluster, or find it running')
    .option(
      '--api-port <port>',
      'port of the API server on 127.0.0.1 (default: that of the last time, 6443, or a free one)',
    )
    .addHelpText('after', '\nExamples:\n  istioctl local up\n  istioctl local up --name second')
    .action(act(async (session, flags) => (await load()).runLocalUp(session, flags)));
  sub('down', 'stop the cluster; its state stays')
    .option('--wipe', 'remove the state and the context too')
    .addHelpText('after', '\nExamples:\n  istioctl local down\n  istioctl local down --name second --wipe')
    .action(act(async (session, flags) => (await load()).runLocalDown(session, flags)));
  sub('status', 'does it run, and where')
    .option('-o, --output <format>', 'output format: json or yaml')
    .addHelpText('after', '\nExamples:\n  istioctl local status\n  istioctl local status -o json')
    .action(act(async (session, flags) => (await load()).runLocalStatus(session, flags)));
  sub('logs', "the cluster's own log")
    .argument('[component]', 'cluster or supervisor')
    .option('-f, --follow', 'go on as lines come')
    .addHelpText('after', '\nExamples:\n  istioctl local logs\n  istioctl local logs supervisor --follow')
    .action(act(async (session, flags, component) => (await load()).runLocalLogs(session, flags, component)));
};
