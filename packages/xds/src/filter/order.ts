import type { Any, HttpFilter, Router } from '@istio-ts/envoy';
import { typed } from '../typed.ts';

/** A place in the chain of HTTP filters and why it is there. The table is the only thing that decides the order. */
interface Place {
  readonly name: string;
  readonly reason: string;
}

/** HTTP filters from the first that sees a request to the last. */
export const HTTP_FILTER_ORDER = [
  {
    name: 'istio.rbac.custom',
    reason: 'CUSTOM policies come first (Authorization Policy reference: CUSTOM, then DENY, then ALLOW)',
  },
  {
    name: 'envoy.filters.http.ext_authz',
    reason:
      'asks about what the rules of CUSTOM policies have marked; its answer may bring the token that is checked next',
  },
  { name: 'envoy.filters.http.jwt_authn', reason: 'who asks must be known before anything decides on it' },
  { name: 'istio.rbac.audit', reason: 'marks requests for the access log before anything refuses them' },
  { name: 'istio.rbac.deny', reason: 'a DENY wins over every ALLOW' },
  { name: 'istio.rbac.allow', reason: 'what no ALLOW admits is refused before it can cost the application anything' },
  {
    name: 'envoy.filters.http.grpc_web',
    reason: 'turns gRPC-Web into gRPC for the filters and the application after it',
  },
  { name: 'envoy.filters.http.grpc_stats', reason: 'counts messages of requests that were admitted' },
  { name: 'istio.alpn', reason: 'chooses the protocol offered to the server from the protocol that the client spoke' },
  { name: 'envoy.filters.http.fault', reason: 'injects faults only into requests that would otherwise be forwarded' },
  {
    name: 'envoy.filters.http.cors',
    reason: 'answers preflights of routes, also for those that a fault was asked for',
  },
  {
    name: 'envoy.filters.http.dynamic_forward_proxy',
    reason: 'resolves the host of a request that is about to be sent to a host that only its name tells',
  },
  { name: 'envoy.filters.http.router', reason: 'ends the chain: sends the request to its cluster' },
] as const satisfies readonly Place[];

export type HttpFilterName = (typeof HTTP_FILTER_ORDER)[number]['name'];

const filter = (name: HttpFilterName, typedConfig: Any): HttpFilter => ({ name, typedConfig });

/** Filters that every HTTP connection manager has; the first two do nothing unless a route configures them. */
const FAULT = filter('envoy.filters.http.fault', typed('envoy.extensions.filters.http.fault.v3.HTTPFault', {}));
const CORS = filter('envoy.filters.http.cors', typed('envoy.extensions.filters.http.cors.v3.Cors', {}));
const GRPC_STATS = filter(
  'envoy.filters.http.grpc_stats',
  typed('envoy.extensions.filters.http.grpc_stats.v3.FilterConfig', {
    emitFilterState: true,
    statsForAllMethods: false,
  }),
);
const router = (fields: Router): HttpFilter =>
  filter('envoy.filters.http.router', typed('envoy.extensions.filters.http.router.v3.Router', fields));
const ROUTER = router({});
/** The same without the headers `x-envoy-*` of its own. */
const SILENT_ROUTER = router({ suppressEnvoyHeaders: true });

/** The chain of HTTP filters: those that always are there and `extra`, in the table's order. */
export function httpFilters(extra: readonly HttpFilter[], isSilent = false): readonly HttpFilter[] {
  const all = [FAULT, CORS, GRPC_STATS, isSilent ? SILENT_ROUTER : ROUTER, ...extra];
  return HTTP_FILTER_ORDER.flatMap(({ name }) => all.filter((f) => f.name === name));
}
