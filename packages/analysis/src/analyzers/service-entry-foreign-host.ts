import { isWildcard } from '@istio-ts/mesh/host';
import { visibilityOf, visibleTo } from '@istio-ts/mesh/visibility';
import type { Analyzer } from '../analyzer.ts';
import { serviceInputs } from '../services.ts';

/** ServiceEntries for hosts that are Services of Kubernetes in other namespaces. */
export const serviceEntryForeignHost: Analyzer = {
  name: 'serviceentry.ForeignHostAnalyzer',
  description: 'Checks for ServiceEntries that claim the hosts of Services of other namespaces',
  inputs: serviceInputs,
  run: (context) => {
    const { meshConfig, rootNamespace } = context.snapshot;
    for (const entry of context.istio('ServiceEntry')) {
      if (entry.namespace === rootNamespace) continue;
      const exportTo = visibilityOf(entry.spec.exportTo, meshConfig.defaultServiceExportTo, entry.namespace);
      for (const [index, host] of (entry.spec.hosts ?? []).entries()) {
        if (isWildcard(host)) continue;
        const owner = context
          .services()
          .all.find(
            ({ hostname, namespace, registry }) =>
              hostname === host &&
              registry === 'Kubernetes' &&
              namespace !== entry.namespace &&
              visibleTo(exportTo, namespace),
          );
        if (owner === undefined) continue;
        const args = { host, owner: owner.namespace };
        context.report(entry, 'ServiceEntryClaimsForeignHost', args, `spec.hosts[${index}]`);
      }
    }
  },
};
