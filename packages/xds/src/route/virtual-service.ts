import type { Any, Route } from '@istio-ts/envoy';
import type { VirtualService } from '@istio-ts/mesh/model';
import { memoByInputs } from '../memo.ts';
import { forwardAction } from './action.ts';
import { corsConfig } from './cors.ts';
import type { KnownHosts } from './destination.ts';
import { faultConfig } from './fault.ts';
import { headerMutations } from './headers.ts';
import type { LeanRoutes } from './lean.ts';
import { type MatchContext, matchApplies, matchesEverything, routeMatch } from './match.ts';
import { directResponseAction, redirectAction } from './redirect.ts';
import type { HttpMatch, HttpRoute, Retries } from './spec.ts';

/** All that the HTTP routes of one VirtualService depend on. */
export interface VirtualServiceInput {
  readonly virtualService: VirtualService;
  readonly hosts: KnownHosts;
  /** `mesh` or the gateways (`namespace/name`) that the routes are made for. */
  readonly gateways: readonly string[];
  readonly port: number;
  /** The clients speak HTTPS (servers of gateways that terminate TLS). */
  readonly overTls?: boolean;
  readonly sourceNamespace: string;
  readonly sourceLabels: Readonly<Record<string, string>>;
  readonly defaultRetries: Retries | undefined;
  readonly shadowSuffix: boolean | undefined;
  readonly lean: LeanRoutes | undefined;
}

/** Set on the VirtualServices that are made from routes of the Gateway API (`gateway`) and from Kubernetes Ingresses (`ingress`). */
const ROUTE_SEMANTICS = 'internal.istio.io/route-semantics';

/** Envoy refuses to load more; also a bound for what one object can make the proxies hold. */
const MAX_ROUTES = 10_000;

/** Key under which Istio's tools find the object that a route came from. */
export function configMetadata(origin: VirtualService['origin']): Route['metadata'] {
  return {
    filterMetadata: {
      istio: { config: `/apis/networking.istio.io/v1/namespaces/${origin.namespace}/virtual-service/${origin.name}` },
    },
  };
}

function routeName(route: HttpRoute, match: HttpMatch | undefined): string {
  return [route.name ?? '', match?.name ?? ''].filter((n) => n !== '').join('.');
}

function filterConfigs(route: HttpRoute): { readonly typedPerFilterConfig?: Readonly<Record<string, Any>> } {
  const fault = faultConfig(route.fault);
  const cors = corsConfig(route.corsPolicy);
  return fault === undefined && cors === undefined
    ? {}
    : {
        typedPerFilterConfig: {
          ...(cors !== undefined ? { 'envoy.filters.http.cors': cors } : {}),
          ...(fault !== undefined ? { 'envoy.filters.http.fault': fault } : {}),
        },
      };
}

function decorator(route: HttpRoute, input: VirtualServiceInput): string {
  const host = route.route?.[0]?.destination?.host ?? input.virtualService.spec.hosts?.[0] ?? '*';
  const known = input.hosts.get(host);
  const port =
    route.route?.[0]?.destination?.port?.number ??
    (known?.service?.ports.length === 1 ? known.service.ports[0]?.number : undefined) ??
    input.port;
  const uri = route.match?.[0]?.uri;
  const path = uri?.exact ?? (uri?.prefix !== undefined ? `${uri.prefix}*` : (uri?.regex ?? '/*'));
  return `${known?.host ?? host}:${port}${path}`;
}

function translate(
  route: HttpRoute,
  match: HttpMatch | undefined,
  input: VirtualServiceInput,
  segmentPrefixes: boolean,
): Route {
  const name = routeName(route, match);
  const envoyMatch = routeMatch(match, segmentPrefixes);
  const common: Route = {
    ...(name !== '' ? { name } : {}),
    match: envoyMatch,
    metadata: configMetadata(input.virtualService.origin),
    ...filterConfigs(route),
    ...(match?.statPrefix !== undefined && match.statPrefix !== '' ? { statPrefix: match.statPrefix } : {}),
  };
  if (route.redirect !== undefined) {
    return {
      ...common,
      redirect: redirectAction(route.redirect, input.port, input.overTls === true),
      ...headerMutations(route.headers),
    };
  }
  if (route.directResponse !== undefined) {
    return { ...common, directResponse: directResponseAction(route.directResponse), ...headerMutations(route.headers) };
  }
  const action = forwardAction(
    {
      route,
      hosts: input.hosts,
      dialledPort: input.port,
      defaultRetries: input.defaultRetries,
      shadowSuffix: input.shadowSuffix,
      lean: input.lean,
    },
    envoyMatch.pathSeparatedPrefix !== undefined,
  );
  return {
    ...common,
    ...action,
    ...(input.lean?.untraced !== true && { decorator: { operation: decorator(route, input) } }),
  };
}

function compute(input: VirtualServiceInput): readonly Route[] {
  const { virtualService } = input;
  const segmentPrefixes = ['gateway', 'ingress'].includes(virtualService.annotations[ROUTE_SEMANTICS] ?? '');
  const context: MatchContext = {
    gateways: input.gateways,
    port: input.port,
    sourceLabels: input.sourceLabels,
    sourceNamespace: input.sourceNamespace,
    segmentPrefixes,
  };
  const routes: Route[] = [];
  for (const route of virtualService.spec.http ?? []) {
    const matches = route.match !== undefined && route.match.length > 0 ? route.match : [undefined];
    for (const match of matches) {
      if (match !== undefined && !matchApplies(match, context)) {
        continue;
      }
      const translated = translate(route, match, input, segmentPrefixes);
      routes.push(translated);
      if ((translated.match !== undefined && matchesEverything(translated.match)) || routes.length >= MAX_ROUTES) {
        return routes;
      }
    }
  }
  return routes;
}

const usesLabels = new WeakMap<VirtualService, boolean>();

function readsSourceLabels(virtualService: VirtualService): boolean {
  let uses = usesLabels.get(virtualService);
  if (uses === undefined) {
    uses = (virtualService.spec.http ?? []).some((r) =>
      (r.match ?? []).some((m) => Object.keys(m.sourceLabels ?? {}).length > 0),
    );
    usesLabels.set(virtualService, uses);
  }
  return uses;
}

const usesNamespaces = new WeakMap<VirtualService, boolean>();

function readsSourceNamespace(virtualService: VirtualService): boolean {
  let uses = usesNamespaces.get(virtualService);
  if (uses === undefined) {
    uses = (virtualService.spec.http ?? []).some((r) => (r.match ?? []).some((m) => (m.sourceNamespace ?? '') !== ''));
    usesNamespaces.set(virtualService, uses);
  }
  return uses;
}

function* inputsOf(input: VirtualServiceInput): Generator<unknown> {
  yield input.virtualService;
  yield input.port;
  yield input.overTls === true;
  // The same for the namespace: clients of all namespaces share what does not look at it, and then it is encoded once.
  yield readsSourceNamespace(input.virtualService) ? input.sourceNamespace : undefined;
  yield input.gateways.join(' ');
  yield input.defaultRetries;
  yield input.shadowSuffix;
  yield input.lean?.untraced;
  yield input.lean?.keptInRoutes === undefined;
  // Labels matter to few VirtualServices; leaving them out lets all other workloads share the routes.
  yield readsSourceLabels(input.virtualService) ? JSON.stringify(Object.entries(input.sourceLabels).sort()) : undefined;
  for (const known of input.hosts.values()) {
    yield known.host;
    yield known.service;
    yield known.rule;
    yield input.lean?.keptInRoutes?.has(known.host);
  }
}

/** HTTP routes of one VirtualService, in its order. An empty list means that none of its routes can match here. */
export const virtualServiceRoutes = memoByInputs((input: VirtualServiceInput) => {
  const [first, ...rest] = inputsOf(input);
  return [first as object, ...rest];
}, compute);
