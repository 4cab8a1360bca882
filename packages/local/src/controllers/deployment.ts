import { KubeApiError, type KubeClient, type KubeObject } from '@istio-ts/kube';
import type { EventRecorder } from './events.ts';
import type { Informer } from './informer.ts';
import {
  type Condition,
  controllerOf,
  DEPLOYMENTS,
  type Deployment,
  keyOf,
  nameOf,
  namespaceOf,
  type Pod,
  type PodTemplate,
  REPLICA_SETS,
  type ReplicaSet,
  uidOf,
} from './kinds.ts';
import { canonical, ownerReference, type PodControl, templateHash, writeStatus } from './pod-control.ts';
import { nextRolloutStep, resolveShare } from './rollout.ts';
import { createWorkQueue, type WorkQueue } from './work-queue.ts';

const HASH = 'pod-template-hash';
const REVISION = 'deployment.kubernetes.io/revision';
const HISTORY = 'deployment.kubernetes.io/revision-history';
const DESIRED = 'deployment.kubernetes.io/desired-replicas';
const MAXIMUM = 'deployment.kubernetes.io/max-replicas';
/** Annotations of the Deployment that its ReplicaSets do not get. */
const OWN_ANNOTATIONS = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  REVISION,
  HISTORY,
  DESIRED,
  MAXIMUM,
  'deprecated.deployment.rollback.to',
]);

/** Rolls Deployments out through ReplicaSets (Kubernetes, "Deployments"). */
export function startDeployments(
  client: KubeClient,
  deployments: Informer<Deployment>,
  replicaSets: Informer<ReplicaSet>,
  control: PodControl,
  events: EventRecorder,
  onError: (key: string, error: Error) => void,
): WorkQueue {
  const queue = createWorkQueue({ reconcile, onError });
  const byOwner = new Map<string, Map<string, ReplicaSet>>();
  replicaSets.onChange(({ type, object, previous }) => {
    const owner = controllerOf(object) ?? (previous === undefined ? undefined : controllerOf(previous));
    if (owner?.kind !== 'Deployment') return;
    const list = byOwner.get(owner.uid) ?? new Map<string, ReplicaSet>();
    if (type === 'DELETED') list.delete(uidOf(object));
    else list.set(uidOf(object), object);
    if (list.size === 0) byOwner.delete(owner.uid);
    else byOwner.set(owner.uid, list);
    queue.add(`${namespaceOf(object)}/${owner.name}`);
  });
  deployments.onChange(({ object }) => queue.add(keyOf(object)));
  // With strategy Recreate the end of the last old pod lets the new ones start.
  control.onOwner('ReplicaSet', (key) => {
    const owner = controllerOf(replicaSets.byKey(key) ?? NOBODY);
    if (owner?.kind === 'Deployment') queue.add(`${key.slice(0, key.indexOf('/'))}/${owner.name}`);
  });

  async function reconcile(key: string): Promise<void> {
    const deployment = deployments.byKey(key);
    if (deployment === undefined || deployment.metadata.deletionTimestamp !== undefined) return;
    const sets = [...(byOwner.get(uidOf(deployment))?.values() ?? [])].sort(
      (a, b) => revisionOf(a) - revisionOf(b) || (nameOf(a) < nameOf(b) ? -1 : 1),
    );
    const template = canonical(deployment.spec.template);
    let current = sets.find((set) => canonical(withoutHash(set.spec.template)) === template);
    const old = sets.filter((set) => set !== current);
    const last = Math.max(0, ...old.map(revisionOf));
    const wanted = deployment.spec.replicas ?? 1;
    if (deployment.spec.paused === true) {
      // Only the size changes while the rollout is paused.
      if (current !== undefined && old.every((set) => (set.spec.replicas ?? 0) === 0))
        await scale(deployment, current, wanted);
      await status(deployment, current, old);
      return;
    }
    if (current === undefined) {
      const collisions = deployment.status?.collisionCount ?? 0;
      const first =
        deployment.spec.strategy?.type === 'Recreate'
          ? liveReplicas(old) > 0
            ? 0
            : wanted
          : firstSize(deployment, old);
      current = await createSet(deployment, collisions, last + 1, first);
      if (current === undefined) return;
      events.record(
        deployment,
        'Normal',
        'ScalingReplicaSet',
        `Scaled up replica set ${nameOf(current)} from 0 to ${first}`,
      );
      // The watch brings it back; the rest follows then.
      await annotateRevision(deployment, last + 1);
      return;
    }
    const revision = Math.max(revisionOf(current), revisionOf(current) > last ? 0 : last + 1);
    if (revision !== revisionOf(current)) {
      const history = current.metadata.annotations?.[HISTORY];
      const previous = String(revisionOf(current));
      await client.patch(REPLICA_SETS, nameOf(current), namespaceOf(current), 'merge', {
        metadata: {
          annotations: {
            ...inherited(deployment),
            [REVISION]: String(revision),
            [HISTORY]: history === undefined ? previous : `${history},${previous}`,
          },
        },
      });
    }
    await annotateRevision(deployment, revision);
    const minReady = deployment.spec.minReadySeconds ?? 0;
    if ((current.spec.minReadySeconds ?? 0) !== minReady) {
      await client.patch(REPLICA_SETS, nameOf(current), namespaceOf(current), 'merge', {
        spec: { minReadySeconds: minReady },
      });
    }
    if (deployment.spec.strategy?.type === 'Recreate') {
      for (const set of old) await scale(deployment, set, 0);
      const leaving = old.some((set) => (set.spec.replicas ?? 0) > 0 || control.owned(uidOf(set)).some(notEnded));
      if (!leaving) await scale(deployment, current, wanted);
    } else {
      const { maxSurge, maxUnavailable } = limits(deployment);
      const live = old.filter((set) => (set.spec.replicas ?? 0) > 0);
      const step = nextRolloutStep({
        wanted,
        maxSurge,
        maxUnavailable,
        newReplicas: current.spec.replicas ?? 0,
        newAvailable: current.status?.availableReplicas ?? 0,
        old: live.map((set) => ({ replicas: set.spec.replicas ?? 0, available: set.status?.availableReplicas ?? 0 })),
      });
      await scale(deployment, current, step.newReplicas);
      for (const [index, set] of live.entries()) await scale(deployment, set, step.old[index] ?? 0);
    }
    await status(deployment, current, old);
    await dropHistory(deployment, current, old);
  }

  async function createSet(
    deployment: Deployment,
    collisions: number,
    revision: number,
    replicas: number,
  ): Promise<ReplicaSet | undefined> {
    const hash = templateHash(deployment.spec.template, collisions);
    const name = `${nameOf(deployment)}-${hash}`;
    const labels = { ...deployment.spec.template.metadata?.labels, [HASH]: hash };
    const { selector } = deployment.spec;
    try {
      return await client.create<ReplicaSet>(REPLICA_SETS, {
        apiVersion: 'apps/v1',
        kind: 'ReplicaSet',
        metadata: {
          name,
          namespace: namespaceOf(deployment),
          labels,
          annotations: {
            ...inherited(deployment),
            [REVISION]: String(revision),
            [DESIRED]: String(deployment.spec.replicas ?? 1),
            [MAXIMUM]: String((deployment.spec.replicas ?? 1) + limits(deployment).maxSurge),
          },
          ownerReferences: [ownerReference(deployment)],
        },
        spec: {
          replicas,
          minReadySeconds: deployment.spec.minReadySeconds ?? 0,
          selector: { ...selector, matchLabels: { ...selector.matchLabels, [HASH]: hash } },
          template: {
            ...deployment.spec.template,
            metadata: { ...deployment.spec.template.metadata, labels },
          },
        },
      });
    } catch (error) {
      if (!(error instanceof KubeApiError && error.status === 409)) throw error;
      const existing = replicaSets.get(namespaceOf(deployment), name);
      if (existing !== undefined && controllerOf(existing)?.uid !== uidOf(deployment)) {
        // Another object has the name: the next try uses another hash.
        await writeStatus(client, DEPLOYMENTS, deployment, { collisionCount: collisions + 1 });
      } else queue.addAfter(keyOf(deployment), 50);
      return undefined;
    }
  }

  async function scale(deployment: Deployment, set: ReplicaSet, replicas: number): Promise<void> {
    const before = set.spec.replicas ?? 0;
    const wanted = String(deployment.spec.replicas ?? 1);
    if (before === replicas && set.metadata.annotations?.[DESIRED] === wanted) return;
    await client.patch(REPLICA_SETS, nameOf(set), namespaceOf(set), 'merge', {
      metadata: {
        annotations: {
          [DESIRED]: wanted,
          [MAXIMUM]: String((deployment.spec.replicas ?? 1) + limits(deployment).maxSurge),
        },
      },
      spec: { replicas },
    });
    if (before !== replicas) {
      const direction = replicas > before ? 'up' : 'down';
      events.record(
        deployment,
        'Normal',
        'ScalingReplicaSet',
        `Scaled ${direction} replica set ${nameOf(set)} from ${before} to ${replicas}`,
      );
    }
  }

  async function annotateRevision(deployment: Deployment, revision: number): Promise<void> {
    if (deployment.metadata.annotations?.[REVISION] === String(revision)) return;
    await client.patch(DEPLOYMENTS, nameOf(deployment), namespaceOf(deployment), 'merge', {
      metadata: { annotations: { [REVISION]: String(revision) } },
    });
  }

  async function status(
    deployment: Deployment,
    current: ReplicaSet | undefined,
    old: readonly ReplicaSet[],
  ): Promise<void> {
    const all = current === undefined ? old : [...old, current];
    const total = (field: 'replicas' | 'readyReplicas' | 'availableReplicas') =>
      all.reduce((sum, set) => sum + (set.status?.[field] ?? 0), 0);
    const wanted = deployment.spec.replicas ?? 1;
    const replicas = total('replicas');
    const available = total('availableReplicas');
    const updated = current?.status?.replicas ?? 0;
    const { maxUnavailable } = limits(deployment);
    const before = new Map((deployment.status?.conditions ?? []).map((condition) => [condition.type, condition]));
    const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
    const condition = (
      type: string,
      value: 'True' | 'False' | 'Unknown',
      reason: string,
      message: string,
    ): Condition => {
      const last = before.get(type);
      const same = last?.status === value;
      return {
        type,
        status: value,
        reason,
        message,
        lastUpdateTime:
          same && last?.reason === reason && last.message === message ? (last.lastUpdateTime ?? now) : now,
        lastTransitionTime: same ? (last?.lastTransitionTime ?? now) : now,
      };
    };
    const conditions: Condition[] = [
      available >= wanted - maxUnavailable
        ? condition('Available', 'True', 'MinimumReplicasAvailable', 'Deployment has minimum availability.')
        : condition(
            'Available',
            'False',
            'MinimumReplicasUnavailable',
            'Deployment does not have minimum availability.',
          ),
    ];
    const complete = updated === wanted && replicas === wanted && available === wanted;
    const name = current === undefined ? '' : nameOf(current);
    const progress = before.get('Progressing');
    const moved =
      updated > (deployment.status?.updatedReplicas ?? 0) ||
      replicas < (deployment.status?.replicas ?? 0) ||
      total('readyReplicas') > (deployment.status?.readyReplicas ?? 0) ||
      available > (deployment.status?.availableReplicas ?? 0);
    const deadline = (deployment.spec.progressDeadlineSeconds ?? 600) * 1000;
    if (deployment.spec.paused === true) {
      conditions.push(condition('Progressing', 'Unknown', 'DeploymentPaused', 'Deployment is paused'));
    } else if (complete) {
      conditions.push(
        condition('Progressing', 'True', 'NewReplicaSetAvailable', `ReplicaSet "${name}" has successfully progressed.`),
      );
    } else if (
      progress === undefined ||
      moved ||
      progress.status === 'Unknown' ||
      progress.reason === 'NewReplicaSetAvailable'
    ) {
      conditions.push({
        ...condition('Progressing', 'True', 'ReplicaSetUpdated', `ReplicaSet "${name}" is progressing.`),
        lastUpdateTime: now,
      });
      queue.addAfter(keyOf(deployment), deadline + 1000);
    } else if (Date.parse(progress.lastUpdateTime ?? now) + deadline < Date.now()) {
      conditions.push(
        condition(
          'Progressing',
          'False',
          'ProgressDeadlineExceeded',
          `ReplicaSet "${name}" has timed out progressing.`,
        ),
      );
    } else {
      conditions.push(progress);
      queue.addAfter(keyOf(deployment), Date.parse(progress.lastUpdateTime ?? now) + deadline + 1000 - Date.now());
    }
    await writeStatus(client, DEPLOYMENTS, deployment, {
      observedGeneration: deployment.metadata.generation,
      replicas,
      updatedReplicas: updated,
      readyReplicas: total('readyReplicas'),
      availableReplicas: available,
      unavailableReplicas: Math.max(0, Math.max(wanted, replicas) - available),
      conditions,
    });
  }

  async function dropHistory(deployment: Deployment, current: ReplicaSet, old: readonly ReplicaSet[]): Promise<void> {
    const keep = deployment.spec.revisionHistoryLimit ?? 10;
    const idle = old.filter(
      (set) =>
        (set.spec.replicas ?? 0) === 0 &&
        (set.status?.replicas ?? 0) === 0 &&
        set.metadata.deletionTimestamp === undefined &&
        set !== current,
    );
    for (const set of idle.slice(0, Math.max(0, idle.length - keep))) {
      await client.delete(REPLICA_SETS, nameOf(set), namespaceOf(set), { propagationPolicy: 'Background' });
    }
  }

  return queue;
}

const NOBODY: KubeObject = { apiVersion: '', kind: '', metadata: {} };

function notEnded(pod: Pod): boolean {
  return pod.status?.phase !== 'Succeeded' && pod.status?.phase !== 'Failed';
}

function limits(deployment: Deployment): { readonly maxSurge: number; readonly maxUnavailable: number } {
  const wanted = deployment.spec.replicas ?? 1;
  if (deployment.spec.strategy?.type === 'Recreate') return { maxSurge: 0, maxUnavailable: 0 };
  const rolling = deployment.spec.strategy?.rollingUpdate;
  const maxSurge = resolveShare(rolling?.maxSurge, wanted, '25%', true);
  const maxUnavailable = Math.min(wanted, resolveShare(rolling?.maxUnavailable, wanted, '25%', false));
  // With both at zero nothing could ever move.
  return { maxSurge, maxUnavailable: maxSurge === 0 && maxUnavailable === 0 ? 1 : maxUnavailable };
}

function firstSize(deployment: Deployment, old: readonly ReplicaSet[]): number {
  const wanted = deployment.spec.replicas ?? 1;
  return Math.min(wanted, Math.max(0, wanted + limits(deployment).maxSurge - liveReplicas(old)));
}

function liveReplicas(sets: readonly ReplicaSet[]): number {
  return sets.reduce((sum, set) => sum + (set.spec.replicas ?? 0), 0);
}

function revisionOf(set: ReplicaSet): number {
  return Number(set.metadata.annotations?.[REVISION] ?? 0) || 0;
}

function inherited(deployment: Deployment): Record<string, string> {
  return Object.fromEntries(
    Object.entries(deployment.metadata.annotations ?? {}).filter(([name]) => !OWN_ANNOTATIONS.has(name)),
  );
}

function withoutHash(template: PodTemplate): PodTemplate {
  const { [HASH]: _, ...labels } = template.metadata?.labels ?? {};
  return { ...template, metadata: { ...template.metadata, labels } };
}
