import { visibilityOf } from '@istio-ts/mesh/visibility';
import type { Analyzer } from '../analyzer.ts';
import { nameOf } from '../config-object.ts';
import { groupBy, visibilitiesOverlap } from '../overlap.ts';

/** ServiceEntries that give the same port of the same host different protocols, where some namespace sees both. */
export const serviceEntryProtocol: Analyzer = {
  name: 'serviceentry.ConflictingServiceEntryProtocolAnalyzer',
  description: 'Checks that ServiceEntries of the same host agree about the protocols of its ports',
  inputs: ['ServiceEntry'],
  run: (context) => {
    const { defaultServiceExportTo } = context.snapshot.meshConfig;
    const claims = context.istio('ServiceEntry').flatMap((entry) =>
      (entry.spec.hosts ?? []).flatMap((text) =>
        (entry.spec.ports ?? []).map((port, index) => ({
          entry,
          host: text.toLowerCase(),
          port: port.number,
          path: `spec.ports[${index}].protocol`,
          protocol: (port.protocol || 'TCP').toUpperCase(),
          exportTo: visibilityOf(entry.spec.exportTo, defaultServiceExportTo, entry.namespace),
        })),
      ),
    );
    for (const group of groupBy(claims, ({ host, port }) => JSON.stringify([host, port])).values()) {
      for (const claim of group) {
        const rivals = group.filter(
          (other) =>
            other.entry !== claim.entry &&
            other.protocol !== claim.protocol &&
            visibilitiesOverlap(other.exportTo, claim.exportTo),
        );
        if (rivals.length === 0) continue;
        const involved = [claim, ...rivals];
        const args = {
          serviceEntryNames: [...new Set(involved.map(({ entry }) => nameOf(entry)))].sort().join(', '),
          host: claim.host,
          port: claim.port,
          protocols: [...new Set(involved.map(({ protocol }) => protocol))].sort().join(', '),
        };
        context.report(claim.entry, 'ConflictingServiceEntryProtocol', args, claim.path);
      }
    }
  },
};
