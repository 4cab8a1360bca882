import { typeOfAny } from './merge.ts';

/** Names of filters that Envoy has replaced; EnvoyFilters written long ago still use them. */
const DEPRECATED: Readonly<Record<string, string>> = {
  'envoy.buffer': 'envoy.filters.http.buffer',
  'envoy.client_ssl_auth': 'envoy.filters.network.client_ssl_auth',
  'envoy.cors': 'envoy.filters.http.cors',
  'envoy.csrf': 'envoy.filters.http.csrf',
  'envoy.echo': 'envoy.filters.network.echo',
  'envoy.ext_authz': 'envoy.filters.http.ext_authz',
  'envoy.fault': 'envoy.filters.http.fault',
  'envoy.filters.http.grpc_http1_bridge': 'envoy.filters.http.grpc_http1_bridge',
  'envoy.grpc_http1_bridge': 'envoy.filters.http.grpc_http1_bridge',
  'envoy.grpc_json_transcoder': 'envoy.filters.http.grpc_json_transcoder',
  'envoy.grpc_web': 'envoy.filters.http.grpc_web',
  'envoy.gzip': 'envoy.filters.http.gzip',
  'envoy.health_check': 'envoy.filters.http.health_check',
  'envoy.http_connection_manager': 'envoy.filters.network.http_connection_manager',
  'envoy.http_dynamo_filter': 'envoy.filters.http.dynamo',
  'envoy.ip_tagging': 'envoy.filters.http.ip_tagging',
  'envoy.listener.http_inspector': 'envoy.filters.listener.http_inspector',
  'envoy.listener.original_dst': 'envoy.filters.listener.original_dst',
  'envoy.listener.original_src': 'envoy.filters.listener.original_src',
  'envoy.listener.proxy_protocol': 'envoy.filters.listener.proxy_protocol',
  'envoy.listener.tls_inspector': 'envoy.filters.listener.tls_inspector',
  'envoy.lua': 'envoy.filters.http.lua',
  'envoy.mongo_proxy': 'envoy.filters.network.mongo_proxy',
  'envoy.ratelimit': 'envoy.filters.network.ratelimit',
  'envoy.rate_limit': 'envoy.filters.http.ratelimit',
  'envoy.redis_proxy': 'envoy.filters.network.redis_proxy',
  'envoy.router': 'envoy.filters.http.router',
  'envoy.squash': 'envoy.filters.http.squash',
  'envoy.tcp_proxy': 'envoy.filters.network.tcp_proxy',
};

/** The name that Envoy's documentation gives to an extension of a type: `envoy.extensions.filters.http.rbac.v3.RBAC` is `envoy.filters.http.rbac`. */
function nameOfType(typeName: string): string | undefined {
  return /^envoy\.extensions\.(filters\..+)\.v\d+\.\w+$/.exec(typeName)?.[1];
}

/**
 * Whether a filter is the one that an EnvoyFilter names: by its own name, by an older one, or by the name of its type, because a filter of Istio may
 * have another name here (there are several RBAC filters, one for each action).
 */
export function isNamed(filter: { readonly name?: string; readonly typedConfig?: unknown }, wanted: string): boolean {
  if (filter.name === wanted) return true;
  const current = DEPRECATED[wanted] ?? wanted;
  if (filter.name === current) return true;
  const type = typeOfAny(filter.typedConfig);
  const ofType = type === undefined ? undefined : nameOfType(type);
  return ofType !== undefined && `envoy.${ofType}` === current;
}

/** A route configuration as its name tells of it. */
export interface RouteName {
  readonly port: number | undefined;
  /** Name of the port of the Gateway's server. */
  readonly portName: string | undefined;
  /** `namespace/name` */
  readonly gateway: string | undefined;
}

/** Route names: `PORT`, `HOST:PORT`, `inbound|PORT||`, `http.PORT[.BIND]`, `https.PORT.PORTNAME.GATEWAY.NAMESPACE`. */
export function parseRouteName(name: string): RouteName {
  const none = { port: undefined, portName: undefined, gateway: undefined };
  const secure = /^https\.(\d+)\.(.*)\.([^.]+)\.([^.]+)$/.exec(name);
  if (secure) return { port: Number(secure[1]), portName: secure[2], gateway: `${secure[4]}/${secure[3]}` };
  const port = /^(?:http\.|inbound\|)?(\d+)(?:\.|\||$)|:(\d+)$/.exec(name);
  return port ? { ...none, port: Number(port[1] ?? port[2]) } : none;
}

/** A cluster as its name tells of it. */
export interface ClusterName {
  readonly direction: 'inbound' | 'outbound';
  readonly port: number;
  readonly subset: string;
  readonly host: string;
}

/** Cluster names: `DIRECTION|PORT|SUBSET|HOST` and the same with `_.` between. */
export function parseClusterName(name: string): ClusterName | undefined {
  const found =
    /^(inbound|outbound)\|(\d+)\|([^|]*)\|([^|]*)$/.exec(name) ?? /^(outbound)_\.(\d+)_\.([^_]*)_\.(.*)$/.exec(name);
  if (!found) return undefined;
  const [, direction, port, subset = '', host = ''] = found;
  return { direction: direction === 'inbound' ? 'inbound' : 'outbound', port: Number(port), subset, host };
}
