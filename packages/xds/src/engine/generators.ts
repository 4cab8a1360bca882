import type { Cluster, Listener, RouteConfiguration } from '@istio-ts/envoy';
import type { ProxyScope } from '@istio-ts/mesh/model';
import { buildInboundClusters, type ClusterInputs, fixedClusters } from '../cluster/index.ts';
import { ownKeyClusters } from '../cluster/token-keys.ts';
import { patchListeners } from '../envoy-filter/listener.ts';
import { contextsOf } from '../envoy-filter/patch.ts';
import { patchesOf } from '../envoy-filter/patch-set.ts';
import { patchRouteConfigurations } from '../envoy-filter/route.ts';
import { withPlugins } from '../extension/listener.ts';
import { sniDnatClusters } from '../gateway/sni-dnat.ts';
import type { Generated } from '../generated.ts';
import { buildListeners } from '../listener/index.ts';
import { limitListeners } from '../proxy-settings/listener.ts';
import { adjustRoutes } from '../proxy-settings/route.ts';
import { buildRoutes } from '../route/index.ts';
import { collectorClusters } from '../telemetry/own-tracing.ts';

/** The translation that an engine runs: each a pure function of its arguments that returns the same objects as long as they depend on nothing that changed. */
export interface Generators {
  readonly listeners: (scope: ProxyScope) => readonly Generated<Listener>[];
  readonly routes: (scope: ProxyScope) => ReadonlyMap<string, Generated<RouteConfiguration>>;
  /** Clusters that belong to the proxy alone; those towards services are made by the engine, service by service. */
  readonly ownClusters: (scope: ProxyScope) => readonly Generated<Cluster>[];
}

export type { ClusterInputs };

export const defaultGenerators: Generators = {
  listeners: (scope) =>
    patchListeners(
      withPlugins(limitListeners(buildListeners(scope), scope), scope),
      patchesOf(scope).listeners,
      scope.proxy.type,
    ),
  routes: (scope) => {
    const routes = adjustRoutes(buildRoutes(scope), scope);
    // Routes of arriving requests are part of their listeners.
    const context = contextsOf(scope.proxy.type).at(-1);
    return context === undefined ? routes : patchRouteConfigurations(routes, patchesOf(scope).routes, context);
  },
  ownClusters: (scope) => [
    ...buildInboundClusters(scope),
    ...fixedClusters(scope),
    ...sniDnatClusters(scope),
    ...ownKeyClusters(scope),
    ...collectorClusters(scope),
  ],
};
