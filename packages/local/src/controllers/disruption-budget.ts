import { type KubeClient, type KubeObject, type LabelSelector, labelSelectorMatches } from '@istio-ts/kube';
import type { Informer } from './informer.ts';
import { keyOf, namespaceOf, POD_DISRUPTION_BUDGETS, type Pod } from './kinds.ts';
import { isActive, isReady, writeStatus } from './pod-control.ts';
import { resolveShare } from './rollout.ts';
import { createWorkQueue, type WorkQueue } from './work-queue.ts';

interface BudgetSpec {
  readonly selector?: LabelSelector;
  readonly minAvailable?: number | string;
  readonly maxUnavailable?: number | string;
}

/** Keeps the status of PodDisruptionBudgets, which evictions are decided by. */
export function startDisruptionBudgets(
  client: KubeClient,
  budgets: Informer<KubeObject>,
  pods: Informer<Pod>,
  onError: (key: string, error: Error) => void,
): WorkQueue {
  const queue = createWorkQueue({
    onError,
    async reconcile(key) {
      const budget = budgets.byKey(key);
      if (budget === undefined) return;
      const spec = specOf(budget);
      const matching = pods.list(namespaceOf(budget)).filter((pod) => isActive(pod) && selects(spec.selector, pod));
      const expected = matching.length;
      const healthy = matching.filter(isReady).length;
      const desired =
        spec.maxUnavailable !== undefined
          ? Math.max(0, expected - resolveShare(spec.maxUnavailable, expected, '0', true))
          : resolveShare(spec.minAvailable, expected, '1', true);
      await writeStatus(client, POD_DISRUPTION_BUDGETS, budget, {
        observedGeneration: budget.metadata.generation,
        expectedPods: expected,
        currentHealthy: healthy,
        desiredHealthy: desired,
        disruptionsAllowed: Math.max(0, healthy - desired),
      });
    },
  });
  budgets.onChange(({ object }) => queue.add(keyOf(object)));
  pods.onChange(({ object }) => {
    for (const budget of budgets.list(namespaceOf(object))) {
      if (selects(specOf(budget).selector, object)) queue.add(keyOf(budget));
    }
  });
  return queue;
}

function specOf(budget: KubeObject): BudgetSpec {
  return typeof budget.spec === 'object' && budget.spec !== null ? (budget.spec as BudgetSpec) : {};
}

/** A budget without a selector is about no pod (Kubernetes API, PodDisruptionBudgetSpec). */
const selects = (selector: LabelSelector | undefined, pod: KubeObject): boolean =>
  selector !== undefined && labelSelectorMatches(selector, pod.metadata.labels);
