import { type Cell, type Collection, join, mapMany } from '@istio-ts/collections';
import type { MeshOptions } from '../mesh-options.ts';
import type { Workload } from '../model.ts';
import type { NetworkOf } from '../networks.ts';
import type { MeshSources } from '../sources.ts';
import { podWorkload, workloadEntryWorkload } from '../workload.ts';

/** Workloads by `Kind/namespace/name`: pods that have not finished, and WorkloadEntries. */
export function createWorkloads(
  sources: MeshSources,
  options: Pick<MeshOptions, 'clusterId'>,
  networkOf: Cell<NetworkOf>,
): Collection<Workload> {
  const pods = mapMany(
    sources.pods,
    (pod, key, fetch) => {
      if (pod.finished) return [];
      const workload = podWorkload(
        pod,
        fetch.get(sources.nodes, pod.node),
        fetch.get(sources.namespaces, pod.origin.namespace),
        { clusterId: options.clusterId, networkOf: fetch.value(networkOf) },
      );
      return [[`Pod/${key}`, workload] as const];
    },
    { name: 'workloads of pods' },
  );
  const entries = mapMany(
    sources.configs('WorkloadEntry'),
    (entry, key, fetch) => {
      const cluster = { clusterId: options.clusterId, networkOf: fetch.value(networkOf) };
      return [[`WorkloadEntry/${key}`, workloadEntryWorkload(entry, cluster)] as const];
    },
    { name: 'workloads of WorkloadEntries' },
  );
  return join([pods, entries], { name: 'workloads' });
}
