import { parseClusterName } from '@istio-ts/envoy-dump/cluster';

export interface ClusterFilter {
  /** A part of the host name. */
  readonly fqdn?: string;
  readonly port?: number;
  /** A part of the subset's name. */
  readonly subset?: string;
  /** `inbound` or `outbound`, in any case. */
  readonly direction?: string;
}

/** Whether a cluster is one that the flags ask for. */
export function isWanted(name: string, filter: ClusterFilter): boolean {
  const { fqdn, port, subset, direction } = parseClusterName(name);
  return (
    (filter.fqdn === undefined || fqdn.includes(filter.fqdn)) &&
    (filter.port === undefined || port === filter.port) &&
    (filter.subset === undefined || subset.includes(filter.subset)) &&
    (filter.direction === undefined || direction === filter.direction.toLowerCase())
  );
}
