import type { Listener } from '@istio-ts/envoy';
import type { AgentSettings } from '../environment.ts';
import { XDS_CLUSTER } from './clusters.ts';

const CONNECTION_MANAGER =
  'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
const COMPRESSOR = 'type.googleapis.com/envoy.extensions.filters.http.compressor.v3.Compressor';
const GZIP = 'type.googleapis.com/envoy.extensions.compression.gzip.compressor.v3.Gzip';
const ROUTER = 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router';

/** Path of the agent that gives Envoy's statistics alone, with Istio's names. */
export const ENVOY_STATS_PATH = '/stats/prometheus/envoy';

/**
 * The listeners that are there before the control plane has been heard: Prometheus and readiness. Both lead to the agent,
 * which knows Istio's metric names and what readiness means.
 */
export function renderListeners(settings: AgentSettings): readonly Listener[] {
  return [
    httpListener(
      '',
      settings.ports.envoyPrometheus,
      'stats',
      settings,
      [
        {
          match: { prefix: '/stats/prometheus' },
          route: { cluster: 'agent', prefixRewrite: ENVOY_STATS_PATH, timeout: '30s' },
        },
      ],
      compresses(settings)
        ? [
            {
              name: 'envoy.filters.http.compressor',
              typedConfig: {
                '@type': COMPRESSOR,
                compressorLibrary: { name: 'gzip', typedConfig: { '@type': GZIP } },
              },
            },
          ]
        : [],
    ),
    httpListener('', settings.ports.envoyStatus, 'agent', settings, [
      { match: { prefix: '/healthz/ready' }, route: { cluster: 'agent' } },
    ]),
    ...(usesAgentDiscovery(settings) ? [agentDiscoveryListener()] : []),
  ];
}

/** Unix socket on which Envoy takes the agent's calls to the control plane. */
export const AGENT_DISCOVERY_SOCKET = './etc/istio/proxy/agent-discovery';

/** Whether the agent has something to ask or tell the control plane itself. */
export const usesAgentDiscovery = (settings: AgentSettings): boolean =>
  !settings.envoyDisabled && (settings.dnsProxy.enabled || settings.proxyConfig.raw.readinessProbe !== undefined);

/**
 * The agent's way to the control plane: Envoy has the certificate and TLS anyway, so the agent does without both, which would cost it 12 MB. The
 * socket's mode lets only the proxy's own user in.
 */
function agentDiscoveryListener(): Listener {
  return {
    name: 'agent-discovery',
    address: { pipe: { path: AGENT_DISCOVERY_SOCKET, mode: 0o600 } },
    ignoreGlobalConnLimit: true,
    filterChains: [
      {
        filters: [
          {
            name: 'envoy.filters.network.http_connection_manager',
            typedConfig: {
              '@type': CONNECTION_MANAGER,
              codecType: 'HTTP2',
              statPrefix: 'agent-discovery',
              streamIdleTimeout: '0s',
              routeConfig: {
                virtualHosts: [
                  {
                    name: 'istiod',
                    domains: ['*'],
                    routes: [
                      {
                        match: { prefix: '/envoy.service.discovery.v3.AggregatedDiscoveryService/', grpc: {} },
                        route: { cluster: XDS_CLUSTER, timeout: '0s', idleTimeout: '0s' },
                      },
                    ],
                  },
                ],
              },
              httpFilters: [{ name: 'envoy.filters.http.router', typedConfig: { '@type': ROUTER } }],
            },
          },
        ],
      },
    ],
  };
}

/** Statistics are compressed for who accepts it, unless ProxyConfig or the pod says otherwise. */
function compresses(settings: AgentSettings): boolean {
  const own = settings.annotations['sidecar.istio.io/statsCompression'];
  return own === undefined ? settings.proxyConfig.raw.statsCompression !== false : own !== 'false';
}

function httpListener(
  name: string,
  port: number,
  statPrefix: string,
  settings: AgentSettings,
  routes: readonly object[],
  filters: readonly object[] = [],
): Listener {
  const wildcards = [...new Set(settings.instanceIps.map((ip) => (ip.includes(':') ? '::' : '0.0.0.0')))];
  const [first = '0.0.0.0', ...others] = wildcards;
  return {
    ...(name === '' ? {} : { name }),
    address: { socketAddress: { protocol: 'TCP', address: first, portValue: port } },
    ...(others.length === 0
      ? {}
      : {
          additionalAddresses: others.map((address) => ({
            address: { socketAddress: { protocol: 'TCP' as const, address, portValue: port } },
          })),
        }),
    ignoreGlobalConnLimit: true,
    filterChains: [
      {
        filters: [
          {
            name: 'envoy.filters.network.http_connection_manager',
            typedConfig: {
              '@type': CONNECTION_MANAGER,
              codecType: 'AUTO',
              statPrefix,
              routeConfig: { virtualHosts: [{ name: 'backend', domains: ['*'], routes }] },
              httpFilters: [...filters, { name: 'envoy.filters.http.router', typedConfig: { '@type': ROUTER } }],
            },
          },
        ],
      },
    ],
  };
}
