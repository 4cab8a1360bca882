import { filterClusters } from './cluster-table.ts';
import { type ConfigDump, listenerOf } from '@istio-ts/envoy-dump/config-dump';
import { readAddress } from '@istio-ts/envoy-dump/address';
import type { ClusterFilter } from './cluster-filter.ts';
import { type Json, list, object, text } from '@istio-ts/envoy-dump/json';
import { filterListeners, type ListenerFilter } from './listener-table.ts';
import { filterRoutes } from './route-table.ts';

/** The flags of `istioctl proxy-config all`: each narrows the parts that have such a property. */
export interface DumpFilter extends ClusterFilter, ListenerFilter {
  readonly name?: string;
}

/** Whether any flag narrows this part of a dump. */
const asks = (filter: DumpFilter, ...keys: readonly (keyof DumpFilter)[]) =>
  keys.some((key) => filter[key] !== undefined);

/** The dump with only those clusters, listeners, routes and endpoints that the flags ask for; other parts stay as they are. */
export function filterDump(dump: ConfigDump, filter: DumpFilter): ConfigDump {
  const keep = (config: Json, field: string, wanted: (entry: Json) => boolean): Json =>
    Array.isArray(config[field]) ? { ...config, [field]: list(config[field]).filter(wanted) } : config;
  const both = (config: Json, fields: readonly string[], wanted: (entry: Json) => boolean): Json =>
    fields.reduce((result, field) => keep(result, field, wanted), config);
  return {
    configs: dump.configs.map((config) => {
      const type = text(config['@type']).split('.').at(-1);
      if (type === 'ClustersConfigDump' && asks(filter, 'fqdn', 'port', 'subset', 'direction'))
        return both(
          config,
          ['staticClusters', 'dynamicActiveClusters', 'dynamicWarmingClusters'],
          (entry) => filterClusters([object(entry.cluster)], filter).length > 0,
        );
      if (type === 'ListenersConfigDump' && asks(filter, 'address', 'port', 'type'))
        return both(
          config,
          ['staticListeners', 'dynamicListeners'],
          (entry) => filterListeners(listenerOf(entry), filter).length > 0,
        );
      if (type === 'RoutesConfigDump' && asks(filter, 'name'))
        return both(
          config,
          ['staticRouteConfigs', 'dynamicRouteConfigs'],
          (entry) => filterRoutes([object(entry.routeConfig)], filter).length > 0,
        );
      if (type === 'EndpointsConfigDump' && asks(filter, 'fqdn', 'subset', 'direction', 'address', 'port'))
        return both(config, ['staticEndpointConfigs', 'dynamicEndpointConfigs'], (entry) => {
          const assignment = object(entry.endpointConfig);
          const addresses = list(assignment.endpoints).flatMap((group) =>
            list(group.lbEndpoints).map((endpoint) => readAddress(object(endpoint.endpoint).address)),
          );
          return (
            filterClusters([{ name: assignment.clusterName }], { ...filter, port: undefined } as ClusterFilter).length >
              0 &&
            (filter.address === undefined || addresses.some(({ host }) => host === filter.address)) &&
            (filter.port === undefined || addresses.some(({ port }) => port === filter.port))
          );
        });
      return config;
    }),
  };
}
