import * as fs from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { KubeApiError, type KubeClient } from '@istio-ts/kube';
import type { EventRecorder } from '../controllers/events.ts';
import { nameOf, namespaceOf, PODS, type Pod, type PodStatus, type Service, uidOf } from '../controllers/kinds.ts';
import type { ImageStore } from '../images/image-store.ts';
import { createAlarm } from './alarm.ts';
import type { ContainerProcess } from './container-process.ts';
import { adoptContainers, type RunnerContext, startSlot, stopContainer } from './container-runner.ts';
import type { Lookup, PodFacts } from './environment.ts';
import type { FifoPool } from './fifo-pool.ts';
import { inheritFromStatus, type PodFailure } from './inherited-slots.ts';
import { podPaths } from './paths.ts';
import { initialized, podPhase, podStatus } from './pod-status.ts';
import { createPodVolumes } from './pod-volumes.ts';
import { backOff } from './restart-backoff.ts';
import { createSandbox, loadSandbox, removeSandbox, type Sandbox, type SandboxContext } from './sandbox.ts';
import { createSlots, fieldPath, rfc3339, type Slot } from './slot.ts';
import type { VolumeContext } from './volumes.ts';

/** What all pods of the node share. */
export interface NodeContext {
  readonly client: KubeClient;
  readonly events: EventRecorder;
  readonly images: ImageStore;
  readonly fifos: FifoPool;
  readonly sandboxes: SandboxContext;
  readonly volumes: Omit<VolumeContext, 'facts'>;
  readonly lookup: Lookup;
  readonly services: () => readonly Service[];
  readonly facts: Omit<PodFacts, 'podIP'>;
  readonly runDir: string;
  readonly logDir: string;
  /** Directory with device nodes. */
  readonly devices: string;
  /** Makes the cgroup of a container, where the machine lets us. */
  readonly cgroup: (pod: Pod, container: string) => string | undefined;
  readonly log: (line: string) => void;
}

/** The life of one pod on the node. */
export interface PodWorker {
  readonly uid: string;
  /** Resolves when the pod's status says what there is of it, after a start of the cluster. */
  readonly settled: Promise<void>;
  pod(): Pod;
  update(pod: Pod): void;
  /** The object is gone from the API server: end at once. */
  remove(): void;
  /** Something the pod refers to has changed. */
  refresh(): void;
  slot(container: string | undefined): Slot | undefined;
  sandbox(): Sandbox | undefined;
  /** Ends all containers without touching the object, for the end of the cluster. */
  halt(graceSeconds: number): Promise<void>;
  /** Stops watching; containers run on. */
  release(): void;
}

/**
 * How long a ready pod that is deleted goes on before its containers are told: long enough for its clients to learn that it is no endpoint any
 * more. Kubernetes promises no order, but a kubelet is never as quick as this node, and programs that close their port at once rely on that.
 */
const WITHDRAWAL_MS = 500;

export function createPodWorker(context: NodeContext, initial: Pod, onGone: () => void): PodWorker {
  let pod = initial;
  const uid = uidOf(initial);
  const paths = podPaths(context.runDir, uid);
  const slots = createSlots(initial);
  const list = [...slots.values()];
  let sandbox: Sandbox | undefined;
  let adopted = false;
  const settled = Promise.withResolvers<void>();
  let gone = false;
  let halted = false;
  let released = false;
  let finished = false;
  let running = false;
  let again = false;
  let failure: PodFailure | undefined;
  const alarm = createAlarm(() => kick());
  const wakeIn = alarm.in;
  const volumes = createPodVolumes({
    context,
    paths,
    pod: () => pod,
    podIP: () => sandbox?.address ?? pod.status?.podIP ?? '',
    gone: () => gone,
    wakeIn,
  });
  const startTime = initial.status?.startTime === undefined ? new Date() : new Date(initial.status.startTime);
  let interrupt: () => void = () => {};
  /** Resolves when the pod is to end; long hooks race against it. */
  const interrupted = new Promise<void>((resolve) => {
    interrupt = resolve;
  });

  // ---- status -------------------------------------------------------------------------------------------------------
  let sent = '';
  let sending: Promise<void> | undefined;

  function currentStatus(terminal: boolean): PodStatus {
    return podStatus(
      pod,
      list,
      {
        sandboxReady: sandbox !== undefined,
        podIP: sandbox?.address ?? pod.status?.podIP,
        hostIP: context.facts.hostIP,
        startTime,
        failure,
        terminal,
      },
      new Date(),
    );
  }

  /** Sends the status if it differs from what the API server has; calls that come together make one request. */
  function publish(terminal = false): Promise<void> {
    sending ??= new Promise<void>((resolve) => setImmediate(resolve))
      .then(async () => {
        for (;;) {
          if (gone || released || halted) return;
          const status = currentStatus(terminal || finished);
          const text = JSON.stringify(status);
          if (text === sent) return;
          try {
            const updated = await context.client.patch<Pod>(
              PODS,
              nameOf(pod),
              namespaceOf(pod),
              'merge',
              { metadata: { uid }, status: { reason: null, message: null, ...status } },
              { subresource: 'status' },
            );
            sent = text;
            // The times of conditions are now the server's.
            if (uidOf(updated) === uid && pod.status !== updated.status) pod = { ...pod, status: updated.status };
          } catch (error) {
            if (error instanceof KubeApiError && (error.status === 404 || error.status === 409)) return;
            context.log(`status of pod ${namespaceOf(pod)}/${nameOf(pod)}: ${String(error)}`);
            wakeIn(1000);
            return;
          }
        }
      })
      .finally(() => {
        sending = undefined;
      });
    return sending;
  }

  // ---- the loop -----------------------------------------------------------------------------------------------------
  function kick(): void {
    if (finished || released || halted) return;
    if (running) {
      again = true;
      return;
    }
    running = true;
    void (async () => {
      do {
        again = false;
        try {
          await sync();
        } catch (error) {
          context.log(
            `pod ${namespaceOf(pod)}/${nameOf(pod)}: ${error instanceof Error ? error.stack : String(error)}`,
          );
          wakeIn(2000);
          settled.resolve();
        }
      } while (again && !finished && !released && !halted);
      running = false;
      // A change that came between the last look and here.
      if (again) kick();
    })();
  }

  const runner: RunnerContext = {
    node: context,
    paths,
    pod: () => pod,
    interrupted,
    onChange: () => {
      void publish();
      kick();
    },
    facts: () => ({ ...context.facts, podIP: sandbox?.address ?? '' }),
  };

  async function sync(): Promise<void> {
    if (!adopted) {
      adopted = true;
      // A pod that never ran here has nothing to be found again.
      if (pod.status?.containerStatuses === undefined) settled.resolve();
      sandbox = await loadSandbox(paths);
      if (sandbox !== undefined) {
        if (!sandbox.hostNetwork) context.sandboxes.addresses.reserve(sandbox.address);
        await adoptContainers(runner, list);
      } else {
        failure = inheritFromStatus(pod, slots, rfc3339(startTime), rfc3339(new Date()));
        // What the API server still says of containers that are gone: nobody may take it for the present.
        if (pod.status?.containerStatuses !== undefined) await publish();
      }
      settled.resolve();
    }
    if (gone || pod.metadata.deletionTimestamp !== undefined) {
      await terminate();
      return;
    }
    const phase = podPhase(pod, list, {
      sandboxReady: true,
      podIP: undefined,
      hostIP: '',
      startTime,
      failure,
      terminal: false,
    });
    const limit = pod.spec.activeDeadlineSeconds;
    if (limit !== undefined && phase !== 'Succeeded' && phase !== 'Failed') {
      const left = startTime.getTime() + limit * 1000 - Date.now();
      if (left <= 0) {
        failure = {
          reason: 'DeadlineExceeded',
          message: 'Pod was active on the node longer than the specified deadline',
        };
        context.events.record(pod, 'Normal', 'DeadlineExceeded', failure.message);
      } else wakeIn(left);
    }
    if (failure !== undefined || phase === 'Succeeded' || phase === 'Failed') {
      await stopAll(pod.spec.terminationGracePeriodSeconds ?? 30);
      await publish(true);
      await tearDown(false);
      return;
    }
    if (!(await volumes.ensure())) {
      await publish();
      return;
    }
    if (sandbox === undefined && !(await ensureSandbox())) return;
    await stepContainers();
    await publish();
  }

  async function ensureSandbox(): Promise<boolean> {
    try {
      sandbox = await createSandbox(context.sandboxes, pod, paths);
      // Files that tell the pod its own address could not be right before.
      if (pod.spec.volumes?.some((volume) => JSON.stringify(volume).includes('status.podIP')) === true) {
        volumes.touch();
        await volumes.ensure();
      }
      return true;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      context.events.record(pod, 'Warning', 'FailedCreatePodSandBox', `Failed to create pod sandbox: ${message}`);
      wakeIn(2000);
      return false;
    }
  }

  /** Starts what is to be started now, in the order of a kubelet: init containers one by one, then all others. */
  async function stepContainers(): Promise<void> {
    const policy = pod.spec.restartPolicy ?? 'Always';
    const mainsStarted = list.some(
      (slot) => slot.kind === 'main' && (slot.process !== undefined || slot.attempt > 0 || slot.state.terminated),
    );
    for (const slot of list) {
      if (interruptedNow()) return;
      if (slot.process !== undefined) {
        if (slot.kind === 'init' || (slot.kind === 'sidecar' && !slot.started && !mainsStarted)) return;
        continue;
      }
      const ended =
        slot.state.terminated ??
        (slot.state.waiting?.reason === 'CrashLoopBackOff' ? slot.lastState.terminated : undefined);
      if (slot.kind === 'init') {
        if (ended?.exitCode === 0) continue;
        if (mainsStarted && initialized(list)) continue;
        if (ended !== undefined && policy === 'Never') return;
      } else if (slot.kind === 'main' && ended !== undefined) {
        if (policy === 'Never' || (policy === 'OnFailure' && ended.exitCode === 0)) continue;
      }
      await startOrWait(slot, ended !== undefined);
      if (slot.kind === 'init') return;
      if (slot.kind === 'sidecar' && !slot.started && !mainsStarted) return;
      if (slot.kind === 'main' && slot.spec.lifecycle?.postStart !== undefined) await publish();
    }
  }

  function interruptedNow(): boolean {
    return gone || halted || released || pod.metadata.deletionTimestamp !== undefined;
  }

  async function startOrWait(slot: Slot, restart: boolean): Promise<void> {
    if (restart && slot.state.terminated !== undefined && backOff(pod, slot) > 0)
      context.events.record(
        pod,
        'Warning',
        'BackOff',
        `Back-off restarting failed container ${slot.spec.name} in pod ${nameOf(pod)}_${namespaceOf(pod)}(${uid})`,
        fieldPath(slot),
      );
    const wait = slot.notBefore - Date.now();
    if (wait > 0) {
      wakeIn(wait);
      return;
    }
    if (sandbox === undefined) return;
    const retry = await startSlot(runner, slot, sandbox, volumes.folders());
    if (retry !== undefined) wakeIn(retry);
  }

  // ---- the end ------------------------------------------------------------------------------------------------------
  async function stopAll(graceSeconds: number): Promise<void> {
    const deadline = Date.now() + graceSeconds * 1000;
    const active = (kind: Slot['kind']) => list.filter((slot) => slot.kind === kind && slot.process !== undefined);
    for (const slot of list) {
      for (const prober of slot.probers) prober.stop();
      slot.probers = [];
    }
    await Promise.all(
      [...active('main'), ...active('init')].map((slot) => stopContainer(runner, slot, deadline, 'Stopping container')),
    );
    // Sidecars serve the others until these have ended, and end in reverse order.
    for (const slot of active('sidecar').reverse())
      await stopContainer(runner, slot, Math.max(deadline, Date.now() + 2000), 'Stopping container');
  }

  async function terminate(): Promise<void> {
    const grace = gone ? 1 : (pod.metadata.deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30);
    // Not for pods that are to be killed at once, nor for those that no Service sends to.
    if (!gone && grace > 1 && list.some((slot) => slot.ready)) await sleep(WITHDRAWAL_MS);
    await stopAll(grace);
    for (const slot of list) {
      if (slot.state.waiting === undefined) continue;
      slot.ready = false;
    }
    finished = true;
    if (!gone) await publish(true);
    await tearDown(true);
    if (!gone) {
      try {
        await context.client.delete(PODS, nameOf(pod), namespaceOf(pod), { gracePeriodSeconds: 0, uid });
      } catch (error) {
        if (!(error instanceof KubeApiError && (error.status === 404 || error.status === 409))) {
          finished = false;
          throw error;
        }
      }
    }
    alarm.cancel();
    onGone();
  }

  async function tearDown(everything: boolean): Promise<void> {
    if (sandbox !== undefined)
      await removeSandbox(context.sandboxes, sandbox).catch((error: Error) => context.log(error.message));
    sandbox = undefined;
    await fs.rm(paths.sandbox, { force: true });
    await volumes.unmount();
    if (everything) await fs.rm(paths.root, { recursive: true, force: true });
  }

  kick();

  return {
    uid,
    settled: settled.promise,
    pod: () => pod,
    update(next) {
      const before = pod;
      pod = next;
      if (
        JSON.stringify([before.metadata.labels, before.metadata.annotations]) !==
        JSON.stringify([next.metadata.labels, next.metadata.annotations])
      ) {
        volumes.touch();
      }
      if (next.metadata.deletionTimestamp !== undefined) {
        // A second, shorter grace period cuts the first one short.
        if (
          before.metadata.deletionTimestamp !== undefined &&
          next.metadata.deletionGracePeriodSeconds !== before.metadata.deletionGracePeriodSeconds
        ) {
          hasten(next.metadata.deletionGracePeriodSeconds ?? 0);
        }
        interrupt();
      }
      const conditions = (status: PodStatus | undefined) => JSON.stringify(status?.conditions);
      if (pod.spec.readinessGates !== undefined && conditions(before.status) !== conditions(next.status)) sent = '';
      // Our own status writes come back here; they are no news.
      if (
        before.metadata.generation === next.metadata.generation &&
        before.metadata.deletionTimestamp === next.metadata.deletionTimestamp &&
        !volumes.stale() &&
        sent !== ''
      )
        return;
      kick();
    },
    remove() {
      if (gone) return;
      gone = true;
      interrupt();
      if (finished) return;
      hasten(1);
      kick();
    },
    refresh() {
      volumes.touch();
      for (const slot of list) if (slot.state.waiting?.reason === 'CreateContainerConfigError') slot.notBefore = 0;
      kick();
    },
    slot(container) {
      if (container !== undefined) return slots.get(container);
      const preferred = pod.metadata.annotations?.['kubectl.kubernetes.io/default-container'];
      return (
        (preferred === undefined ? undefined : slots.get(preferred)) ?? slots.get(pod.spec.containers[0]?.name ?? '')
      );
    },
    sandbox: () => sandbox,
    async halt(graceSeconds) {
      halted = true;
      interrupt();
      alarm.cancel();
      for (const slot of list) for (const prober of slot.probers) prober.stop();
      await Promise.all(list.map((slot) => haltProcess(slot.process, graceSeconds)));
    },
    release() {
      released = true;
      alarm.cancel();
      for (const slot of list) {
        for (const prober of slot.probers) prober.stop();
        slot.process?.release();
      }
    },
  };

  function hasten(graceSeconds: number): void {
    for (const slot of list) {
      const { process } = slot;
      if (process === undefined) continue;
      setTimeout(() => process.signal('SIGKILL'), graceSeconds * 1000).unref();
    }
  }
}

async function haltProcess(container: ContainerProcess | undefined, graceSeconds: number): Promise<void> {
  if (container === undefined) return;
  // A first process that does not handle the signal would only let the time pass (pid_namespaces(7)).
  container.signal(container.handles('SIGTERM') ? 'SIGTERM' : 'SIGKILL');
  const late = setTimeout(() => container.signal('SIGKILL'), graceSeconds * 1000);
  await container.exited;
  clearTimeout(late);
}
