import { selectorMatches } from '@istio-ts/mesh/selector';
import type { Analyzer } from '../analyzer.ts';
import { groupBy } from '../overlap.ts';
import { workloadInputs } from '../workloads.ts';

const kinds = [
  'AuthorizationPolicy',
  'PeerAuthentication',
  'RequestAuthentication',
  'Telemetry',
  'WasmPlugin',
] as const;

/** Policies whose selector matches no pod. */
export const policySelectors: Analyzer = {
  name: 'policy.SelectorAnalyzer',
  description: 'Finds policies whose selector matches no workload',
  inputs: [...kinds, 'EnvoyFilter', 'WorkloadEntry', ...workloadInputs],
  run: (context) => {
    const workloads = [
      ...context.workloads().map(({ namespace, labels }) => ({ namespace, labels })),
      ...context
        .istio('WorkloadEntry')
        .map(({ namespace, labels, spec }) => ({ namespace, labels: { ...labels, ...spec.labels } })),
    ];
    const { fromCluster, rootNamespace } = context.snapshot;
    const byNamespace = groupBy(workloads, ({ namespace }) => namespace);
    const matched = (namespace: string, labels: Readonly<Record<string, string>>): boolean => {
      const candidates = namespace === rootNamespace ? workloads : (byNamespace.get(namespace) ?? []);
      // Files of policies alone say nothing about the workloads.
      if (!fromCluster && candidates.length === 0) return true;
      return candidates.some((workload) => selectorMatches(labels, workload.labels));
    };
    const shown = (labels: Readonly<Record<string, string>>): string =>
      Object.entries(labels)
        .map(([key, value]) => `${key}=${value}`)
        .join(',');
    for (const kind of kinds)
      for (const entry of context.istio(kind)) {
        const labels = entry.spec.selector?.matchLabels ?? {};
        if (Object.keys(labels).length > 0 && !matched(entry.namespace, labels))
          context.report(entry, 'NoMatchingWorkloadsFound', { labels: shown(labels) }, 'spec.selector');
      }
    for (const entry of context.istio('EnvoyFilter')) {
      const labels = entry.spec.workloadSelector?.labels ?? {};
      if (Object.keys(labels).length > 0 && !matched(entry.namespace, labels))
        context.report(entry, 'NoMatchingWorkloadsFound', { labels: shown(labels) }, 'spec.workloadSelector');
    }
  },
};
