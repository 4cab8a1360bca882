import type { HealthCheckRequestOrEndpointHealthResponse, HealthCheckSpecifier } from '@istio-ts/envoy';

type HealthCheck = NonNullable<
  NonNullable<HealthCheckSpecifier['clusterHealthChecks']>[number]['healthChecks']
>[number];

/** `probe` of a WorkloadGroup, as far as it matters here. */
export interface GroupProbe {
  readonly timeoutSeconds?: number;
  readonly periodSeconds?: number;
  readonly successThreshold?: number;
  readonly failureThreshold?: number;
  readonly httpGet?: {
    readonly path?: string;
    readonly port?: number;
    readonly host?: string;
    readonly scheme?: string;
    readonly httpHeaders?: readonly { readonly name?: string; readonly value?: string }[];
  };
  readonly tcpSocket?: { readonly host?: string; readonly port?: number };
  readonly grpc?: { readonly port?: number; readonly service?: string };
  readonly exec?: object;
}

/** What a proxy checks, or why it cannot. */
export type Checks =
  | { readonly kind: 'specifier'; readonly specifier: HealthCheckSpecifier }
  | { readonly kind: 'impossible'; readonly reason: string };

/** Name of the cluster that stands for the workload itself in what the proxy reports. */
const CLUSTER = 'workload';

/** Default values are those of WorkloadGroup's probes, as the agent has them. Envoy knows no initial delay: it begins at once, and a workload is not healthy before. */
function timing(probe: GroupProbe): Omit<HealthCheck, 'httpHealthCheck' | 'tcpHealthCheck' | 'grpcHealthCheck'> {
  const positive = (value: number | undefined, otherwise: number): number =>
    value !== undefined && value > 0 ? value : otherwise;
  const period = positive(probe.periodSeconds, 10);
  return {
    timeout: `${positive(probe.timeoutSeconds, 1)}s`,
    interval: `${period}s`,
    // Without traffic, too: nothing else speaks to this cluster.
    noTrafficInterval: `${period}s`,
    noTrafficHealthyInterval: `${period}s`,
    healthyThreshold: positive(probe.successThreshold, 1),
    unhealthyThreshold: positive(probe.failureThreshold, 3),
  };
}

/** What a group's probe asks for as Envoy's health check of the workload at this address. */
export function checksOf(probe: GroupProbe, ipAddress: string): Checks {
  const common = timing(probe);
  const specifier = (check: HealthCheck, host: string, port: number, https: boolean): Checks => ({
    kind: 'specifier',
    specifier: {
      interval: common.interval,
      clusterHealthChecks: [
        {
          clusterName: CLUSTER,
          healthChecks: [check],
          localityEndpoints: [
            { endpoints: [{ address: { socketAddress: { address: host || ipAddress, portValue: port } } }] },
          ],
          ...(https && {
            transportSocketMatches: [
              {
                name: 'tls',
                match: {},
                transportSocket: {
                  name: 'envoy.transport_sockets.tls',
                  typedConfig: {
                    '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
                  },
                },
              },
            ],
          }),
        },
      ],
    },
  });
  const { httpGet, tcpSocket, grpc } = probe;
  if (httpGet?.port !== undefined) {
    const headers = (httpGet.httpHeaders ?? []).map(({ name = '', value = '' }) => ({
      header: { key: name, value },
      appendAction: 'OVERWRITE_IF_EXISTS_OR_ADD' as const,
    }));
    return specifier(
      {
        ...common,
        httpHealthCheck: {
          host: httpGet.host || ipAddress,
          path: httpGet.path || '/',
          // As for kubelet, redirects are good answers.
          expectedStatuses: [{ start: '200', end: '400' }],
          requestHeadersToAdd: headers,
        },
      },
      httpGet.host ?? '',
      httpGet.port,
      httpGet.scheme?.toUpperCase() === 'HTTPS',
    );
  }
  if (tcpSocket?.port !== undefined)
    return specifier({ ...common, tcpHealthCheck: {} }, tcpSocket.host ?? '', tcpSocket.port, false);
  if (grpc?.port !== undefined)
    return {
      kind: 'impossible',
      reason: 'Envoy does not offer health checks of gRPC to health discovery: let the agent probe',
    };
  return { kind: 'impossible', reason: 'only httpGet and tcpSocket can be checked by a proxy: let the agent probe' };
}

export interface ReportedHealth {
  readonly healthy: boolean;
  readonly message: string;
}

/** The workload's health from a report; undefined where the report says nothing of it. */
export function reportedHealth(
  report: NonNullable<HealthCheckRequestOrEndpointHealthResponse['endpointHealthResponse']>,
): ReportedHealth | undefined {
  const endpoints = (report.clusterEndpointsHealth ?? [])
    .filter(({ clusterName }) => clusterName === CLUSTER)
    .flatMap(({ localityEndpointsHealth = [] }) => localityEndpointsHealth)
    .flatMap(({ endpointsHealth = [] }) => endpointsHealth);
  if (endpoints.length === 0) return undefined;
  // Draining and degraded endpoints answer.
  const bad = endpoints.find(({ healthStatus }) => healthStatus === 'UNHEALTHY' || healthStatus === 'TIMEOUT');
  if (bad === undefined) return { healthy: true, message: '' };
  const what = bad.healthStatus === 'TIMEOUT' ? 'does not answer in time' : 'fails';
  return { healthy: false, message: `the check that the proxy makes ${what}` };
}
