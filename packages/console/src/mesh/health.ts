import type { Health, HealthState, Traffic } from '../api.ts';
import type { MeshView, Workload } from './mesh-view.ts';

/** From this share of failed requests on something is degraded, and failing. */
export const degradedFrom = 0.001;
export const failingFrom = 0.1;

const order: readonly HealthState[] = ['failing', 'degraded', 'unknown', 'healthy', 'idle'];

/** The worst of several; `unknown` of none. */
export function worst(parts: readonly Health[]): Health {
  const sorted = [...parts].sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state));
  const [first] = sorted;
  if (!first) return { state: 'unknown', reasons: [] };
  return { state: first.state, reasons: [...new Set(sorted.flatMap(({ reasons }) => reasons))] };
}

const healthy: Health = { state: 'healthy', reasons: [] };
const percent = (share: number): string => `${Number((share * 100).toPrecision(3))} %`;

/** How the answers of something are. */
export function trafficHealth({
  requestsPerSecond,
  errorRate,
}: Pick<Traffic, 'requestsPerSecond' | 'errorRate'>): Health {
  if (requestsPerSecond <= 0 || errorRate < degradedFrom) return healthy;
  return {
    state: errorRate >= failingFrom ? 'failing' : 'degraded',
    reasons: [`${percent(errorRate)} of the requests to it fail`],
  };
}

/** How the pods of a workload are. */
export function workloadHealth(workload: Workload, mesh: Pick<MeshView, 'namespaces'>): Health {
  const { pods, desired } = workload;
  const ready = pods.filter(({ summary }) => summary.ready).length;
  const wanted = desired ?? pods.length;
  if (wanted === 0) return { state: 'idle', reasons: [`${workload.kind} ${workload.name} is scaled to zero`] };
  const parts: Health[] = [];
  const messages = pods.flatMap(({ summary }) =>
    !summary.ready && summary.message !== undefined ? [`Pod ${summary.name}: ${summary.message}`] : [],
  );
  if (ready < wanted)
    parts.push({
      state: ready === 0 ? 'failing' : 'degraded',
      reasons: [`${ready} of ${wanted} pods of ${workload.kind} ${workload.name} are ready`, ...messages.slice(0, 3)],
    });
  const bare = podsWithoutProxy(workload, mesh);
  if (bare > 0)
    parts.push({
      state: 'degraded',
      reasons: [
        `${bare} of ${pods.length} pods of ${workload.kind} ${workload.name} have no proxy although their namespace asks for it: restart them`,
      ],
    });
  return parts.length === 0 ? healthy : worst(parts);
}

/** Pods that should have a proxy and have none. */
export function podsWithoutProxy({ namespace, pods }: Workload, mesh: Pick<MeshView, 'namespaces'>): number {
  if (mesh.namespaces.get(namespace)?.injection === undefined) return 0;
  return pods.filter(
    ({ summary, proxyType, labels, annotations }) =>
      !summary.hasProxy &&
      proxyType === undefined &&
      summary.phase !== 'Terminating' &&
      (labels['sidecar.istio.io/inject'] ?? annotations['sidecar.istio.io/inject']) !== 'false',
  ).length;
}

/** Without requests there is nothing to say about them. */
const answers = (traffic: Traffic): readonly Health[] =>
  traffic.requestsPerSecond > 0 ? [trafficHealth(traffic)] : [];

/** A workload with its traffic. */
export const healthOf = (workload: Workload, mesh: Pick<MeshView, 'namespaces'>, traffic: Traffic): Health =>
  worst([...answers(traffic), workloadHealth(workload, mesh)]);

/** Of several workloads behind one name: it works as long as one of them does. */
export function groupHealth(
  workloads: readonly Workload[],
  mesh: Pick<MeshView, 'namespaces'>,
  traffic: Traffic,
): Health {
  const parts = workloads.map((workload) => workloadHealth(workload, mesh));
  const together = worst(parts);
  const usable = parts.some(({ state }) => state === 'healthy' || state === 'degraded');
  const pods: Health =
    workloads.length === 0
      ? healthy
      : together.state === 'failing' && usable
        ? { state: 'degraded', reasons: together.reasons }
        : together;
  return worst([...answers(traffic), pods]);
}
