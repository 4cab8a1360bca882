import type { RouteConfiguration } from '@istio-ts/envoy';
import type { ProxyScope } from '@istio-ts/mesh/model';
import type { Generated } from '../generated.ts';
import { DYNAMIC_DNS_CLUSTER, PASSTHROUGH_CLUSTER } from '../names.ts';
import { routesToAllPorts } from './egress.ts';
import { catchAllHost, unknownTraffic } from './outbound-policy.ts';
import type { RouteScope } from './sidecar.ts';

/** Name of the route configuration of requests to the HTTP proxy port. */
export const HTTP_PROXY_ROUTES = 'http_proxy';

/** Port on which a sidecar takes requests as an HTTP forward proxy: its own (node metadata HTTP_PROXY_PORT), else the mesh's; undefined for none. */
export function httpProxyPort({ proxy, mesh }: Pick<ProxyScope, 'proxy' | 'mesh'>): number | undefined {
  if (proxy.type !== 'sidecar') return undefined;
  const port = Number(proxy.metadata.HTTP_PROXY_PORT) || mesh.proxyHttpPort || 0;
  return port > 0 && port < 65_536 ? port : undefined;
}

/** Routes to every HTTP port of every service by the host and port that a request names. Nothing was dialled, so unknown hosts are resolved by name. */
export function httpProxyRoutes(scope: RouteScope): Generated<RouteConfiguration> {
  const policy = unknownTraffic(scope);
  const requests = policy.requests === PASSTHROUGH_CLUSTER ? DYNAMIC_DNS_CLUSTER : policy.requests;
  return routesToAllPorts(scope, HTTP_PROXY_ROUTES, catchAllHost({ ...policy, requests }));
}
