import { isHttp } from '@istio-ts/mesh';
import type { ProxyScope, Service, VirtualService } from '@istio-ts/mesh/model';
import { type PatchSet, type ProxyPatches, patchesOf } from '../envoy-filter/patch-set.ts';
import { memoByInputs } from '../memo.ts';
import { mayTrace } from '../telemetry/tracing.ts';
import { followAlias } from './destination.ts';
import { mostSpecific } from './host-name.ts';
import { retryPolicy } from './retry.ts';
import type { Destination } from './spec.ts';

/**
 * What routes of a proxy need not say. Envoy builds the whole table anew for each change of a route, and most of what that costs is the retry policy,
 * which is the same for nearly all: it stands in the clusters instead.
 */
export interface LeanRoutes {
  /**
   * Hosts of services whose clusters have no retry policy; undefined where no cluster has one. Envoy 1.40 was seen to take a cluster's policy whatever
   * the route's says, and to take it for copies of requests too: a service to which any route has retries of its own, or copies requests, keeps its
   * policies in the routes.
   */
  readonly keptInRoutes: ReadonlySet<string> | undefined;
  /** Nobody asks for names of operations. */
  readonly untraced: boolean;
}

type LeanScope = Pick<
  ProxyScope,
  'mesh' | 'virtualServices' | 'serviceByHost' | 'envoyFilters' | 'tokenKeys' | 'proxy'
>;

/** Whether the cluster of a port carries the mesh's default retry policy. Clusters and routes have to agree on it. */
export function retriedByCluster(lean: LeanRoutes | undefined, service: Service | undefined, port: number): boolean {
  if (lean?.keptInRoutes === undefined || service === undefined || lean.keptInRoutes.has(service.hostname))
    return false;
  const ports = service.ports.filter(({ number, protocol }) => number === port && protocol !== 'UDP');
  return ports.length > 0 && ports.every(({ protocol }) => isHttp(protocol) || protocol === 'Auto');
}

const hostsWithOwn = new WeakMap<VirtualService, readonly string[]>();

/** Hosts as a VirtualService writes them to which it has retries of its own, or copies of requests. */
function ownRetries(virtualService: VirtualService): readonly string[] {
  let hosts = hostsWithOwn.get(virtualService);
  if (hosts === undefined) {
    const found: (Destination | undefined)[] = [];
    for (const { retries, route = [], mirror, mirrors = [] } of virtualService.spec.http ?? []) {
      if (retries !== undefined) for (const { destination } of route) found.push(destination);
      found.push(mirror, ...mirrors.map(({ destination }) => destination));
    }
    hosts = [...new Set(found.flatMap((destination) => destination?.host ?? []))];
    hostsWithOwn.set(virtualService, hosts);
  }
  return hosts;
}

const routedHosts = memoByInputs(
  ({ virtualServices, serviceByHost }: Pick<ProxyScope, 'virtualServices' | 'serviceByHost'>) => [
    virtualServices,
    serviceByHost,
  ],
  ({ virtualServices, serviceByHost }): readonly string[] => {
    const found = new Set<string>();
    for (const virtualService of virtualServices)
      for (const host of ownRetries(virtualService)) {
        const service = followAlias({ serviceByHost }, host) ?? mostSpecific(serviceByHost, host);
        found.add(service?.hostname ?? host);
      }
    return [...found];
  },
);

/** Services that proxies call themselves (authorization, access logs, traces): what a failure means there is said elsewhere. */
const calledByProxies = memoByInputs(
  ({ mesh, serviceByHost }: Pick<ProxyScope, 'mesh' | 'serviceByHost'>) => [mesh, serviceByHost],
  ({ mesh, serviceByHost }): readonly string[] =>
    (mesh.extensionProviders ?? []).flatMap((provider) =>
      Object.values(provider).flatMap((one: unknown) => {
        if (typeof one !== 'object' || one === null || !('service' in one) || typeof one.service !== 'string')
          return [];
        const host = one.service.slice(one.service.indexOf('/') + 1).toLowerCase();
        return followAlias({ serviceByHost }, host)?.hostname ?? host;
      }),
    ),
);

function keyServers({ tokenKeys, serviceByHost }: Pick<ProxyScope, 'tokenKeys' | 'serviceByHost'>): readonly string[] {
  return [...(tokenKeys?.values() ?? [])].flatMap(({ uri }) => {
    const host = uri === undefined ? undefined : URL.parse(uri)?.hostname;
    return host === undefined ? [] : (mostSpecific(serviceByHost, host)?.hostname ?? host);
  });
}

/** A time limit for each try is part of a route's own; endpoints of other priorities are chosen by routes only. */
const mayStandInClusters = memoByInputs(
  (mesh: ProxyScope['mesh']) => [mesh],
  ({ defaultHttpRetryPolicy }) => {
    const policy = retryPolicy(undefined, defaultHttpRetryPolicy);
    return policy !== undefined && policy.perTryTimeout === undefined && policy.retryPriority === undefined;
  },
);

const mentions = (patches: PatchSet | undefined, what: RegExp): boolean =>
  patches?.patches.some(({ value }) => what.test(JSON.stringify(value))) === true;

/** What patches of a proxy leave to the clusters: those of retries, of routes to clusters, and of how clusters speak HTTP expect policies in the routes. */
const leftByPatches = memoByInputs(
  (patches: ProxyPatches) => [patches],
  ({ routes, clusters, listeners }) => ({
    retries: !mentions(routes, /retry|cluster/i) && !mentions(clusters, /typed_?extension_?protocol_?options/i),
    traces: mentions(listeners, /tracing/i),
  }),
);

/** Equal answers are identical as long as anybody has them. */
const interned = new Map<string, WeakRef<LeanRoutes>>();
const forgotten = new FinalizationRegistry<string>((key) => {
  if (interned.get(key)?.deref() === undefined) interned.delete(key);
});

function intern(hosts: readonly string[] | undefined, untraced: boolean): LeanRoutes {
  const sorted = hosts && [...new Set(hosts)].sort();
  const key = `${untraced} ${sorted?.join(' ') ?? '-'}`;
  const known = interned.get(key)?.deref();
  if (known !== undefined) return known;
  const made: LeanRoutes = { keptInRoutes: sorted && new Set(sorted), untraced };
  interned.set(key, new WeakRef(made));
  forgotten.register(made, key);
  return made;
}

const NOT_LEAN = { true: intern(undefined, true), false: intern(undefined, false) } as const;

interface LeanInput extends Pick<ProxyScope, 'mesh' | 'virtualServices' | 'serviceByHost' | 'tokenKeys'> {
  readonly untraced: boolean;
}

const withClusterRetries = memoByInputs(
  (input: LeanInput) => [input.virtualServices, input.serviceByHost, input.mesh, input.tokenKeys, input.untraced],
  (input): LeanRoutes =>
    intern([...routedHosts(input), ...calledByProxies(input), ...keyServers(input)], input.untraced),
);

/**
 * What the routes of a proxy need not say; equal answers are identical. Whoever changes retries by EnvoyFilter finds policies where Istio has them, in
 * the routes.
 */
export function leanRoutes(scope: LeanScope): LeanRoutes {
  const { mesh, proxy, virtualServices, serviceByHost, tokenKeys } = scope;
  const left = leftByPatches(patchesOf(scope));
  const untraced = !mayTrace({ mesh, proxy }) && !left.traces;
  const possible =
    (proxy.type === 'sidecar' || proxy.type === 'router') &&
    proxy.lacks?.includes('cluster retries') !== true &&
    left.retries &&
    mayStandInClusters(mesh);
  return possible
    ? withClusterRetries({ virtualServices, serviceByHost, mesh, tokenKeys, untraced })
    : NOT_LEAN[`${untraced}`];
}
