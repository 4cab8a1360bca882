import { clusterType, destinationRuleOf, parseClusterName } from '@istio-ts/envoy-dump/cluster';
import { type Json, text } from '@istio-ts/envoy-dump/json';
import { table } from '../cli/table.ts';
import { type ClusterFilter, isWanted } from './cluster-filter.ts';

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
