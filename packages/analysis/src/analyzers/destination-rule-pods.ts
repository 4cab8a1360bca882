import { hostCovers, isWildcard, resolveHost } from '@istio-ts/mesh/host';
import { selectorMatches } from '@istio-ts/mesh/selector';
import type { Analyzer } from '../analyzer.ts';
import type { IstioObject } from '../config-object.ts';
import type { AnalysisContext } from '../context.ts';
import { type KnownService, serviceInputs } from '../services.ts';
import { workloadInputs } from '../workloads.ts';

type Labels = Readonly<Record<string, string>>;

/** Labels that the mesh gives to endpoints itself, from the node, network and cluster they are in. */
const topologyLabel = /^(topology\.(kubernetes|istio)\.io\/|kubernetes\.io\/hostname$|istio-locality$)/;

const withoutTopology = (labels: Labels): Labels =>
  Object.fromEntries(Object.entries(labels).filter(([key]) => !topologyLabel.test(key)));

/** DestinationRules whose host is no service, and subsets that no pod of the service is in. */
export const destinationRulePods: Analyzer = {
  name: 'destinationrule.PodNotSelectedAnalyzer',
  description: 'Checks that the hosts of DestinationRules exist and that their subsets have pods',
  inputs: ['DestinationRule', 'WorkloadEntry', ...serviceInputs, ...workloadInputs],
  run: (context) => {
    for (const entry of context.istio('DestinationRule')) {
      const host = resolveHost(entry.spec.host, entry.namespace, context.snapshot.domainSuffix);
      const services = isWildcard(host)
        ? context.services().all.filter(({ hostname }) => hostCovers(host, hostname))
        : context.services().lookup(host, entry.namespace);
      if (services.length === 0) {
        context.report(entry, 'UnknownDestinationRuleHost', { host: entry.spec.host }, 'spec.host');
        continue;
      }
      if (!isWildcard(host)) checkSubsets(context, entry, services);
    }
  },
};

function checkSubsets(
  context: AnalysisContext,
  entry: IstioObject<'DestinationRule'>,
  services: readonly KnownService[],
): void {
  const endpoints = services.map((service) => endpointLabels(context, service));
  // Where nobody can know the endpoints (DNS, a service without a selector), nobody can say that one is missing.
  if (endpoints.some((labels) => labels === undefined)) return;
  const all = endpoints.flatMap((labels) => labels ?? []);
  (entry.spec.subsets ?? []).forEach((subset, index) => {
    const wanted = withoutTopology(subset.labels ?? {});
    if (all.some((labels) => selectorMatches(wanted, labels))) return;
    context.report(entry, 'DestinationRuleSubsetNotSelectPods', { subset: subset.name }, `spec.subsets[${index}]`);
  });
}

/** The labels of each endpoint of a service; undefined when they cannot be known here. */
function endpointLabels(context: AnalysisContext, service: KnownService): readonly Labels[] | undefined {
  const { object, selector, namespace } = service;
  if (selector) {
    const entries = context.istio('WorkloadEntry').filter((entry) => entry.namespace === namespace);
    return [
      ...context.workloadsOf(namespace).map(({ labels }) => labels),
      ...entries.map(({ spec }) => spec.labels ?? {}),
    ].filter((labels) => selectorMatches(selector, labels));
  }
  if (object.kind !== 'ServiceEntry') return undefined;
  const written = context
    .istio('ServiceEntry')
    .find((entry) => entry.name === object.name && entry.namespace === object.namespace);
  const endpoints = written?.spec.endpoints ?? [];
  return endpoints.length === 0 ? undefined : endpoints.map(({ labels }) => labels ?? {});
}
