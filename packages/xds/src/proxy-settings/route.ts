import type { Route, RouteConfiguration, VirtualHost } from '@istio-ts/envoy';
import type { ProxyScope } from '@istio-ts/mesh/model';
import type { Generated } from '../generated.ts';
import { memoByInputs } from '../memo.ts';
import { noteOrigins, originsOfHost } from '../route/virtual-host.ts';
import { proxySettings } from './settings.ts';

interface Changes {
  readonly withoutAttemptCount: boolean;
  readonly tellsHost: boolean;
}
type Routes = ReadonlyMap<string, Generated<RouteConfiguration>>;

/** A route that tells the application which host was asked for, where it is sent to another (`x-forwarded-host`). */
function tellingHost(route: Route): Route {
  const action = route.route;
  if (action === undefined) return route;
  const rewrites =
    action.hostRewriteLiteral !== undefined ||
    action.hostRewriteHeader !== undefined ||
    action.hostRewritePathRegex !== undefined ||
    action.autoHostRewrite === true ||
    action.weightedClusters?.clusters?.some(({ hostRewriteLiteral }) => hostRewriteLiteral !== undefined) === true;
  return rewrites ? { ...route, route: { ...action, appendXForwardedHost: true } } : route;
}

const changedHost = memoByInputs(
  ({ host, withoutAttemptCount, tellsHost }: Changes & { readonly host: VirtualHost }) => [
    host,
    withoutAttemptCount,
    tellsHost,
  ],
  ({ host, withoutAttemptCount, tellsHost }): VirtualHost => {
    const { includeRequestAttemptCount: counts, ...rest } = host;
    const result: VirtualHost = {
      ...rest,
      ...(counts === true && !withoutAttemptCount && { includeRequestAttemptCount: true }),
      ...(tellsHost && host.routes && { routes: host.routes.map(tellingHost) }),
    };
    noteOrigins(result, originsOfHost(host));
    return result;
  },
);

const changedRoutes = memoByInputs(
  ({ resource, withoutAttemptCount, tellsHost }: Changes & { readonly resource: RouteConfiguration }) => [
    resource,
    withoutAttemptCount,
    tellsHost,
  ],
  ({ resource, ...changes }): RouteConfiguration => ({
    ...resource,
    virtualHosts: (resource.virtualHosts ?? []).map((host) => changedHost({ host, ...changes })),
  }),
);

const changedAll = memoByInputs(
  ({ routes, withoutAttemptCount, tellsHost }: Changes & { readonly routes: Routes }) => [
    routes,
    withoutAttemptCount,
    tellsHost,
  ],
  ({ routes, ...changes }): Routes =>
    new Map(
      [...routes].map(([name, generated]) => [
        name,
        {
          resource: changedRoutes({ resource: generated.resource, ...changes }),
          // Finding them costs whoever asks.
          get origins() {
            return generated.origins;
          },
        },
      ]),
    ),
);

/** Routes as the settings of the proxy have them (`proxyHeaders`); the identical ones, hosts too, where these say nothing of routes. */
export function adjustRoutes(routes: Routes, scope: Pick<ProxyScope, 'proxy' | 'mesh'>): Routes {
  const { attemptCount, xForwardedHost } = proxySettings(scope).proxyHeaders ?? {};
  const withoutAttemptCount = attemptCount?.disabled === true;
  const tellsHost = xForwardedHost?.enabled === true;
  return withoutAttemptCount || tellsHost ? changedAll({ routes, withoutAttemptCount, tellsHost }) : routes;
}
