import { table } from '../cli/table.ts';
import { type ClusterFilter, isWanted, parseClusterName } from './cluster-name.ts';
import { at, type Json, text } from './json.ts';
import { originOf } from './origin.ts';

/** How a cluster finds its endpoints, in the words of Envoy's older configuration. */
export const clusterType = (cluster: Json): string => {
  const extension = text(at(cluster, 'clusterType', 'name'));
  // Envoy's newer form of the two kinds of DNS clusters; people know them by their old names.
  if (extension === 'envoy.clusters.dns')
    return at(cluster, 'clusterType', 'typedConfig', 'allAddressesInSingleEndpoint') ? 'LOGICAL_DNS' : 'STRICT_DNS';
  return text(cluster.type) || extension || 'STATIC';
};

/** `name.namespace` of the DestinationRule that shaped a cluster. */
export const destinationRuleOf = (cluster: Json): string => originOf(cluster, 'destination-rule');

/** Keeps the clusters that the flags ask for. */
export function filterClusters(clusters: readonly Json[], filter: ClusterFilter): readonly Json[] {
  return clusters.filter((cluster) => isWanted(text(cluster.name), filter));
}

/** The table of `istioctl proxy-config cluster`. */
export function clusterTable(clusters: readonly Json[]): string {
  const rows = clusters
    .map((cluster) => {
      const { fqdn, port, subset, direction } = parseClusterName(text(cluster.name));
      return [
        fqdn,
        port === undefined ? '-' : String(port),
        subset || '-',
        direction || '-',
        clusterType(cluster),
        destinationRuleOf(cluster),
      ];
    })
    .sort(
      (a, b) =>
        (a[0] ?? '').localeCompare(b[0] ?? '') || Number(a[1]) - Number(b[1]) || (a[2] ?? '').localeCompare(b[2] ?? ''),
    );
  return table(['SERVICE FQDN', 'PORT', 'SUBSET', 'DIRECTION', 'TYPE', 'DESTINATION RULE'], rows);
}
