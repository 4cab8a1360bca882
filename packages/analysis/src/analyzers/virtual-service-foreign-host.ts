import { hostCovers, isWildcard, resolveHost } from '@istio-ts/mesh/host';
import { visibilityOf, visibleTo } from '@istio-ts/mesh/visibility';
import type { Analyzer } from '../analyzer.ts';
import { serviceInputs } from '../services.ts';
import { isForMesh } from '../virtual-service.ts';

/** VirtualServices by which a namespace routes the traffic that other namespaces send to the services of a third one, or to their own. */
export const virtualServiceForeignHost: Analyzer = {
  name: 'virtualservice.ForeignHostAnalyzer',
  description: 'Checks for VirtualServices that claim hosts of other namespaces for the mesh',
  inputs: ['VirtualService', ...serviceInputs],
  run: (context) => {
    const { meshConfig, domainSuffix, rootNamespace } = context.snapshot;
    const { defaultVirtualServiceExportTo } = meshConfig;
    for (const entry of context.istio('VirtualService').filter(isForMesh)) {
      if (entry.namespace === rootNamespace) continue;
      const exportTo = visibilityOf(entry.spec.exportTo, defaultVirtualServiceExportTo, entry.namespace);
      for (const [index, claimed] of (entry.spec.hosts ?? []).entries()) {
        const host = resolveHost(claimed, entry.namespace, domainSuffix);
        const services = context
          .services()
          .all.filter(({ hostname }) => (isWildcard(host) ? hostCovers(host, hostname) : hostname === host));
        // Of ServiceEntries of several namespaces for one host each may be the first; a Service of Kubernetes has its host to itself.
        const isOwn = !isWildcard(host) && services.some(({ namespace }) => namespace === entry.namespace);
        const owner = services.find(
          ({ namespace, registry }) =>
            namespace !== entry.namespace && visibleTo(exportTo, namespace) && (!isOwn || registry === 'Kubernetes'),
        );
        if (owner === undefined) continue;
        const args = { host, owner: owner.namespace };
        context.report(entry, 'VirtualServiceClaimsForeignHost', args, `spec.hosts[${index}]`);
      }
    }
  },
};
