import type { Bootstrap } from '@istio-ts/envoy';
import type { AgentSettings } from '../environment.ts';
import { asObject, field } from '../json.ts';
import { locality, nodeId, nodeMetadata, serviceCluster } from '../node-metadata.ts';
import { LOCAL_CLUSTER, renderClusters, XDS_CLUSTER } from './clusters.ts';
import { renderListeners } from './listeners.ts';
import { renderRemoteServices } from './remote-services.ts';
import { renderStats } from './stats.ts';

/** More than any machine can hold; a limit has to be named, or Envoy warns that there is none. */
const MAX_DOWNSTREAM_CONNECTIONS = 2147483647;

/** The most connections of clients: connectionSettings.globalDownstreamConnectionLimit, else the older ways to say it, else no limit. */
function connectionLimit({ proxyConfig, metadata }: AgentSettings): number {
  const asked = [
    field(asObject(field(proxyConfig.raw, 'connectionSettings')), 'globalDownstreamConnectionLimit'),
    metadata.GLOBAL_DOWNSTREAM_MAX_CONNECTIONS,
    proxyConfig.runtimeValues['overload.global_downstream_max_connections'],
  ];
  return asked.map(Number).find((limit) => Number.isInteger(limit) && limit > 0) ?? MAX_DOWNSTREAM_CONNECTIONS;
}

/** Whether Envoy itself finds out how the application is (health discovery), as istiod tells it, and not the agent: `ISTIO_META_HEALTH_DISCOVERY`. */
export function checksByProxy({ metadata }: AgentSettings): boolean {
  return metadata.HEALTH_DISCOVERY === 'true';
}

/** What Envoy is started with: who it is, where its configuration comes from, what it exposes before any arrives. */
export function renderBootstrap(settings: AgentSettings, version: string): Bootstrap {
  const remote = renderRemoteServices(settings);
  const ipv6Only = settings.instanceIps.length > 0 && settings.instanceIps.every((ip) => ip.includes(':'));
  return {
    node: {
      id: nodeId(settings),
      cluster: serviceCluster(settings),
      locality: locality(settings),
      metadata: nodeMetadata(settings, version),
    },
    layeredRuntime: {
      layers: [
        {
          name: 'global config',
          staticLayer: {
            're2.max_program_size.error_level': '32768',
            'envoy.reloadable_features.http_reject_path_with_fragment': false,
            ...settings.proxyConfig.runtimeValues,
          },
        },
        { name: 'admin', adminLayer: {} },
      ],
    },
    ...renderStats(settings),
    ...remote.sinks,
    admin: {
      address: { socketAddress: { address: ipv6Only ? '::1' : '127.0.0.1', portValue: settings.ports.admin } },
      profilePath: '/var/lib/istio/data/envoy.prof',
      ignoreGlobalConnLimit: true,
    },
    dynamicResources: {
      ldsConfig: { ads: {}, initialFetchTimeout: '0s', resourceApiVersion: 'V3' },
      cdsConfig: { ads: {}, initialFetchTimeout: '0s', resourceApiVersion: 'V3' },
      adsConfig: {
        apiType: settings.deltaXds ? 'DELTA_GRPC' : 'GRPC',
        setNodeOnFirstMessageOnly: true,
        transportApiVersion: 'V3',
        grpcServices: [
          {
            envoyGrpc: {
              clusterName: XDS_CLUSTER,
              retryPolicy: { retryBackOff: { baseInterval: '0.1s', maxInterval: '2s' } },
            },
            // istiod takes the cluster from here when it authenticates by token; harmless otherwise.
            initialMetadata: [{ key: 'clusterid', value: settings.clusterId }],
          },
        ],
      },
    },
    ...(checksByProxy(settings) && {
      hdsConfig: {
        apiType: 'GRPC',
        transportApiVersion: 'V3',
        grpcServices: [{ envoyGrpc: { clusterName: XDS_CLUSTER } }],
      },
    }),
    ...(settings.metadata.ENABLE_SELF_DISCOVERY === 'true' && { clusterManager: { localClusterName: LOCAL_CLUSTER } }),
    staticResources: {
      clusters: [...renderClusters(settings), ...remote.clusters],
      listeners: renderListeners(settings),
    },
    overloadManager: {
      refreshInterval: '0.25s',
      resourceMonitors: [
        {
          name: 'envoy.resource_monitors.global_downstream_max_connections',
          typedConfig: {
            '@type':
              'type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig',
            maxActiveDownstreamConnections: connectionLimit(settings),
          },
        },
      ],
    },
  };
}
