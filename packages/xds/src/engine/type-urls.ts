import { typeUrl } from '@istio-ts/envoy';

export const clusterType = 'envoy.config.cluster.v3.Cluster';
export const endpointType = 'envoy.config.endpoint.v3.ClusterLoadAssignment';
export const listenerType = 'envoy.config.listener.v3.Listener';
export const routeType = 'envoy.config.route.v3.RouteConfiguration';
export const secretType = 'envoy.extensions.transport_sockets.tls.v3.Secret';
/** Configuration of filters that listeners name and do not hold. */
export const extensionType = 'envoy.config.core.v3.TypedExtensionConfig';
/** Only proxies that take their routes host by host have these. */
export const virtualHostType = 'envoy.config.route.v3.VirtualHost';

export type ResourceType =
  | typeof clusterType
  | typeof endpointType
  | typeof listenerType
  | typeof routeType
  | typeof secretType
  | typeof extensionType
  | typeof virtualHostType;

/** The types that every proxy may ask for. */
export const resourceTypes: readonly ResourceType[] = [
  clusterType,
  endpointType,
  listenerType,
  routeType,
  secretType,
  extensionType,
];

export const typeUrls = {
  cluster: typeUrl(clusterType),
  endpoint: typeUrl(endpointType),
  listener: typeUrl(listenerType),
  route: typeUrl(routeType),
  secret: typeUrl(secretType),
  extension: typeUrl(extensionType),
} as const;

export const virtualHostUrl = typeUrl(virtualHostType);

/** Those that every proxy may ask for, and those that only some may. */
export const allResourceTypes: readonly ResourceType[] = [...resourceTypes, virtualHostType];

const byUrl = new Map<string, ResourceType>(allResourceTypes.map((type) => [typeUrl(type), type]));

export const resourceTypeOf = (url: string): ResourceType | undefined => byUrl.get(url);
