import type { RouteConfiguration } from '@istio-ts/envoy';
import type { ProxyScope } from '@istio-ts/mesh/model';
import { gatewayRoutes } from '../gateway/route.ts';
import type { Generated } from '../generated.ts';
import { sidecarRoutes } from './sidecar-tables.ts';

/**
 * Route configurations that a proxy's listeners ask for by name. Virtual hosts and whole configurations keep their identity between two scopes as
 * long as nothing that they are made of changed.
 */
export function buildRoutes(scope: ProxyScope): ReadonlyMap<string, Generated<RouteConfiguration>> {
  switch (scope.proxy.type) {
    case 'sidecar':
      return sidecarRoutes(scope);
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
