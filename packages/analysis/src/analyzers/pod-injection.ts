import { text } from '@istio-ts/mesh/kubernetes/read';
import type { Analyzer } from '../analyzer.ts';
import { injectorSettings, injectsNamespace, isApplicationNamespace, podChoice, proxyContainer } from '../injection.ts';
import { workloadInputs } from '../workloads.ts';

/** Running pods whose proxy is missing or older than the control plane's. */
export const podInjection: Analyzer = {
  name: 'injection.Analyzer',
  description:
    'Finds pods without the sidecar that their namespace asks for, and sidecars of another image than new ones',
  inputs: ['Namespace', 'ConfigMap', ...workloadInputs],
  run: (context) => {
    const settings = injectorSettings(context);
    const outdated = new Map<string, string[]>();
    for (const workload of context.workloads()) {
      // What a file says has not been injected yet; what has ended has nothing to protect.
      if (workload.object.kind !== 'Pod' || workload.object.source !== undefined) continue;
      if (workload.phase === 'Succeeded' || workload.phase === 'Failed') continue;
      if (!isApplicationNamespace(context, workload.namespace)) continue;
      const namespace = context.find('Namespace', '', workload.namespace);
      if (namespace === undefined || !injectsNamespace(context, namespace, settings)) continue;
      if (workload.spec.hostNetwork === true || podChoice(workload) === false) continue;
      const proxy = proxyContainer(workload);
      if (proxy === undefined) {
        context.report(workload.object, 'PodMissingProxy', { podName: workload.name });
        continue;
      }
      const ownImage =
        workload.annotations['sidecar.istio.io/proxyImage'] ?? workload.annotations['sidecar.istio.io/proxyImageType'];
      if (settings.proxyImage === undefined || ownImage !== undefined) continue;
      if (text(proxy.image) !== settings.proxyImage)
        outdated.set(workload.namespace, [...(outdated.get(workload.namespace) ?? []), workload.name]);
    }
    for (const [name, podNames] of outdated)
      context.report(context.find('Namespace', '', name), 'PodsIstioProxyImageMismatchInNamespace', { podNames });
  },
};
