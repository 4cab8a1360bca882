import type { Route, RouteAction, RouteRetryPolicy } from '@istio-ts/envoy';
import type { Origin, ProxyScope, Service } from '@istio-ts/mesh/model';
import { encodeResource } from '../engine/resource.ts';
import { routeType } from '../engine/type-urls.ts';
import { memoByInputs } from '../memo.ts';
import { outboundCluster } from '../names.ts';
import { httpIndex, mayBeHttp, routesOfService } from '../route/sidecar.ts';
import type { XdsResource } from '../source.ts';

/** Name of the route configuration of a port of a service. */
export const grpcRouteName = (service: Service, port: number): string => outboundCluster(port, '', service.hostname);

/** Codes for which gRPC sends a request again (gRPC proposal A44); it knows none of HTTP's reasons. */
const RETRIED = ['cancelled', 'deadline-exceeded', 'internal', 'resource-exhausted', 'unavailable'];

function retries(policy: RouteRetryPolicy | undefined): { readonly retryPolicy?: RouteRetryPolicy } {
  const on = (policy?.retryOn ?? '').split(',').filter((reason) => RETRIED.includes(reason));
  if (policy === undefined || on.length === 0) return {};
  const { numRetries, retryBackOff } = policy;
  return {
    retryPolicy: {
      retryOn: on.join(','),
      ...(numRetries !== undefined && { numRetries }),
      ...(retryBackOff && { retryBackOff }),
    },
  };
}

/** What gRPC clients understand of where a route leads to. Envoy's timeout is their longest duration of a stream. */
function action(route: RouteAction): RouteAction {
  const { cluster, weightedClusters, timeout, maxStreamDuration, retryPolicy, hashPolicy } = route;
  const limit = maxStreamDuration?.maxStreamDuration ?? timeout;
  const hashes = (hashPolicy ?? []).filter((policy) => policy.header !== undefined || policy.filterState !== undefined);
  return {
    ...(cluster !== undefined && { cluster }),
    ...(weightedClusters && {
      weightedClusters: {
        clusters: (weightedClusters.clusters ?? []).map(({ name, weight }) => ({
          ...(name !== undefined && { name }),
          ...(weight !== undefined && { weight }),
        })),
      },
    }),
    ...(limit !== undefined && limit !== '0s' && { maxStreamDuration: { maxStreamDuration: limit } }),
    ...retries(retryPolicy),
    ...(hashes.length > 0 && { hashPolicy: hashes }),
  };
}

const FAULT = 'envoy.filters.http.fault';

function converted(route: Route): Route {
  const fault = route.typedPerFilterConfig?.[FAULT];
  return {
    ...(route.name !== undefined && { name: route.name }),
    ...(route.match && { match: route.match }),
    ...(route.route && { route: action(route.route) }),
    ...(route.redirect && { redirect: route.redirect }),
    ...(route.directResponse && { directResponse: route.directResponse }),
    ...(fault && { typedPerFilterConfig: { [FAULT]: fault } }),
  };
}

interface RouteInput {
  readonly service: Service;
  readonly port: number;
  readonly routes: readonly Route[];
  readonly origins: readonly Origin[];
}

/** Routes of one port of a service; the identical resource as long as the routes are. */
const encoded = memoByInputs(
  ({ routes, service, port }: RouteInput) => [routes, service, port],
  ({ routes, service, port, origins }): XdsResource => {
    const name = grpcRouteName(service, port);
    return encodeResource(routeType, name, {
      resource: {
        name,
        // Whoever asks by one of the service's names means this service.
        virtualHosts: [{ name: `${service.hostname}:${port}`, domains: ['*'], routes: routes.map(converted) }],
      },
      origins,
    });
  },
);

const plainRoutes = memoByInputs(
  ({ service, port }: { readonly service: Service; readonly port: number }) => [service, port],
  ({ service, port }): readonly Route[] => [
    { match: { prefix: '/' }, route: { cluster: outboundCluster(port, '', service.hostname) } },
  ],
);

/** Route configurations for all ports of the services that a client may see, by their names. */
export function grpcRoutes(scope: ProxyScope): ReadonlyMap<string, XdsResource> {
  const index = httpIndex(scope);
  const result = new Map<string, XdsResource>();
  for (const service of scope.services)
    for (const { number: port, protocol } of service.ports) {
      if (protocol === 'UDP') continue;
      const { routes, origins } = mayBeHttp(service, port)
        ? routesOfService(scope, index, service, port)
        : { routes: plainRoutes({ service, port }), origins: [service.origin] };
      const resource = encoded({ service, port, routes, origins });
      result.set(resource.name, resource);
    }
  return result;
}
