import type {
  Route,
  RouteAction,
  RouteAction_HashPolicy,
  RouteAction_RequestMirrorPolicy,
  WeightedCluster_ClusterWeight,
} from '@istio-ts/envoy';
import { protoDuration } from '../duration.ts';
import { type KnownHosts, type ResolvedDestination, resolveDestination } from './destination.ts';
import { hashPolicy, loadBalancerFor } from './hash.ts';
import { headerMutations, hostFromHeaders } from './headers.ts';
import { fraction } from './percent.ts';
import { type LeanRoutes, retriedByCluster } from './lean.ts';
import { retryPolicy } from './retry.ts';
import type { HttpDestination, HttpRoute, Retries, Rewrite } from './spec.ts';

/** What the action of a route is made of. */
export interface ActionInput {
  readonly route: HttpRoute;
  readonly hosts: KnownHosts;
  readonly dialledPort: number;
  readonly defaultRetries: Retries | undefined;
  /** Mirrored requests go to the host with `-shadow` behind its name (DISABLE_SHADOW_HOST_SUFFIX). */
  readonly shadowSuffix?: boolean;
  readonly lean: LeanRoutes | undefined;
}

/**
 * No time limit unless the user sets one (VirtualService reference, HTTPRoute.timeout: disabled by default). Only `timeout` is set: Envoy 1.40 was seen
 * not to enforce it on a route that also has `maxStreamDuration`, even an empty one. A gRPC client's own deadline needs no help from the proxy.
 */
export const timeouts = (timeout: string | undefined): Pick<RouteAction, 'timeout'> => ({
  timeout: protoDuration(timeout) ?? '0s',
});

function rewriteAction(rewrite: Rewrite | undefined, pathIsSegmentPrefix: boolean): Partial<RouteAction> {
  if (rewrite === undefined) {
    return {};
  }
  const regex = rewrite.uriRegexRewrite;
  const uri = rewrite.uri ?? '';
  // Gateway API: replacing the prefix /a of /a/b by / must give /b, not //b; Envoy handles this for segment prefixes.
  const prefix = pathIsSegmentPrefix && uri !== '/' ? uri.replace(/\/+$/, '') : uri;
  return {
    ...(regex?.match !== undefined && regex.match !== ''
      ? { regexRewrite: { pattern: { regex: regex.match }, substitution: regex.rewrite ?? '' } }
      : prefix !== ''
        ? { prefixRewrite: prefix }
        : {}),
    ...(rewrite.authority !== undefined && rewrite.authority !== '' ? { hostRewriteLiteral: rewrite.authority } : {}),
  };
}

function mirrors(input: ActionInput): readonly RouteAction_RequestMirrorPolicy[] {
  const { route } = input;
  const policy = (cluster: string, percent: number): RouteAction_RequestMirrorPolicy => ({
    cluster,
    runtimeFraction: { defaultValue: fraction(percent) },
    // Istio sends the mirrored request under its own host name, without Envoy's "-shadow", unless told otherwise.
    ...(input.shadowSuffix !== true && { disableShadowHostSuffixAppend: true }),
  });
  const result: RouteAction_RequestMirrorPolicy[] = [];
  if (route.mirror !== undefined) {
    const percent =
      route.mirrorPercentage === undefined ? (route.mirrorPercent ?? 100) : (route.mirrorPercentage.value ?? 0);
    if (percent > 0) {
      result.push(policy(resolveDestination(route.mirror, input.hosts, input.dialledPort).cluster, percent));
    }
  }
  for (const mirror of route.mirrors ?? []) {
    const percent = mirror.percentage === undefined ? 100 : (mirror.percentage.value ?? 0);
    if (percent > 0) {
      result.push(policy(resolveDestination(mirror.destination, input.hosts, input.dialledPort).cluster, percent));
    }
  }
  return result;
}

function hashPolicies(destinations: readonly ResolvedDestination[]): readonly RouteAction_HashPolicy[] {
  const policies: RouteAction_HashPolicy[] = [];
  for (const { known, port, subset } of destinations) {
    for (const policy of hashPolicy(loadBalancerFor(known?.rule, port, subset))) {
      if (!policies.some((p) => JSON.stringify(p) === JSON.stringify(policy))) {
        policies.push(policy);
      }
    }
  }
  return policies;
}

function clusterWeight(to: HttpDestination, cluster: string): WeightedCluster_ClusterWeight {
  const host = hostFromHeaders(to.headers);
  return {
    name: cluster,
    weight: to.weight ?? 0,
    ...headerMutations(to.headers),
    ...(host !== undefined ? { hostRewriteLiteral: host } : {}),
  };
}

/** Forwarding part of a route: clusters and weights, timeout, retries, rewrite, mirrors, hash policy; with header operations of a single destination. */
export function forwardAction(
  input: ActionInput,
  pathIsSegmentPrefix: boolean,
): Pick<Route, 'route'> & ReturnType<typeof headerMutations> {
  const { route } = input;
  const targets = (route.route ?? []).map((to) => ({
    to,
    resolved: resolveDestination(to.destination, input.hosts, input.dialledPort),
  }));
  // A destination with weight 0 gets nothing, but one destination alone gets everything whatever its weight says.
  const weighted = targets.length > 1 ? targets.filter(({ to }) => (to.weight ?? 0) > 0) : targets;
  const chosen = weighted.length > 0 ? weighted : targets.slice(0, 1);
  const [single] = chosen;
  const byClusters =
    route.retries === undefined &&
    chosen.every(({ resolved }) => retriedByCluster(input.lean, resolved.known?.service, resolved.port));
  const retries = byClusters ? undefined : retryPolicy(route.retries, input.defaultRetries);
  const mirrored = mirrors(input);
  const hash = hashPolicies(chosen.map((c) => c.resolved));
  const routeHost = hostFromHeaders(route.headers);
  const destinationHost = chosen.length === 1 ? hostFromHeaders(single?.to.headers) : undefined;
  const host = destinationHost ?? routeHost;
  const action: RouteAction = {
    ...(chosen.length === 1 && single !== undefined
      ? { cluster: single.resolved.cluster }
      : { weightedClusters: { clusters: chosen.map(({ to, resolved }) => clusterWeight(to, resolved.cluster)) } }),
    ...timeouts(route.timeout),
    ...(retries !== undefined ? { retryPolicy: retries } : {}),
    ...(host !== undefined ? { hostRewriteLiteral: host } : {}),
    ...rewriteAction(route.rewrite, pathIsSegmentPrefix),
    ...(mirrored.length > 0 ? { requestMirrorPolicies: mirrored } : {}),
    ...(hash.length > 0 ? { hashPolicy: hash } : {}),
  };
  return {
    route: action,
    ...mergeMutations(headerMutations(route.headers), chosen.length === 1 ? headerMutations(single?.to.headers) : {}),
  };
}

/** Joins the header operations of a route and of its only destination, the destination's after (so they win). */
function mergeMutations(
  a: ReturnType<typeof headerMutations>,
  b: ReturnType<typeof headerMutations>,
): ReturnType<typeof headerMutations> {
  const join = <T>(x: readonly T[] | undefined, y: readonly T[] | undefined): readonly T[] | undefined =>
    x === undefined ? y : y === undefined ? x : [...x, ...y];
  const requestHeadersToAdd = join(a.requestHeadersToAdd, b.requestHeadersToAdd);
  const requestHeadersToRemove = join(a.requestHeadersToRemove, b.requestHeadersToRemove);
  const responseHeadersToAdd = join(a.responseHeadersToAdd, b.responseHeadersToAdd);
  const responseHeadersToRemove = join(a.responseHeadersToRemove, b.responseHeadersToRemove);
  return {
    ...(requestHeadersToAdd !== undefined ? { requestHeadersToAdd } : {}),
    ...(requestHeadersToRemove !== undefined ? { requestHeadersToRemove } : {}),
    ...(responseHeadersToAdd !== undefined ? { responseHeadersToAdd } : {}),
    ...(responseHeadersToRemove !== undefined ? { responseHeadersToRemove } : {}),
  };
}
