import { resolveHost } from '@istio-ts/mesh/host';
import type { Analyzer } from '../analyzer.ts';
import { nameOf } from '../config-object.ts';
import { destinationsOf, gatewaysOf, isForMesh } from '../virtual-service.ts';

/** A gateway that sends to a service whose traffic is split by a VirtualService for the mesh alone: the split is not for the gateway. */
export const ingressRouteRules: Analyzer = {
  name: 'virtualservice.IngressRouteRulesAnalyzer',
  description: 'Checks for traffic of gateways that passes rules with subsets by',
  inputs: ['VirtualService'],
  run: (context) => {
    const { domainSuffix } = context.snapshot;
    const entries = context.istio('VirtualService').map((entry) => ({
      entry,
      destinations: destinationsOf(entry.spec).map((named) => ({
        ...named,
        host: resolveHost(named.destination.host, entry.namespace, domainSuffix),
      })),
      hosts: new Set((entry.spec.hosts ?? []).map((host) => resolveHost(host, entry.namespace, domainSuffix))),
    }));
    const splits = entries.filter(
      ({ entry, destinations, hosts }) =>
        isForMesh(entry) &&
        gatewaysOf(entry).length === 0 &&
        destinations.some(({ destination, host }) => destination.subset && hosts.has(host)),
    );
    for (const { entry, destinations } of entries) {
      if (gatewaysOf(entry).length === 0) continue;
      for (const split of splits) {
        const bypassed = destinations.some(
          ({ destination, host, mirror }) => !mirror && !destination.subset && split.hosts.has(host),
        );
        if (!bypassed) continue;
        const args = { virtualservicesubset: nameOf(split.entry), virtualservice: nameOf(entry) };
        context.report(split.entry, 'IngressRouteRulesNotAffected', args, 'spec.hosts');
      }
    }
  },
};
