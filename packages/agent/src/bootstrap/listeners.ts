import type { Listener } from '@istio-ts/envoy';
import type { AgentSettings } from '../environment.ts';

const CONNECTION_MANAGER =
  'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
const ROUTER = 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router';

/** Path of the agent that gives Envoy's statistics alone, with Istio's names. */
export const ENVOY_STATS_PATH = '/stats/prometheus/envoy';

/**
 * The listeners that are there before the control plane has been heard: Prometheus and readiness. Both lead to the agent,
 * which knows Istio's metric names and what readiness means.
 */
export function renderListeners(settings: AgentSettings): readonly Listener[] {
  return [
    httpListener('', settings.ports.envoyPrometheus, 'stats', settings, [
      {
        match: { prefix: '/stats/prometheus' },
        route: { cluster: 'agent', prefixRewrite: ENVOY_STATS_PATH, timeout: '30s' },
      },
    ]),
    httpListener('', settings.ports.envoyStatus, 'agent', settings, [
      { match: { prefix: '/healthz/ready' }, route: { cluster: 'agent' } },
    ]),
  ];
}

function httpListener(
  name: string,
  port: number,
  statPrefix: string,
  settings: AgentSettings,
  routes: readonly object[],
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
              httpFilters: [{ name: 'envoy.filters.http.router', typedConfig: { '@type': ROUTER } }],
            },
          },
        ],
      },
    ],
  };
}
