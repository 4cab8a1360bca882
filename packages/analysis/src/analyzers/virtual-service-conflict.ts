import { resolveHost } from '@istio-ts/mesh/host';
import { visibilityOf } from '@istio-ts/mesh/visibility';
import type { Analyzer } from '../analyzer.ts';
import { nameOf } from '../config-object.ts';
import { groupBy, visibilitiesOverlap } from '../overlap.ts';
import { isForMesh } from '../virtual-service.ts';

/** Several VirtualServices for the same host of the mesh, where some namespace sees more than one of them. */
export const virtualServiceConflict: Analyzer = {
  name: 'virtualservice.ConflictingMeshGatewayHostsAnalyzer',
  description: 'Checks for several VirtualServices that claim the same host in the mesh',
  inputs: ['VirtualService'],
  run: (context) => {
    const { meshConfig, domainSuffix } = context.snapshot;
    const { defaultVirtualServiceExportTo } = meshConfig;
    const claims = context
      .istio('VirtualService')
      .filter(isForMesh)
      .flatMap((entry) =>
        (entry.spec.hosts ?? []).map((host, index) => ({
          entry,
          path: `spec.hosts[${index}]`,
          host: resolveHost(host, entry.namespace, domainSuffix),
          exportTo: visibilityOf(entry.spec.exportTo, defaultVirtualServiceExportTo, entry.namespace),
        })),
      );
    for (const [host, group] of groupBy(claims, (claim) => claim.host)) {
      for (const claim of group) {
        const rivals = group.filter(
          (other) => other.entry !== claim.entry && visibilitiesOverlap(other.exportTo, claim.exportTo),
        );
        if (rivals.length === 0) continue;
        const names = [claim, ...rivals].map(({ entry }) => nameOf(entry)).sort();
        const args = { virtualServices: names.join(','), host };
        context.report(claim.entry, 'ConflictingMeshGatewayVirtualServiceHosts', args, claim.path);
      }
    }
  },
};
