import { typeUrl } from '@istio-ts/envoy';

/** The resource types that have a place in the order of a push. */
export const TypeUrl = {
  cluster: typeUrl('envoy.config.cluster.v3.Cluster'),
  endpoint: typeUrl('envoy.config.endpoint.v3.ClusterLoadAssignment'),
  secret: typeUrl('envoy.extensions.transport_sockets.tls.v3.Secret'),
  extension: typeUrl('envoy.config.core.v3.TypedExtensionConfig'),
  listener: typeUrl('envoy.config.listener.v3.Listener'),
  route: typeUrl('envoy.config.route.v3.RouteConfiguration'),
  virtualHost: typeUrl('envoy.config.route.v3.VirtualHost'),
} as const;

/**
 * Order of a push (Envoy, "xDS REST and gRPC protocol", eventual consistency): a thing is sent before what refers to
 * it, so traffic never meets a reference to something that is not there yet. Other types follow.
 */
const PUSH_ORDER: readonly string[] = [
  TypeUrl.cluster,
  TypeUrl.endpoint,
  TypeUrl.secret,
  TypeUrl.extension,
  TypeUrl.listener,
  TypeUrl.route,
  TypeUrl.virtualHost,
];

/** These refer to clusters: they wait until new clusters have arrived with their endpoints. */
const NEEDS_CLUSTERS: ReadonlySet<string> = new Set([
  TypeUrl.extension,
  TypeUrl.listener,
  TypeUrl.route,
  TypeUrl.virtualHost,
]);

/** These are asked for by name only: an empty first request asks for nothing. */
const BY_NAME: ReadonlySet<string> = new Set([TypeUrl.endpoint, TypeUrl.secret, TypeUrl.extension, TypeUrl.route]);

export function pushRank(type: string): number {
  const rank = PUSH_ORDER.indexOf(type);
  return rank < 0 ? PUSH_ORDER.length : rank;
}

export function needsClusters(type: string): boolean {
  return NEEDS_CLUSTERS.has(type);
}

export function isAskedByName(type: string): boolean {
  return BY_NAME.has(type);
}

const SHORT_NAMES: Readonly<Record<string, string>> = {
  [TypeUrl.cluster]: 'cds',
  [TypeUrl.endpoint]: 'eds',
  [TypeUrl.listener]: 'lds',
  [TypeUrl.route]: 'rds',
  [TypeUrl.secret]: 'sds',
  [TypeUrl.extension]: 'ecds',
  [TypeUrl.virtualHost]: 'vhds',
  'type.googleapis.com/istio.networking.nds.v1.NameTable': 'nds',
  'type.googleapis.com/istio.mesh.v1alpha1.ProxyConfig': 'pcds',
  'type.googleapis.com/envoy.config.bootstrap.v3.Bootstrap': 'bds',
  'type.googleapis.com/istio.workload.Address': 'wds',
  'type.googleapis.com/istio.workload.Workload': 'wds',
  'type.googleapis.com/istio.security.Authorization': 'wads',
};

/** `cds`, `eds`, … as in Istio's metrics and logs; other types by the last part of their URL. */
export function shortName(type: string): string {
  return SHORT_NAMES[type] ?? type.slice(Math.max(type.lastIndexOf('/'), type.lastIndexOf('.')) + 1);
}
