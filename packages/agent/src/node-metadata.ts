import type { AgentSettings } from './environment.ts';
import type { Json } from './json.ts';

/** Variables whose text stands for a truth value in the metadata; others stay text, as Istio's are. */
const DROPPED = new Set(['LABELS', 'ANNOTATIONS', 'NODE_NAME']);

/** The metadata by which the control plane knows the proxy (keys: reference "Node metadata keys"). */
export function nodeMetadata(settings: AgentSettings, version: string): Readonly<Record<string, Json>> {
  const extra = Object.fromEntries(Object.entries(settings.metadata).filter(([key]) => !DROPPED.has(key)));
  const annotations = { ...asTexts(settings.metadata.ANNOTATIONS), ...settings.annotations };
  const workload = typeof extra.WORKLOAD_NAME === 'string' ? extra.WORKLOAD_NAME : undefined;
  return definedOnly({
    INTERCEPTION_MODE: settings.proxyConfig.interceptionMode,
    MESH_ID: settings.trustDomain,
    ...extra,
    ...(settings.proxyConfig.meshId !== '' && { MESH_ID: settings.proxyConfig.meshId }),
    NAME: settings.podName,
    NAMESPACE: settings.namespace,
    INSTANCE_IPS: settings.instanceIps.join(','),
    SERVICE_ACCOUNT: settings.serviceAccount,
    CLUSTER_ID: settings.clusterId,
    ISTIO_VERSION: typeof extra.ISTIO_VERSION === 'string' ? extra.ISTIO_VERSION : version,
    ISTIO_PROXY_SHA: `istio-ts:${version}`,
    WORKLOAD_NAME: workload,
    NODE_NAME: settings.nodeName || undefined,
    LABELS: settings.labels,
    ANNOTATIONS: Object.keys(annotations).length > 0 ? annotations : undefined,
    PILOT_SAN: [settings.discoverySan],
    PROXY_CONFIG: settings.proxyConfig.raw,
    ENVOY_STATUS_PORT: settings.ports.envoyStatus,
    ENVOY_PROMETHEUS_PORT: settings.ports.envoyPrometheus,
    OUTLIER_LOG_PATH: settings.flags.outlierLogPath,
    // The control plane may send routes host by host: stock Envoy of this version takes them on the stream of everything else.
    INCREMENTAL_ROUTES: 'true',
    EXTENSION_SOURCE: settings.envoyDisabled ? undefined : 'agent',
    DNS_CAPTURE: settings.dnsCapture ? 'true' : undefined,
    EXIT_ON_ZERO_ACTIVE_CONNECTIONS: settings.drain.exitOnZeroActiveConnections ? 'true' : undefined,
    UNPRIVILEGED_POD: typeof extra.UNPRIVILEGED_POD === 'string' ? extra.UNPRIVILEGED_POD : undefined,
  });
}

/** `TYPE~ADDRESS~POD.NAMESPACE~DOMAIN` */
export function nodeId(settings: AgentSettings): string {
  return [
    settings.flags.role,
    settings.instanceIps[0] ?? '127.0.0.1',
    `${settings.podName}.${settings.namespace}`,
    settings.domain,
  ].join('~');
}

/** Name of the service cluster that traces and Envoy's own metrics show (ProxyConfig.tracingServiceName). */
export function serviceCluster(settings: AgentSettings): string {
  const given =
    settings.proxyConfig.serviceCluster ??
    (settings.flags.serviceCluster === 'istio-proxy' ? undefined : settings.flags.serviceCluster);
  if (given) return given;
  const { labels } = settings;
  const workload = typeof settings.metadata.WORKLOAD_NAME === 'string' ? settings.metadata.WORKLOAD_NAME : undefined;
  const canonical =
    labels['service.istio.io/canonical-name'] ??
    labels['app.kubernetes.io/name'] ??
    labels.app ??
    workload ??
    'istio-proxy';
  switch (settings.proxyConfig.tracingServiceName) {
    case 'CANONICAL_NAME_ONLY':
      return canonical;
    case 'CANONICAL_NAME_AND_NAMESPACE':
      return `${canonical}.${settings.namespace}`;
    default:
      return `${labels.app ?? workload ?? 'istio-proxy'}.${settings.namespace}`;
  }
}

/**
 * Region, zone and sub-zone from the pod's label `istio-locality` (dots or slashes between), or those of Kubernetes. Empty: the control plane finds it by
 * the node, but Envoy cannot balance by zone then.
 */
export function locality(settings: AgentSettings): {
  readonly region?: string;
  readonly zone?: string;
  readonly subZone?: string;
} {
  const { labels } = settings;
  const label = labels['topology.istio.io/locality'] ?? labels['istio-locality'];
  // Kubernetes itself copies these labels from nodes to pods (PodTopologyLabels, on by default from 1.35).
  if (!label) return place(labels['topology.kubernetes.io/region'], labels['topology.kubernetes.io/zone']);
  const [region, zone, subZone] = label.split(label.includes('/') ? '/' : '.');
  return definedOnly({ region, zone, subZone });
}

const place = (region: string | undefined, zone: string | undefined): ReturnType<typeof locality> =>
  region === undefined ? {} : definedOnly({ region, zone });

function asTexts(value: Json | undefined): Readonly<Record<string, Json>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, Json>>)
    : {};
}

function definedOnly<T>(object: Readonly<Record<string, T | undefined>>): Record<string, T> {
  return Object.fromEntries(Object.entries(object).filter((entry): entry is [string, T] => entry[1] !== undefined));
}
