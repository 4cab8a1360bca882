import { Option } from 'commander';
import { type CommandGroup, collect, collectList, experimentalCommand } from './program.ts';

/** experimental generate. */
export const generateCommands: CommandGroup = (program, act) => {
  experimentalCommand(program)
    .command('generate')
    .argument('[type]', 'cluster, listener, route, endpoint, secret or extension; all where not given')
    .description('what istiod would send to a proxy if these manifests were its cluster')
    .option('-f, --filename <file>', 'manifests, folders with manifests, or - for standard input', collectList)
    .option('--proxy <proxy>', 'NAME[.NAMESPACE] of a pod in the manifests, or of the workload that makes it')
    .addOption(
      new Option('--proxy-type <type>', 'kind of proxy; found by its templates where not given').choices([
        'sidecar',
        'router',
        'waypoint',
      ]),
    )
    .option('--labels <label=value>', 'labels of the proxy, where no manifest has its pod', collectList)
    .option('--metadata <key=value>', 'node metadata of the proxy; may be given several times', collect)
    .option('--name <pattern>', 'only resources of this name; * stands for anything')
    .option('--meshConfigFile <file>', 'mesh configuration instead of that of the manifests (ConfigMap istio)')
    .option('-o, --output <format>', 'output format: yaml or json', 'yaml')
    .option('--why', 'beside every resource the objects that it came from', false)
    .addHelpText(
      'after',
      `
Examples:
  istioctl experimental generate -f shop.yaml --proxy frontend.shop
  istioctl x generate route -f shop/ --proxy frontend.shop --name 80 --why
  istioctl x generate listener -f gateway.yaml --proxy istio-ingressgateway.istio-system -o json
  kubectl get svc,pods,endpointslices,vs,dr -A -o yaml | istioctl x generate cluster -f - --proxy frontend-abc.shop

Nothing is asked of any cluster. Objects that are invalid are told on standard error and left out, as istiod does it.`,
    )
    .action(
      act(async (session, flags, type) => (await import('../commands/generate.ts')).runGenerate(session, flags, type)),
    );
};
