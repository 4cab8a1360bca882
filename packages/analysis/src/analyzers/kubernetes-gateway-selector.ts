import { isEmptySelector, selectorMatches } from '@istio-ts/mesh/selector';
import type { Analyzer } from '../analyzer.ts';
import { groupBy } from '../overlap.ts';
import { workloadInputs } from '../workloads.ts';

const gatewayNameLabel = 'gateway.networking.k8s.io/gateway-name';
const policyKinds = ['AuthorizationPolicy', 'RequestAuthentication', 'Telemetry', 'WasmPlugin'] as const;

/** Policies that select pods of Gateways of the Gateway API by labels: there only `targetRefs` counts. */
export const kubernetesGatewaySelector: Analyzer = {
  name: 'k8sgateway.SelectorAnalyzer',
  description: 'Checks for policies that select pods of Gateways of the Gateway API by labels',
  inputs: [...policyKinds, ...workloadInputs],
  run: (context) => {
    const pods = context.workloads().filter(({ labels }) => labels[gatewayNameLabel] !== undefined);
    const byNamespace = groupBy(pods, ({ namespace }) => namespace);
    for (const kind of policyKinds) {
      for (const entry of context.istio(kind)) {
        const selector = entry.spec.selector?.matchLabels;
        if (isEmptySelector(selector)) continue;
        const selected = (byNamespace.get(entry.namespace) ?? []).filter(({ labels }) =>
          selectorMatches(selector, labels),
        );
        const gateways = new Set(selected.map(({ labels }) => labels[gatewayNameLabel] ?? ''));
        for (const gateway of [...gateways].sort())
          context.report(entry, 'IneffectiveSelector', { gateway }, 'spec.selector');
      }
    }
  },
};
