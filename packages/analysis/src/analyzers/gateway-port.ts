import { isEmptySelector, selectorMatches } from '@istio-ts/mesh/selector';
import { fields, integer, list, text } from '@istio-ts/mesh/kubernetes/read';
import type { Analyzer } from '../analyzer.ts';
import type { AnalysisContext } from '../context.ts';
import { gatewayPods } from '../gateway-pods.ts';
import { serviceFacts } from '../services.ts';
import { selectorText } from '../virtual-service.ts';
import { containersOf, type Workload, workloadInputs } from '../workloads.ts';

/** Gateways: whether a service brings traffic to their ports. Those that nobody serves are the business of `gatewaySelector`. */
export const gatewayPort: Analyzer = {
  name: 'gateway.IngressGatewayPortAnalyzer',
  description: 'Checks that a service exposes the ports of Gateways',
  inputs: ['Gateway', 'Service', ...workloadInputs],
  run: (context) => {
    for (const entry of context.istio('Gateway')) {
      const { selector, servers } = entry.spec;
      const pods = gatewayPods(context, entry.spec);
      if (pods.length === 0) continue;
      const exposed = exposedPorts(context, pods);
      (servers ?? []).forEach(({ port }, index) => {
        if (exposed.has(port.number)) return;
        const args = { port: port.number, selector: selectorText(selector) };
        context.report(entry, 'GatewayPortNotDefinedOnService', args, `spec.servers[${index}].port.number`);
      });
    }
  },
};

/** Ports on which services bring traffic to any of the pods: a Gateway may name the service's port or the one behind it. */
function exposedPorts(context: AnalysisContext, pods: readonly Workload[]): ReadonlySet<number> {
  const exposed = new Set<number>();
  for (const service of context.objects('Service')) {
    const { selector, ports } = serviceFacts(service);
    if (isEmptySelector(selector)) continue;
    for (const pod of pods) {
      if (pod.namespace !== service.namespace || !selectorMatches(selector, pod.labels)) continue;
      for (const { port, targetPort, transport } of ports) {
        if (transport === 'UDP') continue;
        exposed.add(port);
        const target = typeof targetPort === 'string' ? namedPort(pod, targetPort) : targetPort;
        if (target !== undefined) exposed.add(target);
      }
    }
  }
  return exposed;
}

function namedPort(pod: Workload, name: string): number | undefined {
  for (const { container } of containersOf(pod)) {
    for (const port of list(container.ports).map(fields)) {
      if (text(port.name) === name) return integer(port.containerPort);
    }
  }
  return undefined;
}
