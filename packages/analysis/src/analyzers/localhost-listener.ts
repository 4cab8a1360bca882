import { fields, integer, list, text, textMap } from '@istio-ts/mesh/kubernetes/read';
import { isEmptySelector, selectorMatches } from '@istio-ts/mesh/selector';
import type { Analyzer } from '../analyzer.ts';
import type { ListeningSocket } from '../listening-sockets.ts';
import { containersOf, workloadInputs, type Workload } from '../workloads.ts';

/** Applications behind a service that listen on localhost only. `sockets` are those of pods, by `namespace/name`; pods without an entry are not judged. */
export const localhostListener = (sockets: ReadonlyMap<string, readonly ListeningSocket[]>): Analyzer => ({
  name: 'applicationListener.Analyzer',
  description: 'Finds applications that listen for the port of a service on localhost only',
  inputs: ['Service', ...workloadInputs],
  run: (context) => {
    for (const workload of context.workloads()) {
      const found = sockets.get(`${workload.namespace}/${workload.name}`);
      if (found === undefined || workload.object.kind !== 'Pod') continue;
      const ports = new Set(
        context
          .objects('Service')
          .filter(({ namespace }) => namespace === workload.namespace)
          .flatMap((service) => servedPorts(fields(service.object.spec), workload)),
      );
      for (const port of ports) {
        const own = found.filter((socket) => socket.port === port);
        if (own.length > 0 && own.every(({ loopback }) => loopback))
          context.report(workload.object, 'LocalhostListener', { port: String(port) });
      }
    }
  },
});

/** Ports of a workload that a service sends to. */
function servedPorts(service: Readonly<Record<string, unknown>>, workload: Workload): readonly number[] {
  const selector = textMap(service.selector);
  if (isEmptySelector(selector) || !selectorMatches(selector, workload.labels)) return [];
  return list(service.ports).flatMap((item) => {
    const { port, targetPort } = fields(item);
    const number = integer(targetPort) ?? (targetPort === undefined ? integer(port) : undefined);
    if (number !== undefined) return [number];
    return containersOf(workload)
      .flatMap(({ container }) => list(container.ports).map(fields))
      .filter(({ name }) => name === text(targetPort))
      .flatMap(({ containerPort }) => integer(containerPort) ?? []);
  });
}
