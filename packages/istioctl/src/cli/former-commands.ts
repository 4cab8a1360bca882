import type { Command } from 'commander';
import { subcommand } from './command-line.ts';
import { CliError, usageExitCode } from './failure.ts';
import { type CommandGroup, experimentalCommand } from './program.ts';

// Commands that Istio once had. They are known by name, so that whoever follows an old text reads what to do instead of "unknown command".
const former: Readonly<Record<string, string>> = {
  authn: 'see how a workload is secured with: istioctl experimental describe pod POD, istioctl proxy-config secret POD',
  'convert-ingress': 'write a Gateway and a VirtualService instead of an Ingress; the Ingress itself is understood too',
  create: 'use: kubectl create -f FILE',
  delete: 'use: kubectl delete KIND NAME',
  deregister: 'delete the WorkloadEntry or ServiceEntry of the workload with kubectl',
  'gen-deploy': 'use: istioctl manifest generate',
  get: 'use: kubectl get virtualservices,destinationrules,gateways,serviceentries',
  register: 'write a WorkloadEntry (or see istioctl experimental workload) and a ServiceEntry',
  replace: 'use: kubectl apply -f FILE',
};
const formerExperimental: Readonly<Record<string, string>> = {
  'add-to-mesh':
    'label the namespace (kubectl label namespace NAME istio-injection=enabled) and restart its workloads, or use istioctl kube-inject; for workloads elsewhere see istioctl experimental workload',
  auth: 'use: istioctl experimental authz check POD',
  'convert-networking': 'nothing is to be converted: the API is the same since v1alpha3',
  'kube-uninject': 'remove the sidecar by the label sidecar.istio.io/inject=false on the pods, and restart them',
  'post-install': 'istiod registers its webhooks itself',
  'remove-from-mesh': 'take the label istio-injection from the namespace and restart its workloads',
};

/** Commands of earlier versions of Istio; hidden, each says what replaced it. */
export const formerCommands: CommandGroup = (program, act) => {
  const declare = (parent: Command, path: string, name: string, instead: string) => {
    if (subcommand(parent, name)) return;
    parent
      .command(name, { hidden: true })
      .argument('[words...]')
      .allowUnknownOption()
      .helpOption(false)
      .action(
        act(async () => {
          throw new CliError(`${path} ${name} is no more: ${instead}`, usageExitCode);
        }),
      );
  };
  for (const [name, instead] of Object.entries(former)) declare(program, 'istioctl', name, instead);
  const experimental = experimentalCommand(program);
  for (const [name, instead] of Object.entries(formerExperimental))
    declare(experimental, 'istioctl experimental', name, instead);
};
