import type { KubeClient, KubeObject } from '@istio-ts/kube';
import { labelsInclude } from '@istio-ts/kube';
import type { Informer } from './informer.ts';
import { DAEMON_SETS, type DaemonSet, keyOf, nameOf, type Pod, uidOf } from './kinds.ts';
import { isAvailable, isReady, type PodControl, templateHash, writeStatus } from './pod-control.ts';
import { resolveShare } from './rollout.ts';
import { createWorkQueue, type WorkQueue } from './work-queue.ts';

const REVISION = 'controller-revision-hash';

/** Keeps one pod of each DaemonSet on every node that its template selects. */
export function startDaemonSets(
  client: KubeClient,
  daemonSets: Informer<DaemonSet>,
  nodes: Informer<KubeObject>,
  control: PodControl,
  onError: (key: string, error: Error) => void,
): WorkQueue {
  const queue = createWorkQueue({ reconcile, onError });
  daemonSets.onChange(({ object }) => queue.add(keyOf(object)));
  control.onOwner('DaemonSet', (key) => queue.add(key));
  nodes.onChange(({ object, previous }) => {
    if (previous !== undefined && JSON.stringify(previous.metadata.labels) === JSON.stringify(object.metadata.labels))
      return;
    for (const set of daemonSets.list()) queue.add(keyOf(set));
  });

  async function reconcile(key: string): Promise<void> {
    const set = daemonSets.byKey(key);
    if (set === undefined || set.metadata.deletionTimestamp !== undefined) return;
    await control.claim(set, set.spec.selector);
    const hash = templateHash(set.spec.template, 0);
    const owned = control.owned(uidOf(set));
    const targets = nodes
      .list()
      .filter((node) => labelsInclude(set.spec.template.spec.nodeSelector ?? {}, node.metadata.labels))
      .map(nameOf);
    if (control.pending(uidOf(set))) queue.addAfter(key, 500);
    else {
      for (const node of targets) {
        const here = owned.filter((pod) => nodeOf(pod) === node);
        const failed = here.filter((pod) => pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded');
        for (const pod of failed) if (pod.metadata.deletionTimestamp === undefined) await control.delete(set, pod);
        if (here.length === 0) {
          await control.create(set, set.spec.template, {
            labels: { [REVISION]: hash },
            spec: { nodeName: node },
          });
        }
        const live = here.filter((pod) => pod.metadata.deletionTimestamp === undefined && !failed.includes(pod));
        for (const pod of live.slice(1)) await control.delete(set, pod);
      }
      for (const pod of owned) {
        if (!targets.includes(nodeOf(pod)) && pod.metadata.deletionTimestamp === undefined)
          await control.delete(set, pod);
      }
      if (set.spec.updateStrategy?.type !== 'OnDelete') await roll(set, owned, hash, targets.length);
    }
    await status(set, owned, hash, targets);
  }

  /** Replaces outdated pods, at most `maxUnavailable` at once. */
  async function roll(set: DaemonSet, owned: readonly Pod[], hash: string, nodesWanted: number): Promise<void> {
    const allowed = Math.max(
      1,
      resolveShare(set.spec.updateStrategy?.rollingUpdate?.maxUnavailable, nodesWanted, '1', true),
    );
    const live = owned.filter((pod) => pod.metadata.deletionTimestamp === undefined);
    const outdated = live.filter((pod) => pod.metadata.labels?.[REVISION] !== hash);
    let budget = allowed - (nodesWanted - live.filter(isReady).length);
    for (const pod of outdated) {
      if (isReady(pod)) {
        if (budget <= 0) continue;
        budget -= 1;
      }
      await control.delete(set, pod);
    }
  }

  async function status(
    set: DaemonSet,
    owned: readonly Pod[],
    hash: string,
    targets: readonly string[],
  ): Promise<void> {
    const live = owned.filter((pod) => pod.metadata.deletionTimestamp === undefined && targets.includes(nodeOf(pod)));
    const available = live.filter((pod) => isAvailable(pod, set.spec.minReadySeconds ?? 0, Date.now())).length;
    await writeStatus(client, DAEMON_SETS, set, {
      observedGeneration: set.metadata.generation,
      desiredNumberScheduled: targets.length,
      currentNumberScheduled: new Set(live.map(nodeOf)).size,
      numberMisscheduled: owned.filter((pod) => !targets.includes(nodeOf(pod))).length,
      numberReady: live.filter(isReady).length,
      numberAvailable: available,
      numberUnavailable: targets.length - available,
      updatedNumberScheduled: live.filter((pod) => pod.metadata.labels?.[REVISION] === hash).length,
    });
  }

  return queue;
}

function nodeOf(pod: Pod): string {
  return pod.spec.nodeName ?? '';
}
