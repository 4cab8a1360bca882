import { readFileSync } from 'node:fs';
import {
  KubeApiError,
  type KubeClient,
  type KubeObject,
  type LabelSelector,
  labelSelectorMatches,
  type ResourceType,
} from '@istio-ts/kube';
import { parseQuantity } from '../node/quantity.ts';
import type { EventRecorder } from './events.ts';
import type { Informer } from './informer.ts';
import { HORIZONTAL_POD_AUTOSCALERS, keyOf, namespaceOf, type Pod, uidOf } from './kinds.ts';
import { isActive, writeStatus } from './pod-control.ts';

interface AutoscalerSpec {
  readonly scaleTargetRef?: { readonly apiVersion?: string; readonly kind?: string; readonly name?: string };
  readonly minReplicas?: number;
  readonly maxReplicas?: number;
  readonly metrics?: readonly {
    readonly type?: string;
    readonly resource?: {
      readonly name?: string;
      readonly target?: {
        readonly type?: string;
        readonly averageUtilization?: number;
        readonly averageValue?: string;
      };
    };
  }[];
  readonly behavior?: { readonly scaleDown?: { readonly stabilizationWindowSeconds?: number } };
}

const PERIOD = 15_000;
/** Within this share of the target nothing changes (Kubernetes, "Algorithm details"). */
const TOLERANCE = 0.1;
const TICKS_PER_SECOND = 100;

/**
 * Scales by the CPU and memory that the processes of pods really use. Looks every 15 s while there is an autoscaler, as Kubernetes does, and not at all
 * without one.
 */
export function startAutoscaler(inputs: {
  readonly client: KubeClient;
  readonly autoscalers: Informer<KubeObject>;
  readonly pods: Informer<Pod>;
  readonly processes: (pod: Pod) => readonly { readonly container: string; readonly pid: number }[];
  readonly events: EventRecorder;
  readonly onError: (key: string, error: Error) => void;
}): { readonly close: () => void } {
  const { client, autoscalers, pods, events, onError } = inputs;
  const samples = new Map<string, { readonly at: number; readonly ticks: number }>();
  const recommendations = new Map<string, { readonly at: number; readonly replicas: number }[]>();
  let timer: NodeJS.Timeout | undefined;
  const look = async () => {
    for (const autoscaler of autoscalers.list()) {
      try {
        await reconcile(autoscaler);
      } catch (error) {
        onError(keyOf(autoscaler), error instanceof Error ? error : new Error(String(error)));
      }
    }
    if (autoscalers.list().length === 0) {
      clearInterval(timer);
      timer = undefined;
      samples.clear();
      recommendations.clear();
    }
  };
  autoscalers.onChange(({ type }) => {
    if (type === 'DELETED' || timer !== undefined) return;
    timer = setInterval(() => void look(), PERIOD);
    timer.unref();
    setTimeout(() => void look(), 1000).unref();
  });

  async function reconcile(autoscaler: KubeObject): Promise<void> {
    const spec = (
      typeof autoscaler.spec === 'object' && autoscaler.spec !== null ? autoscaler.spec : {}
    ) as AutoscalerSpec;
    const ref = spec.scaleTargetRef;
    if (ref?.kind === undefined || ref.name === undefined) return;
    const type = await client.resolve(ref.apiVersion ?? 'apps/v1', ref.kind);
    const target = await client.get(type, ref.name, namespaceOf(autoscaler));
    const targetSpec = (typeof target.spec === 'object' && target.spec !== null ? target.spec : {}) as {
      readonly replicas?: number;
      readonly selector?: LabelSelector;
    };
    const current = targetSpec.replicas ?? 1;
    const own = pods
      .list(namespaceOf(autoscaler))
      .filter(
        (pod) =>
          isActive(pod) &&
          pod.status?.phase === 'Running' &&
          targetSpec.selector !== undefined &&
          labelSelectorMatches(targetSpec.selector, pod.metadata.labels),
      );
    const min = spec.minReplicas ?? 1;
    const max = spec.maxReplicas ?? min;
    let wanted = current;
    const currentMetrics: unknown[] = [];
    let proposal: number | undefined;
    for (const metric of spec.metrics ?? []) {
      const { resource } = metric;
      const name = resource?.name;
      if (metric.type !== 'Resource' || (name !== 'cpu' && name !== 'memory') || own.length === 0) continue;
      const usage = own.map((pod) => (name === 'cpu' ? cpuOf(pod) : memoryOf(pod)));
      if (usage.some((value) => value === undefined)) continue;
      const total = usage.reduce<number>((sum, value) => sum + (value ?? 0), 0);
      const requested = own.reduce((sum, pod) => sum + requestOf(pod, name), 0);
      const average = total / own.length;
      let ratio: number | undefined;
      const shown: Record<string, unknown> = {
        averageValue: name === 'cpu' ? `${Math.round(average * 1000)}m` : String(Math.round(average)),
      };
      if (resource?.target?.averageUtilization !== undefined && requested > 0) {
        const utilization = (total / requested) * 100;
        shown.averageUtilization = Math.round(utilization);
        ratio = utilization / resource.target.averageUtilization;
      } else if (resource?.target?.averageValue !== undefined) {
        ratio = average / parseQuantity(resource.target.averageValue);
      }
      currentMetrics.push({ type: 'Resource', resource: { name, current: shown } });
      if (ratio === undefined || !Number.isFinite(ratio)) continue;
      const replicas = Math.abs(ratio - 1) <= TOLERANCE ? current : Math.ceil(own.length * ratio);
      proposal = Math.max(proposal ?? 0, replicas);
    }
    if (proposal !== undefined) wanted = proposal;
    wanted = stabilized(autoscaler, spec, current, wanted);
    wanted = Math.max(min, Math.min(max, wanted));
    if (wanted !== current) {
      await scale(type, target, wanted);
      events.record(autoscaler, 'Normal', 'SuccessfulRescale', `New size: ${wanted}; reason: resource utilization`);
    }
    const time = `${new Date().toISOString().slice(0, 19)}Z`;
    await writeStatus(client, HORIZONTAL_POD_AUTOSCALERS, autoscaler, {
      observedGeneration: autoscaler.metadata.generation,
      currentReplicas: current,
      desiredReplicas: wanted,
      ...(currentMetrics.length > 0 ? { currentMetrics } : {}),
      ...(wanted === current ? {} : { lastScaleTime: time }),
    });
  }

  /** Goes down only to the highest of the recent proposals, so that a short pause does not remove pods. */
  function stabilized(autoscaler: KubeObject, spec: AutoscalerSpec, current: number, wanted: number): number {
    const window = (spec.behavior?.scaleDown?.stabilizationWindowSeconds ?? 300) * 1000;
    const list = (recommendations.get(uidOf(autoscaler)) ?? []).filter(({ at }) => at > Date.now() - window);
    list.push({ at: Date.now(), replicas: wanted });
    recommendations.set(uidOf(autoscaler), list);
    if (wanted >= current) return wanted;
    return Math.min(current, Math.max(...list.map(({ replicas }) => replicas)));
  }

  async function scale(type: ResourceType, target: KubeObject, replicas: number): Promise<void> {
    try {
      await client.patch(type, target.metadata.name ?? '', target.metadata.namespace, 'merge', { spec: { replicas } });
    } catch (error) {
      if (!(error instanceof KubeApiError && error.status === 404)) throw error;
    }
  }

  /** CPU in cores since the last look; undefined at the first. */
  function cpuOf(pod: Pod): number | undefined {
    const ticks = inputs.processes(pod).reduce((sum, { pid }) => sum + treeTicks(pid), 0);
    const before = samples.get(uidOf(pod));
    const now = Date.now();
    samples.set(uidOf(pod), { at: now, ticks });
    if (before === undefined || now - before.at < 500) return undefined;
    return Math.max(0, ticks - before.ticks) / TICKS_PER_SECOND / ((now - before.at) / 1000);
  }

  function memoryOf(pod: Pod): number {
    return inputs.processes(pod).reduce((sum, { pid }) => sum + residentBytes(pid), 0);
  }

  return { close: () => clearInterval(timer) };
}

function requestOf(pod: Pod, name: string): number {
  return pod.spec.containers.reduce((sum, container) => {
    const quantity = container.resources?.requests?.[name] ?? container.resources?.limits?.[name];
    return sum + (quantity === undefined ? 0 : parseQuantity(quantity));
  }, 0);
}

/** CPU time of a process and all below it, in clock ticks (proc(5), fields 14 to 17 of stat). */
function treeTicks(pid: number): number {
  let total = 0;
  for (const member of processTree(pid)) {
    try {
      const stat = readFileSync(`/proc/${member}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      total += Number(fields[11]) + Number(fields[12]);
      if (member === pid) total += Number(fields[13]) + Number(fields[14]);
    } catch {
      // It ended in between.
    }
  }
  return total;
}

function residentBytes(pid: number): number {
  let total = 0;
  for (const member of processTree(pid)) {
    try {
      total += Number(readFileSync(`/proc/${member}/statm`, 'utf8').split(' ')[1]) * 4096;
    } catch {
      // It ended in between.
    }
  }
  return total;
}

function processTree(pid: number): number[] {
  const result = [pid];
  for (let index = 0; index < result.length && result.length < 1000; index++) {
    const parent = result[index];
    try {
      const children = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').trim();
      if (children !== '') result.push(...children.split(' ').map(Number));
    } catch {
      // It ended in between.
    }
  }
  return result;
}
