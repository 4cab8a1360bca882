import type { MeshView } from '../mesh/mesh-view.ts';
import { preferred } from './preferred.ts';
import type { Flow, TrafficSamples } from './samples.ts';
import { TrafficSum } from './traffic-sum.ts';

/** Incoming traffic by what it belongs to; '' for what belongs to nothing. */
export function trafficBy(samples: TrafficSamples, keyOf: (flow: Flow) => string): ReadonlyMap<string, TrafficSum> {
  const sums = new Map<string, TrafficSum>();
  const kept = preferred(samples);
  const add = <T extends Flow>(flows: readonly T[], put: (sum: TrafficSum, flow: T) => void): void => {
    for (const flow of flows) {
      const key = keyOf(flow);
      if (key === '') continue;
      let sum = sums.get(key);
      if (!sum) {
        sum = new TrafficSum();
        sums.set(key, sum);
      }
      put(sum, flow);
    }
  };
  add(kept.requests, (sum, flow) => sum.addRequests(flow));
  add(kept.latencies, (sum, flow) => sum.addLatency(flow));
  add(kept.tcp, (sum, flow) => sum.addTcp(flow));
  return sums;
}

/** How the lists call what a flow leads to: `namespace/name`. */
export const workloadKey = ({ destination }: Flow): string =>
  destination.workload === '' ? '' : `${destination.namespace}/${destination.workload}`;

export const appKey =
  (mesh: MeshView) =>
  ({ destination }: Flow): string => {
    if (destination.workload === '') return '';
    const app =
      destination.app || mesh.workload(destination.namespace, destination.workload)?.app || destination.workload;
    return `${destination.namespace}/${app}`;
  };

export const serviceKey = ({ service, serviceNamespace }: Flow): string =>
  service === '' || serviceNamespace === '' ? '' : `${serviceNamespace}/${service}`;

/** Requests that nothing answered belong to the namespace of their service. */
export const namespaceKey = ({ destination, serviceNamespace }: Flow): string =>
  destination.namespace || serviceNamespace;
