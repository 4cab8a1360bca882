import { Option } from 'commander';
import {
  collectList,
  type CommandGroup,
  experimentalCommand,
  parentCommand,
  revisionOption,
  switchedOn,
} from './program.ts';

/** experimental workload (workloads outside Kubernetes) and experimental wait. */
export const workloadCommands: CommandGroup = (program, act) => {
  const experimental = experimentalCommand(program);
  const workload = parentCommand(experimental, 'workload', 'workloads outside Kubernetes that belong to the mesh');

  parentCommand(workload, 'group', 'templates for workloads of one kind')
    .command('create')
    .description('print a WorkloadGroup')
    .option('--name <name>', 'name of the group (required)')
    .option('-l, --labels <KEY=VALUE,...>', 'labels of its workloads', collectList, [])
    .option('-a, --annotations <KEY=VALUE,...>', 'annotations of its workloads', collectList, [])
    .option('-p, --ports <NAME=PORT,...>', 'ports of its workloads', collectList, [])
    .option('-s, --serviceAccount <name>', 'service account that its workloads run as', 'default')
    .option('--network <name>', 'network that they are in')
    .option('--locality <region/zone/subzone>', 'where they run')
    .option('-w, --weight <number>', 'share of the traffic relative to other workloads')
    .addHelpText(
      'after',
      '\nExamples:\n  istioctl experimental workload group create --name vm -n shop --labels app=cart,version=v1 --ports http=8080 --serviceAccount cart',
    )
    .action(
      act(async (session, flags) => (await import('../workload/group.ts')).runWorkloadGroupCreate(session, flags)),
    );

  const configure = parentCommand(workload, 'entry', 'single workloads').command('configure');
  switchedOn(
    configure
      .description('write the files that a machine needs to join the mesh')
      .option('-f, --file <file>', 'a WorkloadGroup instead of one of the cluster')
      .option('--name <name>', 'name of a WorkloadGroup of the cluster')
      .option('-o, --output <folder>', 'folder to write into (required)')
      .option('--clusterID <name>', 'name of the cluster whose control plane the machine talks to')
      .option('--ingressIP <address>', 'address by which the machine reaches the control plane')
      .option(
        '--ingressService <name>',
        "service of the control plane's namespace whose address is that, without --ingressIP",
        'istio-eastwestgateway',
      )
      .option('--internalIP <address>', 'address of the machine in its own network')
      .option('--externalIP <address>', 'address of the machine from outside')
      .option('--autoregister', 'have the control plane make a WorkloadEntry when the machine connects')
      .addOption(new Option('--tokenDuration <seconds>', 'how long the token is valid').default('3600'))
      .addOption(revisionOption()),
    'capture-dns',
    'let the proxy answer DNS on the machine',
  )
    .addHelpText(
      'after',
      `
Writes cluster.env, mesh.yaml, istio-token, root-cert.pem and hosts; they belong to /var/lib/istio/envoy/, /etc/istio/config/mesh,
/var/run/secrets/tokens/, /var/run/secrets/istio/ and /etc/hosts of the machine.

Examples:
  istioctl experimental workload entry configure -f group.yaml -o vm-files
  istioctl experimental workload entry configure --name vm -n shop -o vm-files --ingressIP 203.0.113.7`,
    )
    .action(
      act(async (session, flags) =>
        (await import('../workload/configure.ts')).runWorkloadEntryConfigure(session, flags),
      ),
    );

  experimental
    .command('wait')
    .argument('<kind>', 'kind of the object, as virtualservice or vs')
    .argument('<name>', 'NAME[.NAMESPACE]')
    .description('wait until a change of an object has arrived at the proxies, or the object is gone')
    .addOption(
      new Option('--for <what>', 'delivery (also called distribution): proxies have it; delete: it is gone')
        .choices(['delivery', 'distribution', 'delete'])
        .default('delivery'),
    )
    .option('--generation <number>', 'generation of the object to wait for (default: the one it has now)')
    .option('--resource-version <version>', 'the same by resourceVersion')
    .option('--threshold <share>', 'share of the proxies that is enough, from 0 to 1', '1')
    .option('--timeout <duration>', 'how long to wait', '30s')
    .option('--proxy <name>', 'only this proxy: POD[.NAMESPACE]')
    .option('-v, --verbose', 'tell of the progress')
    .addOption(revisionOption())
    .addHelpText(
      'after',
      `
It ends with 0 when the proxies have it, and with 1 when they have not in time, or istiod refuses the object.

Examples:
  kubectl apply -f routes.yaml && istioctl experimental wait virtualservice shop.default
  istioctl experimental wait --for=delivery --threshold=0.95 --timeout=1m vs shop`,
    )
    .action(
      act(async (session, flags, kind, name) =>
        (await import('../delivery/wait.ts')).runWait(session, flags, kind ?? '', name ?? ''),
      ),
    );
};
