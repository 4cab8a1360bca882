import { renderBootstrap } from '@istio-ts/agent/bootstrap/render';
import { readSettings } from '@istio-ts/agent/environment';
import type { Json } from '@istio-ts/agent/json';
import { VERSION } from '@istio-ts/api';
import type { Bootstrap, Cluster, JsonObject, Listener } from '@istio-ts/envoy';
import type { ProxyNode } from '@istio-ts/xds';

/** Where stock agents serve Envoy, from their working directory: configuration, and secrets. */
const XDS_SOCKET = './etc/istio/proxy/XDS';
const SECRET_SOCKET = './var/run/secrets/workload-spiffe-uds/socket';

const HTTP2 = {
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
    '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
    explicitHttpConfig: { http2ProtocolOptions: {} },
  },
};

const overSocket = (name: string, path: string): Cluster => ({
  name,
  type: 'STATIC',
  connectTimeout: '1s',
  typedExtensionProtocolOptions: HTTP2,
  loadAssignment: { clusterName: name, endpoints: [{ lbEndpoints: [{ endpoint: { address: { pipe: { path } } } }] }] },
});

const text = (value: unknown): string | undefined =>
  typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;

/**
 * The whole bootstrap for an agent of Istio that asks for one (BOOTSTRAP_XDS_AGENT): what ours makes for itself, with the ways that a stock agent offers to
 * its Envoy. The agent starts Envoy with nothing else, so it must not go without an answer. Raises EnvironmentError for metadata that nobody can have.
 */
export function stockBootstrap(node: ProxyNode): Bootstrap {
  const { metadata } = node;
  const variables = {
    POD_NAME: node.podName,
    POD_NAMESPACE: node.namespace,
    SERVICE_ACCOUNT: text(metadata.SERVICE_ACCOUNT),
    INSTANCE_IP: node.ipAddress,
    ISTIO_META_CLUSTER_ID: text(metadata.CLUSTER_ID),
    ISTIO_META_ENABLE_SELF_DISCOVERY: text(metadata.ENABLE_SELF_DISCOVERY),
    ENVOY_STATUS_PORT: text(metadata.ENVOY_STATUS_PORT),
    ENVOY_PROMETHEUS_PORT: text(metadata.ENVOY_PROMETHEUS_PORT),
    PROXY_CONFIG: JSON.stringify(metadata.PROXY_CONFIG ?? {}),
    ISTIO_METAJSON_LABELS: JSON.stringify(metadata.LABELS ?? {}),
    ISTIO_METAJSON_ANNOTATIONS: JSON.stringify(metadata.ANNOTATIONS ?? {}),
  };
  const settings = readSettings(
    { role: node.type === 'router' ? 'router' : 'sidecar', domain: node.dnsDomain, proxyLogLevel: '' },
    {
      env: Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== undefined)),
      interfaceAddresses: [node.ipAddress],
      hostName: node.podName,
      parseYaml: (yaml) => JSON.parse(yaml) as Json,
    },
  );
  const { staticResources, ...rest } = renderBootstrap(settings, VERSION);
  const { region = '', zone = '', subzone = '' } = node.locality;
  return {
    ...rest,
    node: {
      id: node.id,
      cluster: node.cluster,
      locality: { region, zone, subZone: subzone },
      metadata: node.metadata as JsonObject,
    },
    staticResources: {
      clusters: (staticResources?.clusters ?? []).map((cluster) => {
        if (cluster.name === 'xds-grpc') return overSocket('xds-grpc', XDS_SOCKET);
        return cluster.name === 'sds-grpc' ? overSocket('sds-grpc', SECRET_SOCKET) : cluster;
      }),
      // Prometheus asks Envoy itself there: only our agent has statistics under Istio's names.
      listeners: (staticResources?.listeners ?? []).map(toOwnStatistics),
    },
  };
}

const toOwnStatistics = (listener: Listener): Listener =>
  JSON.parse(JSON.stringify(listener), (_key, value: unknown) => {
    if (typeof value !== 'object' || value === null || !('prefixRewrite' in value)) return value;
    const { prefixRewrite: _, ...route } = value as { readonly prefixRewrite: unknown };
    return { ...route, cluster: 'prometheus_stats' };
  }) as Listener;
