import type { Cluster, Listener, RouteConfiguration } from '@istio-ts/envoy';
import type { ProxyScope } from '@istio-ts/mesh/model';
import { buildInboundClusters, type ClusterInputs, fixedClusters } from '../cluster/index.ts';
import { sniDnatClusters } from '../gateway/sni-dnat.ts';
import type { Generated } from '../generated.ts';
import { buildListeners } from '../listener/index.ts';
import { buildRoutes } from '../route/index.ts';

/** The translation that an engine runs: each a pure function of its arguments that returns the same objects as long as they depend on nothing that changed. */
export interface Generators {
  readonly listeners: (scope: ProxyScope) => readonly Generated<Listener>[];
  readonly routes: (scope: ProxyScope) => ReadonlyMap<string, Generated<RouteConfiguration>>;
  /** Clusters that belong to the proxy alone; those towards services are made by the engine, service by service. */
  readonly ownClusters: (scope: ProxyScope) => readonly Generated<Cluster>[];
}

export type { ClusterInputs };

export const defaultGenerators: Generators = {
  listeners: buildListeners,
  routes: buildRoutes,
  ownClusters: (scope) => [...buildInboundClusters(scope), ...fixedClusters(scope), ...sniDnatClusters(scope)],
};
