import type { Cluster, ConfigSource } from '@istio-ts/envoy';
import { hostOf, portOf } from '../environment.ts';
import type { AgentSettings } from '../environment.ts';

/** Name of the resource that holds the workload's key and certificate, and of the one that holds the trust anchors. */
export const WORKLOAD_SECRET = 'default';
export const ROOT_SECRET = 'ROOTCA';
/** Clusters that configuration from the control plane refers to. */
export const XDS_CLUSTER = 'xds-grpc';
export const SDS_CLUSTER = 'sds-grpc';
/** The proxies of the workload itself, by which Envoy weighs zones (`ISTIO_META_ENABLE_SELF_DISCOVERY`). */
export const LOCAL_CLUSTER = 'local_cluster';

const UPSTREAM_TLS = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext';
const HTTP_OPTIONS = 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const PROTOCOL_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

/** HTTP/2 with one long stream, and pings that notice a peer that vanished. */
const HTTP2 = {
  [PROTOCOL_OPTIONS]: {
    '@type': HTTP_OPTIONS,
    explicitHttpConfig: {
      http2ProtocolOptions: {
        initialStreamWindowSize: 1048576,
        initialConnectionWindowSize: 1048576,
        connectionKeepalive: { interval: '30s', timeout: '10s' },
      },
    },
  },
};

/** Where Envoy gets secrets: the agent's Unix socket. Waits for as long as it takes and asks again soon. */
export function sdsSource(): ConfigSource {
  return {
    apiConfigSource: {
      apiType: 'GRPC',
      transportApiVersion: 'V3',
      setNodeOnFirstMessageOnly: true,
      grpcServices: [
        {
          envoyGrpc: {
            clusterName: SDS_CLUSTER,
            retryPolicy: { retryBackOff: { baseInterval: '0.1s', maxInterval: '1s' } },
          },
        },
      ],
    },
    initialFetchTimeout: '0s',
    resourceApiVersion: 'V3',
  };
}

export function renderClusters(settings: AgentSettings): readonly Cluster[] {
  const loopback =
    settings.instanceIps[0]?.includes(':') === true && !settings.instanceIps.some((ip) => !ip.includes(':'))
      ? '::1'
      : '127.0.0.1';
  return [
    localCluster('prometheus_stats', loopback, settings.ports.admin),
    localCluster('agent', loopback, settings.ports.status),
    {
      name: SDS_CLUSTER,
      type: 'STATIC',
      connectTimeout: '1s',
      typedExtensionProtocolOptions: HTTP2,
      loadAssignment: {
        clusterName: SDS_CLUSTER,
        endpoints: [{ lbEndpoints: [{ endpoint: { address: { pipe: { path: settings.certificates.socketFile } } } }] }],
      },
    },
    discoveryCluster(settings),
    ...(settings.metadata.ENABLE_SELF_DISCOVERY === 'true'
      ? [
          {
            name: LOCAL_CLUSTER,
            type: 'EDS' as const,
            connectTimeout: '1s',
            edsClusterConfig: { edsConfig: { ads: {}, initialFetchTimeout: '5s', resourceApiVersion: 'V3' as const } },
          },
        ]
      : []),
  ];
}

function localCluster(name: string, address: string, portValue: number): Cluster {
  return {
    name,
    type: 'STATIC',
    connectTimeout: '0.25s',
    lbPolicy: 'ROUND_ROBIN',
    loadAssignment: {
      clusterName: name,
      endpoints: [
        { lbEndpoints: [{ endpoint: { address: { socketAddress: { protocol: 'TCP', address, portValue } } } }] },
      ],
    },
  };
}

/** The control plane, straight over mutual TLS: the workload's certificate comes from the agent, the server's name is checked. */
function discoveryCluster(settings: AgentSettings): Cluster {
  const address = settings.proxyConfig.discoveryAddress;
  const host = hostOf(address);
  const port = portOf(address, 15012);
  const isIp = /^[\d.]+$|:/.test(host);
  // 15010 is the plain-text port of the control plane, used where the network itself is trusted.
  const plain = settings.proxyConfig.raw.controlPlaneAuthPolicy === 'NONE' || port === 15010;
  const first = settings.instanceIps[0] ?? '';
  return {
    name: XDS_CLUSTER,
    ...(isIp
      ? { type: 'STATIC' as const }
      : {
          clusterType: {
            name: 'envoy.clusters.dns',
            typedConfig: {
              '@type': 'type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster',
              dnsLookupFamily: first.includes(':') ? 'AUTO' : 'V4_PREFERRED',
              dnsRefreshRate: '15s',
              dnsFailureRefreshRate: { baseInterval: '0.5s', maxInterval: '5s' },
              respectDnsTtl: true,
            },
          },
        }),
    connectTimeout: '1s',
    lbPolicy: 'ROUND_ROBIN',
    typedExtensionProtocolOptions: HTTP2,
    circuitBreakers: {
      thresholds: [
        { priority: 'DEFAULT', maxConnections: 100000, maxPendingRequests: 100000, maxRequests: 100000 },
        { priority: 'HIGH', maxConnections: 100000, maxPendingRequests: 100000, maxRequests: 100000 },
      ],
    },
    upstreamConnectionOptions: { tcpKeepalive: { keepaliveTime: 300 } },
    ...(plain
      ? {}
      : {
          transportSocket: {
            name: 'envoy.transport_sockets.tls',
            typedConfig: {
              '@type': UPSTREAM_TLS,
              sni: settings.discoverySan,
              commonTlsContext: {
                tlsParams: { tlsMinimumProtocolVersion: 'TLSv1_2', tlsMaximumProtocolVersion: 'TLSv1_3' },
                alpnProtocols: ['h2'],
                tlsCertificateSdsSecretConfigs: [{ name: clientSecret(settings), sdsConfig: sdsSource() }],
                combinedValidationContext: {
                  defaultValidationContext: {
                    matchTypedSubjectAltNames: [
                      { sanType: 'DNS', matcher: { exact: settings.discoverySan } },
                      ...(isIp ? [{ sanType: 'IP_ADDRESS', matcher: { exact: host } }] : []),
                    ],
                  },
                  validationContextSdsSecretConfig: { name: discoveryRoot(settings), sdsConfig: sdsSource() },
                },
              },
            },
          },
        }),
    loadAssignment: {
      clusterName: XDS_CLUSTER,
      endpoints: [{ lbEndpoints: [{ endpoint: { address: { socketAddress: { address: host, portValue: port } } } }] }],
    },
  };
}

function clientSecret(settings: AgentSettings): string {
  const { provisionedCertDirectory: directory, fileMounted } = settings.certificates;
  if (directory !== '') return `file-cert:${directory}/cert-chain.pem~${directory}/key.pem`;
  const { TLS_CLIENT_CERT_CHAIN: chain, TLS_CLIENT_KEY: key } = settings.metadata;
  return fileMounted && chain && key ? `file-cert:${chain}~${key}` : WORKLOAD_SECRET;
}

/** The control plane's certificate may come from another CA than the workloads', so its root is the mounted file. */
function discoveryRoot(settings: AgentSettings): string {
  const file = settings.xdsRootCa;
  return file === 'SYSTEM' ? 'file-root:system' : `file-root:${file}`;
}
