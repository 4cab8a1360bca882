import { servicePortProtocol } from '@istio-ts/mesh/protocol';
import { isEmptySelector, selectorMatches } from '@istio-ts/mesh/selector';
import type { Analyzer } from '../analyzer.ts';
import { nameOf } from '../config-object.ts';
import { isInjected } from '../in-mesh.ts';
import { groupBy } from '../overlap.ts';
import { serviceFacts } from '../services.ts';
import { templateOf } from '../workloads.ts';

const labelKey = (namespace: string, label: readonly [key: string, value: unknown]): string =>
  JSON.stringify([namespace, ...label]);

/** Deployments behind several services that disagree about a port. */
export const deploymentServices: Analyzer = {
  name: 'deployment.MultiServiceAnalyzer',
  description: 'Checks that services of the same Deployment agree about protocols and ports',
  inputs: ['Deployment', 'Service', 'Namespace'],
  run: (context) => {
    const services = context
      .objects('Service')
      .map((entry, index) => ({ entry, facts: serviceFacts(entry), index }))
      .filter(({ facts }) => !isEmptySelector(facts.selector));
    // By one label of their selector: only those that share it can select a template, and a mesh has many of both.
    const byLabel = groupBy(services, ({ entry, facts }) => {
      const [label = ['', '']] = Object.entries(facts.selector ?? {});
      return labelKey(entry.namespace, label);
    });
    for (const deployment of context.objects('Deployment')) {
      const template = templateOf(deployment);
      if (!isInjected(context, template)) continue;
      const ports = Object.entries(template.labels)
        .flatMap((label) => byLabel.get(labelKey(deployment.namespace, label)) ?? [])
        .filter(({ facts }) => selectorMatches(facts.selector, template.labels))
        .sort((a, b) => a.index - b.index)
        .flatMap(({ entry, facts }) =>
          facts.ports.map((port) => ({
            service: entry.name,
            number: port.port,
            target: String(port.targetPort ?? port.port),
            protocol: servicePortProtocol({ ...port, number: port.port }),
          })),
        );
      const namesOf = (group: readonly (typeof ports)[number][]): readonly string[] =>
        [...new Set(group.map(({ service }) => service))].sort();

      for (const [target, group] of groupBy(ports, (port) => port.target)) {
        if (namesOf(group).length < 2 || new Set(group.map(({ protocol }) => protocol)).size < 2) continue;
        const port = Number(target) || (group[0]?.number ?? 0);
        const args = { deployment: nameOf(deployment), port, services: namesOf(group) };
        context.report(deployment, 'DeploymentAssociatedToMultipleServices', args);
      }
      for (const [targetPort, group] of groupBy(ports, ({ target }) => target)) {
        const numbers = [...new Set(group.map(({ number }) => number))].sort((a, b) => a - b);
        if (namesOf(group).length < 2 || numbers.length < 2) continue;
        const args = { deployment: nameOf(deployment), services: namesOf(group), targetPort, ports: numbers };
        context.report(deployment, 'DeploymentConflictingPorts', args);
      }
    }
  },
};
