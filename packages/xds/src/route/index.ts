import type { RouteConfiguration } from '@istio-ts/envoy';
import type { ProxyScope } from '@istio-ts/mesh/model';
import { gatewayRoutes } from '../gateway/route.ts';
import type { Generated } from '../generated.ts';
import { memoByInputs } from '../memo.ts';
import { HTTP_PROXY_ROUTES, httpProxyPort, httpProxyRoutes } from './http-proxy.ts';
import { sidecarRoutes } from './sidecar-tables.ts';

type Routes = ReadonlyMap<string, Generated<RouteConfiguration>>;

const withHttpProxy = memoByInputs(
  ({ scope, routes }: { readonly scope: ProxyScope; readonly routes: Routes }) => {
    const { namespace, dnsDomain, labels } = scope.proxy;
    return [routes, scope.serviceByHost, scope.virtualServices, JSON.stringify([namespace, dnsDomain, labels])];
  },
  ({ scope, routes }): Routes => new Map([...routes, [HTTP_PROXY_ROUTES, httpProxyRoutes(scope)]]),
);

/**
 * Route configurations that a proxy's listeners ask for by name. Virtual hosts and whole configurations keep their identity between two scopes as
 * long as nothing that they are made of changed.
 */
export function buildRoutes(scope: ProxyScope): Routes {
  switch (scope.proxy.type) {
    case 'sidecar': {
      const routes = sidecarRoutes(scope);
      return httpProxyPort(scope) === undefined ? routes : withHttpProxy({ scope, routes });
    }
    case 'router':
      return gatewayRoutes(scope);
    case 'waypoint':
    case 'ztunnel':
      return new Map();
    default: {
      const unknown: never = scope.proxy.type;
      return unknown;
    }
  }
}
