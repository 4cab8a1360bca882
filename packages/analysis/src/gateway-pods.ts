import type { GatewaySpec } from '@istio-ts/api';
import { isEmptySelector, selectorMatches } from '@istio-ts/mesh/selector';
import type { AnalysisContext } from './context.ts';
import type { Workload } from './workloads.ts';

/** The pods that serve a Gateway, in any namespace. Needs `workloadInputs`. */
export const gatewayPods = (context: AnalysisContext, spec: GatewaySpec): readonly Workload[] =>
  isEmptySelector(spec.selector)
    ? []
    : context
        .workloads()
        .filter(
          ({ labels, phase }) => phase !== 'Succeeded' && phase !== 'Failed' && selectorMatches(spec.selector, labels),
        );
