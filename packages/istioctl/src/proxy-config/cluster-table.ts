import { table } from '../cli/table.ts';
import { directionOf, type ClusterFilter, parseClusterName } from './cluster-name.ts';

type Json = Readonly<Record<string, unknown>>;

const typeOf = (cluster: Json): string => {
  const custom = cluster.cluster_type as Json | undefined;
  const extension = custom?.name;
  // Envoy's newer form of the two kinds of DNS clusters; people know them by their old names.
  if (extension === 'envoy.clusters.dns')
    return (custom?.typed_config as Json | undefined)?.all_addresses_in_single_endpoint ? 'LOGICAL_DNS' : 'STRICT_DNS';
  return String(cluster.type ?? extension ?? 'STATIC');
};

/** `name.namespace` of the DestinationRule that shaped a cluster (metadata `istio.config`). */
export function destinationRuleOf(cluster: Json): string {
  const istio = ((cluster.metadata as Json | undefined)?.filter_metadata as Json | undefined)?.istio as
    | Json
    | undefined;
  const path = typeof istio?.config === 'string' ? istio.config : '';
  const found = /\/namespaces\/([^/]+)\/destination-?rule\/([^/]+)$/.exec(path);
  return found ? `${found[2]}.${found[1]}` : '';
}

/** Keeps the clusters that the flags ask for. */
export function filterClusters(clusters: readonly Json[], filter: ClusterFilter): readonly Json[] {
  return clusters.filter((cluster) => {
    const name = parseClusterName(String(cluster.name));
    return (
      (filter.fqdn === undefined || name.fqdn.includes(filter.fqdn)) &&
      (filter.port === undefined || name.port === filter.port) &&
      (filter.subset === undefined || name.subset === filter.subset) &&
      (filter.direction === undefined || name.direction === directionOf(filter.direction))
    );
  });
}

/** The table of `istioctl proxy-config cluster`. */
export function clusterTable(clusters: readonly Json[]): string {
  const rows = clusters
    .map((cluster) => {
      const { fqdn, port, subset, direction } = parseClusterName(String(cluster.name));
      return [
        fqdn,
        port === undefined ? '-' : String(port),
        subset || '-',
        direction || '-',
        typeOf(cluster),
        destinationRuleOf(cluster),
      ];
    })
    .sort(
      (a, b) =>
        (a[0] ?? '').localeCompare(b[0] ?? '') || Number(a[1]) - Number(b[1]) || (a[2] ?? '').localeCompare(b[2] ?? ''),
    );
  return table(['SERVICE FQDN', 'PORT', 'SUBSET', 'DIRECTION', 'TYPE', 'DESTINATION RULE'], rows);
}
