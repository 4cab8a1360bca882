import type { Condition, Pod, PodStatus } from '../controllers/kinds.ts';
import { rfc3339, type Slot, slotStatus } from './slot.ts';

export interface PodProgress {
  readonly sandboxReady: boolean;
  readonly podIP: string | undefined;
  readonly hostIP: string;
  readonly startTime: Date;
  /** Ended by the node for good, for example past its deadline. */
  readonly failure: { readonly reason: string; readonly message: string } | undefined;
  /** The pod is over; its containers will not be started again. */
  readonly terminal: boolean;
}

const OWN_CONDITIONS = new Set([
  'PodReadyToStartContainers',
  'Initialized',
  'Ready',
  'ContainersReady',
  'PodScheduled',
]);

/** The phase of a pod (Kubernetes, "Pod Lifecycle"). */
export function podPhase(pod: Pod, slots: readonly Slot[], progress: PodProgress): string {
  if (progress.failure !== undefined) return 'Failed';
  const policy = pod.spec.restartPolicy ?? 'Always';
  const mains = slots.filter((slot) => slot.kind === 'main');
  const failedInit = slots.find(
    (slot) => slot.kind === 'init' && (slot.state.terminated?.exitCode ?? 0) !== 0 && policy === 'Never',
  );
  if (failedInit !== undefined) return 'Failed';
  const ended = mains.filter((slot) => slot.state.terminated !== undefined);
  if (ended.length === mains.length && (policy !== 'Always' || progress.terminal)) {
    const failed = ended.some((slot) => slot.state.terminated?.exitCode !== 0);
    if (!failed) return 'Succeeded';
    if (policy === 'Never' || progress.terminal) return 'Failed';
    return 'Running';
  }
  if (!initialized(slots)) return 'Pending';
  const fresh = mains.some((slot) => slot.state.waiting !== undefined && slot.lastState.terminated === undefined);
  return fresh ? 'Pending' : 'Running';
}

/** Whether all init containers are done and all sidecars have started. */
export function initialized(slots: readonly Slot[]): boolean {
  return slots.every((slot) =>
    slot.kind === 'main'
      ? true
      : slot.kind === 'sidecar'
        ? slot.started || slot.lastState.terminated !== undefined
        : slot.state.terminated?.exitCode === 0,
  );
}

/** The whole status of a pod as the node sees it; conditions of others and times of unchanged conditions are kept. */
export function podStatus(pod: Pod, slots: readonly Slot[], progress: PodProgress, now: Date): PodStatus {
  const phase = podPhase(pod, slots, progress);
  const over = phase === 'Succeeded' || phase === 'Failed';
  const unready = slots.filter((slot) => slot.kind !== 'init' && !slot.ready).map((slot) => slot.spec.name);
  const uninitialized = slots
    .filter(
      (slot) => slot.kind !== 'main' && !(slot.kind === 'init' ? slot.state.terminated?.exitCode === 0 : slot.started),
    )
    .map((slot) => slot.spec.name);
  const before = new Map((pod.status?.conditions ?? []).map((condition) => [condition.type, condition]));
  const condition = (type: string, ok: boolean, reason?: string, message?: string): Condition => {
    const status = ok ? 'True' : 'False';
    const old = before.get(type);
    return {
      type,
      status,
      lastTransitionTime: old?.status === status ? (old.lastTransitionTime ?? rfc3339(now)) : rfc3339(now),
      ...(ok || reason === undefined ? {} : { reason }),
      ...(ok || message === undefined ? {} : { message }),
    };
  };
  const names = (list: readonly string[]) => `[${list.join(' ')}]`;
  const containersReady = unready.length === 0 && !over;
  const gates = (pod.spec.readinessGates ?? []).filter(
    ({ conditionType }) => before.get(conditionType)?.status !== 'True',
  );
  const notReady = over
    ? { reason: phase === 'Succeeded' ? 'PodCompleted' : 'PodFailed', message: undefined }
    : { reason: 'ContainersNotReady', message: `containers with unready status: ${names(unready)}` };
  const conditions: Condition[] = [
    condition('PodReadyToStartContainers', progress.sandboxReady),
    condition(
      'Initialized',
      uninitialized.length === 0,
      'ContainersNotInitialized',
      `containers with incomplete status: ${names(uninitialized)}`,
    ),
    gates.length > 0 && containersReady
      ? condition(
          'Ready',
          false,
          'ReadinessGatesNotReady',
          `the status of pod readiness gate "${gates[0]?.conditionType}" is not "True"`,
        )
      : condition('Ready', containersReady, notReady.reason, notReady.message),
    condition('ContainersReady', containersReady, notReady.reason, notReady.message),
    condition('PodScheduled', true),
    ...[...before.values()].filter(({ type }) => !OWN_CONDITIONS.has(type)),
  ];
  const inits = slots.filter((slot) => slot.kind !== 'main').map(slotStatus);
  return {
    phase,
    conditions,
    hostIP: progress.hostIP,
    ...(progress.podIP === undefined ? {} : { podIP: progress.podIP, podIPs: [{ ip: progress.podIP }] }),
    startTime: rfc3339(progress.startTime),
    ...(inits.length > 0 ? { initContainerStatuses: inits } : {}),
    containerStatuses: slots.filter((slot) => slot.kind === 'main').map(slotStatus),
    qosClass: qosClass(pod),
    ...(progress.failure ?? {}),
  };
}

/** Quality of service class (Kubernetes, "Pod Quality of Service Classes"). */
function qosClass(pod: Pod): string {
  const containers = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
  let any = false;
  let all = true;
  for (const { resources } of containers) {
    for (const name of ['cpu', 'memory']) {
      const limit = resources?.limits?.[name];
      const request = resources?.requests?.[name] ?? limit;
      if (limit !== undefined || request !== undefined) any = true;
      if (limit === undefined || String(limit) !== String(request)) all = false;
    }
  }
  return !any ? 'BestEffort' : all ? 'Guaranteed' : 'Burstable';
}
