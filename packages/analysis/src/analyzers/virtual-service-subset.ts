import { hostCovers, isWildcard, resolveHost } from '@istio-ts/mesh/host';
import { visibilityOf, visibleTo } from '@istio-ts/mesh/visibility';
import type { Analyzer } from '../analyzer.ts';
import { groupBy } from '../overlap.ts';
import { destinationsOf } from '../virtual-service.ts';

/** Subsets that VirtualServices name: whether a DestinationRule defines them. */
export const virtualServiceSubset: Analyzer = {
  name: 'virtualservice.DestinationRuleAnalyzer',
  description: 'Checks the subsets that VirtualServices send to',
  inputs: ['VirtualService', 'DestinationRule'],
  run: (context) => {
    const { meshConfig, domainSuffix } = context.snapshot;
    const { defaultDestinationRuleExportTo } = meshConfig;
    const rules = context.istio('DestinationRule').map(({ namespace, spec }) => ({
      namespace,
      host: resolveHost(spec.host, namespace, domainSuffix),
      exportTo: visibilityOf(spec.exportTo, defaultDestinationRuleExportTo, namespace),
      subsets: new Set((spec.subsets ?? []).map(({ name }) => name)),
    }));
    const byHost = groupBy(rules, ({ host }) => host);
    const wildcards = rules.filter(({ host }) => isWildcard(host));
    for (const entry of context.istio('VirtualService')) {
      for (const { destination, path } of destinationsOf(entry.spec)) {
        const { subset } = destination;
        if (!subset) continue;
        const host = resolveHost(destination.host, entry.namespace, domainSuffix);
        const defined = [...(byHost.get(host) ?? []), ...wildcards].some(
          (rule) =>
            hostCovers(rule.host, host) &&
            rule.subsets.has(subset) &&
            (rule.namespace === entry.namespace || visibleTo(rule.exportTo, entry.namespace)),
        );
        if (defined) continue;
        const args = { reftype: 'host+subset in destinationrule', refval: `${destination.host}+${subset}` };
        context.report(entry, 'ReferencedResourceNotFound', args, `${path}.subset`);
      }
    }
  },
};
