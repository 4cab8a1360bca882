import { createHash } from 'node:crypto';
import {
  KubeApiError,
  type KubeClient,
  type KubeObject,
  type LabelSelector,
  labelSelectorMatches,
  type ResourceType,
} from '@istio-ts/kube';
import type { EventRecorder } from './events.ts';
import type { Informer } from './informer.ts';
import { controllerOf, keyOf, nameOf, namespaceOf, PODS, type Pod, type PodTemplate, uidOf } from './kinds.ts';

/** Pods by the uid of their controller, and what was asked for but is not yet seen in the watch. */
export interface PodControl {
  /** Pods the owner controls, also ended and leaving ones. */
  owned(ownerUid: string): Pod[];
  /** Creates are still on their way back through the watch; counting now would count too few. */
  pending(ownerUid: string): boolean;
  create(owner: KubeObject, template: PodTemplate, changes?: PodChanges): Promise<void>;
  delete(owner: KubeObject, pod: Pod): Promise<void>;
  /** Takes over matching pods without a controller, and lets go of those that no longer match. */
  claim(owner: KubeObject, selector: LabelSelector): Promise<void>;
  /** Hears the key `kind namespace/name` of the controller of each pod that changes. */
  onOwner(kind: string, listener: (key: string, uid: string) => void): void;
}

export interface PodChanges {
  readonly name?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly spec?: Readonly<Record<string, unknown>>;
}

const PENDING_LIMIT = 5000;

export function createPodControl(client: KubeClient, pods: Informer<Pod>, events: EventRecorder): PodControl {
  const byOwner = new Map<string, Map<string, Pod>>();
  const created = new Map<string, Map<string, number>>();
  const deleted = new Set<string>();
  const listeners = new Map<string, ((key: string, uid: string) => void)[]>();

  const unlink = (pod: Pod | undefined) => {
    const owner = pod === undefined ? undefined : controllerOf(pod);
    if (pod === undefined || owner === undefined) return;
    const list = byOwner.get(owner.uid);
    list?.delete(uidOf(pod));
    if (list?.size === 0) byOwner.delete(owner.uid);
  };
  const tell = (pod: Pod | undefined) => {
    const owner = pod === undefined ? undefined : controllerOf(pod);
    if (pod === undefined || owner === undefined) return;
    for (const listener of listeners.get(owner.kind) ?? []) listener(`${namespaceOf(pod)}/${owner.name}`, owner.uid);
  };
  pods.onChange(({ type, object, previous }) => {
    if (previous !== undefined) unlink(previous);
    const owner = controllerOf(object);
    if (type === 'DELETED') {
      unlink(object);
      deleted.delete(uidOf(object));
    } else if (owner !== undefined) {
      const list = byOwner.get(owner.uid) ?? new Map<string, Pod>();
      list.set(uidOf(object), object);
      byOwner.set(owner.uid, list);
      created.get(owner.uid)?.delete(uidOf(object));
    }
    tell(object);
    if (previous !== undefined && controllerOf(previous)?.uid !== owner?.uid) tell(previous);
  });

  return {
    owned: (ownerUid) => [...(byOwner.get(ownerUid)?.values() ?? [])].map((pod) => leaving(pod, deleted)),
    pending(ownerUid) {
      const waiting = created.get(ownerUid);
      if (waiting === undefined) return false;
      for (const [uid, since] of waiting) if (Date.now() - since > PENDING_LIMIT) waiting.delete(uid);
      if (waiting.size === 0) created.delete(ownerUid);
      return waiting.size > 0;
    },
    async create(owner, template, changes = {}) {
      const base = nameOf(owner);
      const pod: KubeObject = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: {
          ...(changes.name === undefined ? { generateName: `${base.slice(0, 57)}-` } : { name: changes.name }),
          namespace: namespaceOf(owner),
          labels: { ...template.metadata?.labels, ...changes.labels },
          ...(template.metadata?.annotations === undefined && changes.annotations === undefined
            ? {}
            : { annotations: { ...template.metadata?.annotations, ...changes.annotations } }),
          ...(template.metadata?.finalizers === undefined ? {} : { finalizers: template.metadata.finalizers }),
          ownerReferences: [ownerReference(owner)],
        },
        spec: { ...template.spec, ...changes.spec },
      };
      try {
        const result = await client.create<Pod>(PODS, pod);
        if (byOwner.get(uidOf(owner))?.has(uidOf(result)) !== true) {
          const waiting = created.get(uidOf(owner)) ?? new Map<string, number>();
          waiting.set(uidOf(result), Date.now());
          created.set(uidOf(owner), waiting);
        }
        events.record(owner, 'Normal', 'SuccessfulCreate', `Created pod: ${nameOf(result)}`);
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        if (!/because it is being terminated/.test(message)) {
          events.record(owner, 'Warning', 'FailedCreate', `Error creating: ${message}`);
        }
        throw error;
      }
    },
    async delete(owner, pod) {
      deleted.add(uidOf(pod));
      try {
        await client.delete(PODS, nameOf(pod), namespaceOf(pod), { uid: uidOf(pod) });
        events.record(owner, 'Normal', 'SuccessfulDelete', `Deleted pod: ${nameOf(pod)}`);
      } catch (error) {
        deleted.delete(uidOf(pod));
        if (!(error instanceof KubeApiError && (error.status === 404 || error.status === 409))) throw error;
      }
    },
    async claim(owner, selector) {
      for (const pod of pods.list(namespaceOf(owner))) {
        const controller = controllerOf(pod);
        if (pod.metadata.deletionTimestamp !== undefined) continue;
        const matches = labelSelectorMatches(selector, pod.metadata.labels);
        if (controller === undefined && matches && owner.metadata.deletionTimestamp === undefined) {
          const references = [...(pod.metadata.ownerReferences ?? []), ownerReference(owner)];
          await patchOwners(client, pod, references);
        } else if (controller?.uid === uidOf(owner) && !matches) {
          const references = (pod.metadata.ownerReferences ?? []).filter(({ uid }) => uid !== uidOf(owner));
          await patchOwners(client, pod, references);
        }
      }
    },
    onOwner(kind, listener) {
      listeners.set(kind, [...(listeners.get(kind) ?? []), listener]);
    },
  };
}

/** A pod we have asked to delete counts as leaving even before the watch says so. */
function leaving(pod: Pod, deleted: ReadonlySet<string>): Pod {
  if (pod.metadata.deletionTimestamp !== undefined || !deleted.has(uidOf(pod))) return pod;
  return { ...pod, metadata: { ...pod.metadata, deletionTimestamp: new Date().toISOString() } };
}

async function patchOwners(client: KubeClient, pod: Pod, ownerReferences: readonly unknown[]): Promise<void> {
  try {
    await client.patch(PODS, nameOf(pod), namespaceOf(pod), 'merge', {
      metadata: { uid: uidOf(pod), resourceVersion: pod.metadata.resourceVersion, ownerReferences },
    });
  } catch (error) {
    if (!(error instanceof KubeApiError && (error.status === 404 || error.status === 409))) throw error;
  }
}

export function ownerReference(owner: KubeObject) {
  return {
    apiVersion: owner.apiVersion,
    kind: owner.kind,
    name: nameOf(owner),
    uid: uidOf(owner),
    controller: true,
    blockOwnerDeletion: true,
  };
}

export function isReady(pod: Pod): boolean {
  return pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;
}

/** Ready for at least `minReadySeconds`. */
export function isAvailable(pod: Pod, minReadySeconds: number, now: number): boolean {
  const condition = pod.status?.conditions?.find(({ type }) => type === 'Ready');
  if (condition?.status !== 'True') return false;
  return minReadySeconds === 0 || Date.parse(condition.lastTransitionTime ?? '') + minReadySeconds * 1000 <= now;
}

/** Neither ended nor leaving. */
export function isActive(pod: Pod): boolean {
  const phase = pod.status?.phase;
  return phase !== 'Succeeded' && phase !== 'Failed' && pod.metadata.deletionTimestamp === undefined;
}

/** Those to go first when there are too many: not running, not ready, then the youngest. */
export function byDeletionOrder(a: Pod, b: Pod): number {
  const rank = (pod: Pod) =>
    (pod.spec.nodeName ? 1 : 0) + (pod.status?.phase === 'Running' ? 2 : 0) + (isReady(pod) ? 4 : 0);
  const cost = (pod: Pod) => Number(pod.metadata.annotations?.['controller.kubernetes.io/pod-deletion-cost'] ?? 0) || 0;
  return (
    rank(a) - rank(b) ||
    cost(a) - cost(b) ||
    Date.parse(b.metadata.creationTimestamp ?? '') - Date.parse(a.metadata.creationTimestamp ?? '')
  );
}

/** Writes a status only if it differs. */
export async function writeStatus(
  client: KubeClient,
  type: ResourceType,
  object: KubeObject,
  status: Readonly<Record<string, unknown>>,
): Promise<void> {
  const before = object.status;
  const old = typeof before === 'object' && before !== null ? { ...before } : {};
  if (canonical({ ...old, ...dropUndefined(status) }) === canonical(old)) return;
  try {
    await client.patch(
      type,
      nameOf(object),
      namespaceOf(object) || undefined,
      'merge',
      { status },
      { subresource: 'status' },
    );
  } catch (error) {
    if (!(error instanceof KubeApiError && error.status === 404)) throw error;
  }
}

function dropUndefined(value: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined && item !== null));
}

/** JSON with sorted keys: equal for equal values. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'object' && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  );
}

/** The letters for the digits 0 to 9 in names of ReplicaSets (`78c76f67d7`), as Kubernetes' `SafeEncodeString` has them. */
const DIGIT_LETTERS = '456789bcdf';

/** A short name for a pod template: a 32-bit number whose digits are written so that no words come out. */
export function templateHash(template: PodTemplate, collisions: number): string {
  const digest = createHash('sha256').update(canonical(template)).update(String(collisions)).digest();
  return String(digest.readUInt32BE(0)).replace(/\d/g, (digit) => DIGIT_LETTERS[Number(digit)] ?? '');
}

/** Whether the keys of two objects are the same. */
export function sameKey(a: KubeObject, b: KubeObject): boolean {
  return keyOf(a) === keyOf(b);
}
