import type { KubeClient } from '@istio-ts/kube';
import { labelsInclude } from '@istio-ts/kube';
import type { Informer } from './informer.ts';
import { keyOf, type Pod, REPLICA_SETS, type ReplicaSet, uidOf } from './kinds.ts';
import { byDeletionOrder, isActive, isAvailable, isReady, type PodControl, writeStatus } from './pod-control.ts';
import { createWorkQueue, type WorkQueue } from './work-queue.ts';

const BURST = 100;

/** Keeps as many pods of each ReplicaSet as it asks for. */
export function startReplicaSets(
  client: KubeClient,
  replicaSets: Informer<ReplicaSet>,
  pods: Informer<Pod>,
  control: PodControl,
  onError: (key: string, error: Error) => void,
): WorkQueue {
  const queue = createWorkQueue({ reconcile, onError });
  replicaSets.onChange(({ object }) => queue.add(keyOf(object)));
  control.onOwner('ReplicaSet', (key) => queue.add(key));
  pods.onChange(({ type, object, previous }) => {
    // A pod that lost its controller or changed its labels may fit another set.
    if (type === 'DELETED' || object.metadata.ownerReferences?.some((owner) => owner.controller === true)) {
      if (previous === undefined || previous.metadata.labels === object.metadata.labels) return;
    }
    if (type !== 'DELETED' && object.metadata.ownerReferences?.some((owner) => owner.controller === true) !== true) {
      for (const set of replicaSets.list(object.metadata.namespace ?? '')) {
        if (labelsInclude(set.spec.selector.matchLabels ?? {}, object.metadata.labels)) queue.add(keyOf(set));
      }
    }
  });

  async function reconcile(key: string): Promise<void> {
    const set = replicaSets.byKey(key);
    if (set === undefined) return;
    await control.claim(set, set.spec.selector);
    const owned = control.owned(uidOf(set));
    const active = owned.filter(isActive);
    const wanted = set.spec.replicas ?? 1;
    if (set.metadata.deletionTimestamp === undefined && !control.pending(uidOf(set))) {
      const missing = wanted - active.length;
      if (missing > 0) {
        const results = await Promise.allSettled(
          Array.from({ length: Math.min(missing, BURST) }, () => control.create(set, set.spec.template)),
        );
        const failed = results.find((result) => result.status === 'rejected');
        await status(set, active);
        if (failed?.status === 'rejected') throw failed.reason;
        queue.addAfter(key, 1000);
        return;
      }
      if (missing < 0) {
        const surplus = [...active].sort(byDeletionOrder).slice(0, -missing);
        await Promise.all(surplus.map((pod) => control.delete(set, pod)));
      }
    } else if (control.pending(uidOf(set))) queue.addAfter(key, 500);
    await status(set, active);
  }

  async function status(set: ReplicaSet, active: readonly Pod[]): Promise<void> {
    const minReady = set.spec.minReadySeconds ?? 0;
    const now = Date.now();
    const labels = set.spec.template.metadata?.labels ?? {};
    const available = active.filter((pod) => isAvailable(pod, minReady, now)).length;
    const ready = active.filter(isReady).length;
    if (available < ready) queue.addAfter(keyOf(set), minReady * 1000 + 50);
    await writeStatus(client, REPLICA_SETS, set, {
      replicas: active.length,
      fullyLabeledReplicas: active.filter((pod) => labelsInclude(labels, pod.metadata.labels)).length,
      readyReplicas: ready,
      availableReplicas: available,
      observedGeneration: set.metadata.generation,
    });
  }

  return queue;
}
