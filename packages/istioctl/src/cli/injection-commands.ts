import { type CommandGroup, experimentalCommand } from './program.ts';
import { xdsOptions } from './xds-options.ts';

/** kube-inject, experimental check-inject and experimental injector list. */
export const injectionCommands: CommandGroup = (program, act) => {
  xdsOptions(
    program
      .command('kube-inject')
      .description('put the sidecar into the pods of a manifest, as the webhook would')
      .requiredOption('-f, --filename <file>', 'manifest ("-" is standard input)')
      .option('-o, --output <file>', 'write here instead of standard output')
      .option('--injectConfigFile <file>', 'injection templates from a file instead of the cluster')
      .option('--meshConfigFile <file>', 'mesh configuration from a file instead of the cluster')
      .option('--valuesFile <file>', 'values of the injection templates from a file instead of the cluster')
      .option('--meshConfigMapName <name>', 'ConfigMap of the mesh configuration', 'istio')
      .option('--webhookConfig <name>', 'MutatingWebhookConfiguration of the injector', 'istio-sidecar-injector')
      .option('--operatorFileName <file>', 'configuration of the installation that this IstioOperator describes'),
  )
    .addHelpText(
      'after',
      `
Examples:
  istioctl kube-inject -f deployment.yaml | kubectl apply -f -
  istioctl kube-inject -f deployment.yaml -r canary -o injected.yaml
  istioctl kube-inject -f deployment.yaml --injectConfigFile templates.yaml --valuesFile values.json --meshConfigFile mesh.yaml
  istioctl kube-inject -f deployment.yaml --operatorFileName my-installation.yaml`,
    )
    .action(act(async (session, flags) => (await import('../commands/kube-inject.ts')).runKubeInject(session, flags)));

  const experimental = experimentalCommand(program);
  experimental
    .command('check-inject')
    .argument('[pod]', 'POD[.NAMESPACE] or KIND/NAME[.NAMESPACE]')
    .description('which webhook would inject a pod, and why or why not')
    .option('-l, --labels <labels>', 'labels of a pod, KEY=VALUE separated by commas, instead of a pod that exists')
    .option('-o, --output <format>', 'output format: short, json, yaml', 'short')
    .addHelpText(
      'after',
      `
Examples:
  istioctl experimental check-inject frontend-68b6c9f5d-x2v8q -n shop
  istioctl experimental check-inject deploy/frontend.shop
  istioctl experimental check-inject -n shop -l app=frontend,istio.io/rev=canary`,
    )
    .action(
      act(async (session, flags, pod) =>
        (await import('../commands/check-inject.ts')).runCheckInject(session, flags, pod),
      ),
    );
  experimental
    .command('injector')
    .description('the sidecar injectors of a cluster')
    .command('list')
    .description('which injector serves which namespaces, and with which proxy')
    .option('-o, --output <format>', 'output format: short, json, yaml', 'short')
    .addHelpText('after', '\nExamples:\n  istioctl experimental injector list')
    .action(
      act(async (session, flags) => (await import('../commands/injector-list.ts')).runInjectorList(session, flags)),
    );
};
