import { at, type Json, text } from './json.ts';
import { originOf } from './origin.ts';

export interface ClusterName {
  readonly direction: string;
  readonly port: number | undefined;
  readonly subset: string;
  readonly fqdn: string;
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
