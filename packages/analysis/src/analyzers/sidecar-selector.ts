import { isEmptySelector, selectorMatches } from '@istio-ts/mesh/selector';
import type { Analyzer } from '../analyzer.ts';
import { nameOf } from '../config-object.ts';
import { groupBy } from '../overlap.ts';
import { selectorText } from '../virtual-service.ts';
import { workloadInputs } from '../workloads.ts';

/** Sidecars with a selector: whether it selects somebody, and whether somebody is selected twice. */
export const sidecarSelector: Analyzer = {
  name: 'sidecar.SelectorAnalyzer',
  description: 'Checks that the selectors of Sidecars select pods, and each pod only once',
  inputs: ['Sidecar', ...workloadInputs],
  run: (context) => {
    const selecting = context
      .istio('Sidecar')
      .filter(({ spec }) => !isEmptySelector(spec.workloadSelector?.labels))
      .map((entry) => {
        const labels = entry.spec.workloadSelector?.labels;
        const pods = context.workloadsOf(entry.namespace).filter((pod) => selectorMatches(labels, pod.labels));
        return { entry, labels, pods };
      });
    for (const { entry, labels, pods } of selecting) {
      if (pods.length > 0) continue;
      const args = { reftype: 'selector', refval: selectorText(labels) };
      context.report(entry, 'ReferencedResourceNotFound', args, 'spec.workloadSelector.labels');
    }
    const selections = selecting.flatMap(({ entry, pods }) => pods.map((pod) => ({ entry, pod: nameOf(pod) })));
    const told = new Set<string>();
    for (const [workloadPod, group] of groupBy(selections, ({ pod }) => pod)) {
      if (group.length < 2) continue;
      const conflictingSidecars = group.map(({ entry }) => entry.name).sort();
      for (const { entry } of group) {
        // One pod of a deployment is as good as all of them.
        const key = JSON.stringify([nameOf(entry), conflictingSidecars]);
        if (told.has(key)) continue;
        told.add(key);
        const args = { conflictingSidecars, namespace: entry.namespace, workloadPod };
        context.report(entry, 'ConflictingSidecarWorkloadSelectors', args, 'spec.workloadSelector');
      }
    }
  },
};

/** Several Sidecars of a namespace without a selector. */
export const sidecarDefault: Analyzer = {
  name: 'sidecar.DefaultSelectorAnalyzer',
  description: 'Checks that a namespace has only one Sidecar without a selector',
  inputs: ['Sidecar'],
  run: (context) => {
    const defaults = context.istio('Sidecar').filter(({ spec }) => isEmptySelector(spec.workloadSelector?.labels));
    for (const [namespace, group] of groupBy(defaults, (entry) => entry.namespace)) {
      if (group.length < 2) continue;
      const conflictingSidecars = group.map(({ name }) => name).sort();
      for (const entry of group)
        context.report(entry, 'MultipleSidecarsWithoutWorkloadSelectors', { conflictingSidecars, namespace });
    }
  },
};
