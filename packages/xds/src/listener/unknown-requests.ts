import type { ConfigListenerFilter, FilterChain, Listener } from '@istio-ts/envoy';
import { dynamicHostsFilter } from '../cluster/dynamic-hosts.ts';
import { alpnFilters } from '../filter/alpn.ts';
import { httpConnectionManager, type RouteSource } from '../filter/http-connection-manager.ts';
import { memoByInputs } from '../memo.ts';
import { HTTP_PROXY_ROUTES } from '../route/http-proxy.ts';
import { catchAllHost } from '../route/outbound-policy.ts';
import { listenerAccessLog } from '../telemetry/access-log.ts';
import { httpMetrics } from '../telemetry/metrics.ts';
import {
  accepting,
  contextInputs,
  detectionTimeout,
  type ListenerContext,
  listeningOn,
  plainHttpProtocols,
  wildcardAddress,
} from './context.ts';
import { httpInspector } from './listener-filter.ts';

/** Requests whose host the proxy may have to resolve itself. */
const byName = (context: ListenerContext, name: string, routes: RouteSource): ConfigListenerFilter =>
  httpConnectionManager({
    ...context,
    role: 'outbound',
    statPrefix: `outbound_${name};`,
    routes,
    metrics: httpMetrics(context, { side: 'source' }),
    filters: [...alpnFilters(context.proxy), dynamicHostsFilter(context.mesh, context.proxy)],
  });

const CATCH_ALL = 'virtualOutbound-catchall-http';

/** HTTP requests to ports that no service has, where they go another way than other connections do. */
export const unknownRequestsChain = (context: ListenerContext, cluster: string, requests: string): FilterChain => ({
  name: CATCH_ALL,
  filterChainMatch: { applicationProtocols: plainHttpProtocols(context.proxy) },
  filters: [
    byName(context, CATCH_ALL, {
      kind: 'inline',
      config: {
        name: CATCH_ALL,
        virtualHosts: [catchAllHost({ allowed: true, cluster, requests })],
        validateClusters: false,
      },
    }),
  ],
});

/** How the capture listener finds such requests. Connections to `ports`, which have listeners of their own, pass it too, and servers there may speak first. */
export const findingRequests = (
  { mesh }: ListenerContext,
  ports: readonly number[],
): Pick<Listener, 'listenerFilters' | 'listenerFiltersTimeout' | 'continueOnListenerFiltersTimeout'> => ({
  listenerFilters: [httpInspector(ports)],
  listenerFiltersTimeout: detectionTimeout(mesh),
  continueOnListenerFiltersTimeout: true,
});

/** Takes requests as a forward proxy, from the applications of its own pod (MeshConfig, `proxyHttpPort`). */
export const httpProxyListener = memoByInputs(
  ({ context, port }: { readonly context: ListenerContext; readonly port: number }) =>
    [...contextInputs(context), port] as [object, ...unknown[]],
  ({ context, port }): Listener => {
    const address = wildcardAddress(context.proxy) === '::' ? '::1' : '127.0.0.1';
    const name = `${address}_${port}`;
    return {
      name,
      ...listeningOn(address, port),
      trafficDirection: 'OUTBOUND',
      filterChains: [{ filters: [byName(context, name, { kind: 'rds', name: HTTP_PROXY_ROUTES })] }],
      ...accepting(context.proxy),
      accessLog: listenerAccessLog(context, 'outbound'),
    };
  },
);
