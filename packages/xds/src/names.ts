/** Names of Envoy resources. They are part of Istio's interface: EnvoyFilters, dashboards and `istioctl proxy-config` depend on them. */

/** Cluster of requests to a service port; `subset` is '' for all endpoints. */
export const outboundCluster = (port: number, subset: string, host: string): string =>
  `outbound|${port}|${subset}|${host}`;

/** The same cluster by the name that an AUTO_PASSTHROUGH gateway finds in the SNI (characters that a DNS name may have). */
export const sniDnatCluster = (port: number, subset: string, host: string): string =>
  `outbound_.${port}_.${subset}_.${host}`;

/** Cluster by which a proxy fetches the keys of tokens from a server outside of the mesh. */
export const keyCluster = (host: string, port: number, secure: boolean): string =>
  `jwks|${port}|${secure ? 'https' : 'http'}|${host}`;

/** Cluster of requests that arrive for the workload's own port. */
export const inboundCluster = (port: number): string => `inbound|${port}||`;

/** Forwards to where the client wanted to go. */
export const PASSTHROUGH_CLUSTER = 'PassthroughCluster';
/** Forwards requests to the host that they name, which the proxy resolves (MeshConfig, ALLOW_ANY_DYNAMIC_DNS and proxyHttpPort). */
export const DYNAMIC_DNS_CLUSTER = 'AllowAnyDynamicDNSCluster';
/** Has no endpoints: refuses. */
export const BLACKHOLE_CLUSTER = 'BlackHoleCluster';
/** Forwards arriving connections for ports that no service declares. */
export const INBOUND_PASSTHROUGH_CLUSTER = 'InboundPassthroughCluster';
/** The agent's secret service on its Unix socket. */
export const SDS_CLUSTER = 'sds-grpc';
