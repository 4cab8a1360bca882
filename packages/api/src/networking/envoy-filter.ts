import { as, enumOf, int32, list, map, object, string, struct, type TypeOf, uint32 } from '../schema/schema.ts';
import { targetRefs, workloadLabelSelector } from './common.ts';

const filterMatch = object('A filter by name.', {
  name: string('Name of the filter.'),
  subFilter: object('A filter inside it.', { name: string('Name of the inner filter.') }),
});

const match = object(
  'Which generated configuration is changed.',
  {
    context: enumOf(
      ['ANY', 'SIDECAR_INBOUND', 'SIDECAR_OUTBOUND', 'GATEWAY', 'WAYPOINT'],
      'Kind of proxy and direction; default ANY.',
    ),
    proxy: object('Which proxies.', {
      proxyVersion: string('RE2 expression for the proxy’s version.'),
      metadata: map(string(), 'Values in the proxy’s metadata.'),
    }),
    listener: object('Which listeners.', {
      portNumber: uint32('Port of the listener.'),
      portName: string('Not used.'),
      name: string('Name of the listener.'),
      listenerFilter: string('Name of a listener filter.'),
      filterChain: object('Which filter chains.', {
        name: string('Name of the chain.'),
        sni: string('Server name of the chain.'),
        transportProtocol: string('raw_buffer or tls.'),
        applicationProtocols: string('Protocols, separated by commas.'),
        filter: as(filterMatch, 'Which network filter, and HTTP filter in it.'),
        destinationPort: uint32('Destination port of the chain.'),
      }),
    }),
    routeConfiguration: object('Which routes.', {
      portNumber: uint32('Port of the service or gateway server.'),
      portName: string('Name of the gateway server’s port.'),
      gateway: string('Gateway as namespace/name.'),
      name: string('Name of the route configuration.'),
      vhost: object('Which virtual hosts.', {
        name: string('Name of the virtual host.'),
        domainName: string('A domain of the virtual host.'),
        route: object('Which routes.', {
          name: string('Name of the route.'),
          action: enumOf(['ANY', 'ROUTE', 'REDIRECT', 'DIRECT_RESPONSE'], 'What the route does.'),
        }),
      }),
    }),
    cluster: object('Which clusters.', {
      portNumber: uint32('Port of the service.'),
      service: string('Host name of the service.'),
      subset: string('Subset of the service.'),
      name: string('Name of the cluster.'),
    }),
    waypoint: object('What in a waypoint.', {
      portNumber: uint32('Not built yet: port of the service.'),
      filter: object('A filter by name.', {
        name: string('Not built yet: name of the filter.'),
        subFilter: object('A filter inside it.', { name: string('Not built yet: name of the inner filter.') }),
      }),
      route: object('Which route.', { name: string('Not built yet: name of the route.') }),
    }),
  },
  [['listener', 'routeConfiguration', 'cluster', 'waypoint']],
);

const configPatch = object('A change of generated configuration.', {
  applyTo: enumOf(
    [
      'INVALID',
      'LISTENER',
      'FILTER_CHAIN',
      'NETWORK_FILTER',
      'HTTP_FILTER',
      'ROUTE_CONFIGURATION',
      'VIRTUAL_HOST',
      'HTTP_ROUTE',
      'CLUSTER',
      'EXTENSION_CONFIG',
      'BOOTSTRAP',
      'LISTENER_FILTER',
    ],
    'What is changed.',
  ),
  match,
  patch: object('The change.', {
    operation: enumOf(
      [
        'INVALID',
        'MERGE',
        'ADD',
        'REMOVE',
        'INSERT_BEFORE',
        'INSERT_AFTER',
        'INSERT_FIRST',
        'REPLACE',
        'MERGE_AND_REPLACE_LIST',
      ],
      'How it is changed.',
    ),
    value: struct('The Envoy configuration to merge or add.'),
    filterClass: enumOf(
      ['UNSPECIFIED', 'AUTHN', 'AUTHZ', 'STATS'],
      'Where an added filter goes relative to Istio’s own.',
    ),
  }),
});

export const envoyFilterSpec = object('Changes of the configuration generated for Envoy.', {
  workloadSelector: as(workloadLabelSelector, 'Workloads this is for; absent: all of the namespace.'),
  targetRefs,
  configPatches: list(configPatch, 'The changes, in order.'),
  priority: int32('Order among EnvoyFilters: negative ones first; default 0.'),
});
export type EnvoyFilterSpec = TypeOf<typeof envoyFilterSpec>;
export type EnvoyConfigObjectPatch = TypeOf<typeof configPatch>;
export type EnvoyConfigObjectMatch = TypeOf<typeof match>;
