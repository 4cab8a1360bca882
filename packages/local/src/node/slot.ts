import type { Container, ContainerState, ContainerStatus, Pod } from '../controllers/kinds.ts';
import type { ContainerProcess, ExitInfo } from './container-process.ts';
import type { Prober } from './prober.ts';

/** One container of a pod over all its starts. */
export interface Slot {
  readonly spec: Container;
  readonly kind: 'init' | 'sidecar' | 'main';
  /** Number of the current or next start, 0 for the first; the restart count of the status. */
  attempt: number;
  process: ContainerProcess | undefined;
  state: ContainerState;
  lastState: ContainerState;
  /** Set once the startup probe has passed or there is none. */
  started: boolean;
  ready: boolean;
  imageID: string;
  containerID: string | undefined;
  /** Not to be started before, milliseconds since the epoch. */
  notBefore: number;
  /** Starts in a row that ended soon; sets the back-off. */
  crashes: number;
  /** Failed tries to get the image, sets its back-off. */
  pulls: number;
  probers: Prober[];
  /** Why the node itself ends it, for the status. */
  killReason: string | undefined;
}

export function createSlots(pod: Pod): Map<string, Slot> {
  const slots = new Map<string, Slot>();
  const add = (spec: Container, kind: Slot['kind'], reason: string) =>
    slots.set(spec.name, {
      spec,
      kind,
      attempt: 0,
      process: undefined,
      state: { waiting: { reason } },
      lastState: {},
      started: false,
      ready: false,
      imageID: '',
      containerID: undefined,
      notBefore: 0,
      crashes: 0,
      pulls: 0,
      probers: [],
      killReason: undefined,
    });
  const inits = pod.spec.initContainers ?? [];
  for (const spec of inits) add(spec, spec.restartPolicy === 'Always' ? 'sidecar' : 'init', 'PodInitializing');
  for (const spec of pod.spec.containers) {
    add(spec, 'main', inits.length > 0 ? 'PodInitializing' : 'ContainerCreating');
  }
  return slots;
}

/** RFC 3339 in seconds, as Kubernetes' times are. */
export function rfc3339(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`;
}

export function terminatedState(
  slot: Slot,
  exit: ExitInfo,
  startedAt: Date | undefined,
  message: string,
): ContainerState {
  const reason = exit.setupFailure !== undefined ? 'StartError' : exit.exitCode === 0 ? 'Completed' : 'Error';
  return {
    terminated: {
      exitCode: exit.exitCode,
      reason: slot.killReason ?? reason,
      ...(exit.setupFailure !== undefined || message !== '' ? { message: exit.setupFailure ?? message } : {}),
      startedAt: startedAt === undefined ? '1970-01-01T00:00:00Z' : rfc3339(startedAt),
      finishedAt: rfc3339(exit.finishedAt),
      ...(slot.containerID === undefined ? {} : { containerID: slot.containerID }),
    },
  };
}

export function slotStatus(slot: Slot): ContainerStatus {
  return {
    name: slot.spec.name,
    state: slot.state,
    lastState: slot.lastState,
    ready: slot.ready,
    started: slot.kind === 'init' ? false : slot.started && slot.state.running !== undefined,
    restartCount: slot.attempt,
    image: slot.spec.image ?? '',
    imageID: slot.imageID,
    ...(slot.containerID === undefined ? {} : { containerID: slot.containerID }),
  };
}

/** Name of a container's part of the pod in events. */
export function fieldPath(slot: Slot): string {
  return slot.kind === 'main' ? `spec.containers{${slot.spec.name}}` : `spec.initContainers{${slot.spec.name}}`;
}
