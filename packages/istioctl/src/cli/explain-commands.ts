import { type Command, Option } from 'commander';
import { proxyStatusOptions } from './inspect-commands.ts';
import { type Act, type CommandGroup, experimentalCommand, parentCommand, switchedOn } from './program.ts';
import { xdsOptions } from './xds-options.ts';

const adminPort = () => new Option('--proxy-admin-port <port>', "port of Envoy's admin interface").default('15000');
const examples = (...lines: readonly string[]) =>
  `\nExamples:\n${lines.map((line) => `  istioctl ${line}`).join('\n')}`;
const podWords = 'POD[.NAMESPACE] or KIND/NAME[.NAMESPACE]';

/** `authz check`, at the top and among the experimental commands. */
function authzCheck(parent: Command, act: Act, path: string): void {
  parentCommand(parent, 'authz', 'who may call whom')
    .command('check')
    .argument('[pod]', podWords)
    .description("the AuthorizationPolicies that a pod's Envoy has in force, in the order in which it asks them")
    .option('-f, --file <file>', 'a configuration dump of Envoy instead of a pod ("-" is standard input)')
    .addOption(adminPort())
    .addHelpText('after', examples(`${path} check deploy/frontend.shop`, `${path} check --file dump.json`))
    .action(
      act(async (session, flags, target) =>
        (await import('../commands/authz-check.ts')).runAuthzCheck(session, flags, target),
      ),
    );
}

/** experimental describe, authz check, simulate, envoy-stats, metrics, internal-debug, proxy-status and version. */
export const explainCommands: CommandGroup = (program, act) => {
  const experimental = experimentalCommand(program);
  authzCheck(program, act, 'authz');
  authzCheck(experimental, act, 'experimental authz');

  const describe = parentCommand(experimental, 'describe', 'what of the mesh applies to a pod or a service').alias(
    'des',
  );
  const load = () => import('../commands/describe.ts');
  describe
    .command('pod')
    .alias('po')
    .argument('[pod]', podWords)
    .description('services, routes, subsets, mutual TLS and policies of a pod, and whether its Envoy has them')
    .option('--ignoreUnmeshed', 'no warning about pods without a proxy')
    .addOption(adminPort())
    .addHelpText(
      'after',
      examples('experimental describe pod frontend-68b6c9f5d-x2v8q.shop', 'x des po deploy/frontend'),
    )
    .action(act(async (session, flags, target) => (await load()).runDescribePod(session, flags, target)));
  describe
    .command('service')
    .alias('svc')
    .argument('[service]', 'SERVICE[.NAMESPACE]')
    .description('ports, routes, subsets, mutual TLS, policies and gateways of a service')
    .option('--ignoreUnmeshed', 'no warning about pods without a proxy')
    .addOption(adminPort())
    .addHelpText('after', examples('experimental describe service frontend.shop'))
    .action(act(async (session, flags, target) => (await load()).runDescribeService(session, flags, target)));

  experimental
    .command('simulate')
    .argument('[pod-or-url]', podWords)
    .argument('[url]', 'http://host:port/path, https:// or tcp://')
    .description("what a pod's Envoy does with a request, and which objects decide it; nothing is sent")
    .option('-X, --method <method>', 'method of HTTP', 'GET')
    .option('-H, --header <header...>', 'a header of the request, as "x-user: anna"')
    .option('--inbound', 'a request that comes to the pod; at gateways all do')
    .option(
      '--from <identity>',
      'the caller by mutual TLS: NAMESPACE/SERVICE-ACCOUNT or spiffe://... (implies --inbound)',
    )
    .option('--claims <json>', 'what a checked token says, as JSON')
    .option('-f, --file <file>', 'a configuration dump of Envoy instead of a pod ("-" is standard input)')
    .addOption(new Option('-o, --output <format>', 'short, json or yaml').default('short'))
    .addOption(adminPort())
    .addHelpText(
      'after',
      examples(
        'x simulate deploy/frontend.shop http://cart:7070/items -H "x-user: anna"',
        'x simulate deploy/cart.shop http://cart:7070/items --from shop/frontend',
        'x simulate deploy/istio-ingressgateway.istio-system http://shop.example.com/ -X POST --inbound',
        'x simulate http://cart:7070/items --file dump.json -o json',
      ),
    )
    .action(
      act(async (session, flags, first, second) =>
        (await import('../commands/simulate.ts')).runSimulate(session, flags, first, second),
      ),
    );

  experimental
    .command('envoy-stats')
    .alias('es')
    .argument('[pod]', podWords)
    .description("counters of a pod's Envoy, or what it knows of its clusters")
    .addOption(
      new Option('-o, --output <format>', 'short, json, yaml, prom, or prom-merged (with the application)').default(
        'short',
      ),
    )
    .addOption(new Option('-t, --type <type>', 'server or clusters').default('server'))
    .option('-l, --selector <labels>', 'all pods with these labels')
    .addOption(adminPort())
    .addHelpText(
      'after',
      examples(
        'x envoy-stats deploy/frontend.shop',
        'x es frontend-abc --type clusters -o json',
        'x es -l app=cart -o prom',
      ),
    )
    .action(
      act(async (session, flags, target) =>
        (await import('../commands/envoy-stats.ts')).runEnvoyStats(session, flags, target),
      ),
    );

  experimental
    .command('metrics')
    .alias('m')
    .argument('[workloads...]', 'WORKLOAD[.NAMESPACE]')
    .description("requests, failures and latencies of workloads, out of the mesh's Prometheus")
    .addOption(new Option('-d, --duration <duration>', 'over how long').default('1m0s'))
    .addHelpText('after', examples('x metrics frontend.shop cart.shop --duration 5m'))
    .action(
      act(async (session, flags, ...words) =>
        (await import('../commands/workload-metrics.ts')).runMetrics(
          session,
          flags,
          words.flat().filter((word) => word !== undefined),
        ),
      ),
    );

  xdsOptions(
    experimental
      .command('internal-debug')
      .argument('[endpoint]', "name of a debug endpoint, with its query: 'config_dump?proxyID=frontend-abc.shop'")
      .description("answers of istiod's debug endpoints")
      .option('--all', 'of every istiod, not only of the first')
      .option('-L, --list', 'names of all endpoints'),
  )
    .addHelpText(
      'after',
      examples(
        'x internal-debug --list',
        'x internal-debug syncz --all',
        "x internal-debug 'edsz?proxyID=frontend-abc.shop'",
      ),
    )
    .action(
      act(async (session, flags, endpoint) =>
        (await import('../commands/internal-debug.ts')).runInternalDebug(session, flags, endpoint),
      ),
    );

  proxyStatusOptions(experimental.command('proxy-status')).action(
    act(async (session, flags, target) =>
      (await import('../commands/proxy-status.ts')).runProxyStatus(session, flags, target),
    ),
  );

  xdsOptions(
    switchedOn(
      experimental.command('version'),
      'remote',
      'ask the control plane (--remote=false: only istioctl itself)',
    )
      .description('versions of istioctl, the control plane and each proxy')
      .option('-o, --output <format>', 'output format: yaml or json')
      .option('-s, --short', 'no table of proxies', false),
  )
    .addHelpText('after', examples('x version', 'x version --xds-address istiod.example.com:15012 --cert-dir ./certs'))
    .action(
      act(async (session, flags) => (await import('../commands/version.ts')).runExperimentalVersion(session, flags)),
    );
};
