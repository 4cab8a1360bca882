import { isEmptySelector } from '@istio-ts/mesh/selector';
import type { Analyzer } from '../analyzer.ts';
import { gatewayPods } from '../gateway-pods.ts';
import { selectorText } from '../virtual-service.ts';
import { workloadInputs } from '../workloads.ts';

/** Gateways that nobody serves: no pod has the labels that they select. */
export const gatewaySelector: Analyzer = {
  name: 'gateway.SelectorAnalyzer',
  description: 'Checks that Gateways select pods',
  inputs: ['Gateway', ...workloadInputs],
  run: (context) => {
    for (const entry of context.istio('Gateway')) {
      const { selector } = entry.spec;
      // Without a selector it is for gateways of every kind, those of the Gateway API among them.
      if (isEmptySelector(selector) || gatewayPods(context, entry.spec).length > 0) continue;
      const args = { reftype: 'selector', refval: selectorText(selector) };
      context.report(entry, 'ReferencedResourceNotFound', args, 'spec.selector');
    }
  },
};
