export interface ClusterName {
  readonly direction: string;
  readonly port: number | undefined;
  readonly subset: string;
  readonly fqdn: string;
}

export interface ClusterFilter {
  /** A part of the host name. */
  readonly fqdn?: string;
  readonly port?: number;
  /** A part of the subset's name. */
  readonly subset?: string;
  /** `inbound` or `outbound`, in any case. */
  readonly direction?: string;
}

/** Takes `outbound|80|v1|host` apart, and `outbound_.80_.v1_.host` of gateways that pass TLS on; any other name is its own FQDN. */
export function parseClusterName(name: string): ClusterName {
  const parts = name.split('|');
  const sni = parts.length === 4 ? undefined : /^(outbound|inbound)_\.(\d+)_\.([^_]*)_\.(.+)$/.exec(name);
  const found = sni?.slice(1) ?? parts;
  if (found.length !== 4) return { direction: '', port: undefined, subset: '', fqdn: name };
  const [direction = '', port = '', subset = '', fqdn = ''] = found;
  return { direction, port: port === '' || !Number.isInteger(Number(port)) ? undefined : Number(port), subset, fqdn };
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
