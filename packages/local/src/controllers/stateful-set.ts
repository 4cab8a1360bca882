import { KubeApiError, type KubeClient } from '@istio-ts/kube';
import type { Informer } from './informer.ts';
import {
  keyOf,
  nameOf,
  namespaceOf,
  PERSISTENT_VOLUME_CLAIMS,
  type Pod,
  STATEFUL_SETS,
  type StatefulSet,
  uidOf,
} from './kinds.ts';
import { isAvailable, isReady, type PodControl, templateHash, writeStatus } from './pod-control.ts';
import { createWorkQueue, type WorkQueue } from './work-queue.ts';

const REVISION = 'controller-revision-hash';
const POD_NAME = 'statefulset.kubernetes.io/pod-name';
const POD_INDEX = 'apps.kubernetes.io/pod-index';

/** Keeps numbered pods with stable names (Kubernetes, "StatefulSets"). */
export function startStatefulSets(
  client: KubeClient,
  statefulSets: Informer<StatefulSet>,
  control: PodControl,
  onError: (key: string, error: Error) => void,
): WorkQueue {
  const queue = createWorkQueue({ reconcile, onError });
  statefulSets.onChange(({ object }) => queue.add(keyOf(object)));
  control.onOwner('StatefulSet', (key) => queue.add(key));

  async function reconcile(key: string): Promise<void> {
    const set = statefulSets.byKey(key);
    if (set === undefined || set.metadata.deletionTimestamp !== undefined) return;
    await control.claim(set, set.spec.selector);
    const revision = `${nameOf(set)}-${templateHash(set.spec.template, 0)}`;
    const owned = control.owned(uidOf(set));
    const byIndex = new Map<number, Pod>();
    for (const pod of owned) {
      const index = ordinal(set, pod);
      if (index !== undefined) byIndex.set(index, pod);
    }
    await status(set, owned, revision);
    if (control.pending(uidOf(set))) {
      queue.addAfter(key, 500);
      return;
    }
    const first = set.spec.ordinals?.start ?? 0;
    const end = first + (set.spec.replicas ?? 1);
    const parallel = set.spec.podManagementPolicy === 'Parallel';
    const minReady = set.spec.minReadySeconds ?? 0;
    for (let index = first; index < end; index++) {
      const pod = byIndex.get(index);
      if (pod === undefined) {
        await ensureClaims(set, index);
        await createPod(set, index, revision);
        if (!parallel) return;
      } else if (pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded') {
        await control.delete(set, pod);
        if (!parallel) return;
      } else if (
        !parallel &&
        (pod.metadata.deletionTimestamp !== undefined || !isAvailable(pod, minReady, Date.now()))
      ) {
        if (isReady(pod)) queue.addAfter(key, minReady * 1000);
        return;
      }
    }
    const surplus = [...byIndex].filter(([index]) => index < first || index >= end).sort(([a], [b]) => b - a);
    for (const [, pod] of surplus) {
      if (pod.metadata.deletionTimestamp === undefined) await control.delete(set, pod);
      if (!parallel) return;
    }
    if (set.spec.updateStrategy?.type === 'OnDelete') return;
    const partition = set.spec.updateStrategy?.rollingUpdate?.partition ?? 0;
    for (let index = end - 1; index >= Math.max(first, partition); index--) {
      const pod = byIndex.get(index);
      if (pod === undefined || pod.metadata.deletionTimestamp !== undefined) return;
      if (pod.metadata.labels?.[REVISION] !== revision) {
        await control.delete(set, pod);
        return;
      }
      if (!isReady(pod)) return;
    }
  }

  async function createPod(set: StatefulSet, index: number, revision: string): Promise<void> {
    const name = `${nameOf(set)}-${index}`;
    const claims = (set.spec.volumeClaimTemplates ?? []).map((claim) => ({
      name: nameOf(claim),
      persistentVolumeClaim: { claimName: `${nameOf(claim)}-${name}` },
    }));
    const own = new Set(claims.map((claim) => claim.name));
    const volumes = [...(set.spec.template.spec.volumes ?? []).filter((volume) => !own.has(volume.name)), ...claims];
    try {
      await control.create(set, set.spec.template, {
        name,
        labels: { [REVISION]: revision, [POD_NAME]: name, [POD_INDEX]: String(index) },
        spec: { hostname: name, subdomain: set.spec.serviceName ?? '', ...(volumes.length > 0 ? { volumes } : {}) },
      });
    } catch (error) {
      // The pod of that name is still on its way out.
      if (!(error instanceof KubeApiError && error.status === 409)) throw error;
      queue.addAfter(keyOf(set), 500);
    }
  }

  async function ensureClaims(set: StatefulSet, index: number): Promise<void> {
    for (const template of set.spec.volumeClaimTemplates ?? []) {
      const name = `${nameOf(template)}-${nameOf(set)}-${index}`;
      try {
        await client.create(PERSISTENT_VOLUME_CLAIMS, {
          ...template,
          apiVersion: 'v1',
          kind: 'PersistentVolumeClaim',
          metadata: { name, namespace: namespaceOf(set), labels: set.spec.selector.matchLabels },
        });
      } catch (error) {
        if (!(error instanceof KubeApiError && (error.status === 409 || error.status === 404))) throw error;
      }
    }
  }

  async function status(set: StatefulSet, owned: readonly Pod[], revision: string): Promise<void> {
    const live = owned.filter((pod) => pod.metadata.deletionTimestamp === undefined);
    const updated = live.filter((pod) => pod.metadata.labels?.[REVISION] === revision);
    const complete =
      updated.length === (set.spec.replicas ?? 1) && updated.every(isReady) && owned.length === updated.length;
    const before = set.status?.currentRevision;
    await writeStatus(client, STATEFUL_SETS, set, {
      observedGeneration: set.metadata.generation,
      replicas: owned.length,
      readyReplicas: live.filter(isReady).length,
      availableReplicas: live.filter((pod) => isAvailable(pod, set.spec.minReadySeconds ?? 0, Date.now())).length,
      updatedReplicas: updated.length,
      currentReplicas: complete
        ? updated.length
        : live.filter((pod) => pod.metadata.labels?.[REVISION] === before).length,
      currentRevision: complete || typeof before !== 'string' ? revision : before,
      updateRevision: revision,
      collisionCount: 0,
    });
  }

  return queue;
}

function ordinal(set: StatefulSet, pod: Pod): number | undefined {
  const prefix = `${nameOf(set)}-`;
  const name = nameOf(pod);
  if (!name.startsWith(prefix)) return undefined;
  const index = Number(name.slice(prefix.length));
  return Number.isInteger(index) ? index : undefined;
}
