import type { Cell } from '@istio-ts/collections';
import type { ProxyScope } from '@istio-ts/mesh/model';
import {
  type Mesh,
  namesAuthorities,
  type NetworkPlace,
  type Problem,
  requestedNetworks,
  TRUST_BUNDLE,
} from '@istio-ts/mesh';
import { registryKey } from '@istio-ts/mesh/kubernetes/facts';
import {
  type ClusterInputs,
  clusterRetries,
  type EndpointTarget,
  endpointTargets,
  selfTarget,
} from '../cluster/index.ts';
import { withReachedServices } from '../cluster/reached-services.ts';
import { patchClusters } from '../envoy-filter/cluster.ts';
import { patchesOf } from '../envoy-filter/patch-set.ts';
import { extensionResources } from '../extension/resource.ts';
import { sniDnatTargets } from '../gateway/sni-dnat.ts';
import type { Generated } from '../generated.ts';
import { memoByInputs } from '../memo.ts';
import { adjustClusters } from '../proxy-settings/cluster.ts';
import { buildSecret, buildTrustBundle, missingSecret, SecretError, secretNames } from '../secret/index.ts';
import type { XdsResource } from '../source.ts';
import type { EndpointTable } from './endpoint-table.ts';
import type { Generators } from './generators.ts';
import { ReadTracker } from './reads.ts';
import { type OutboundClusters, outboundClusters } from './outbound-clusters.ts';
import { encodePacked } from './packed-resource.ts';
import { encodeResource, encodingMemo, keepUnchanged } from './resource.ts';
import { encodeRoutes } from './route-bytes.ts';
import { layered } from './table.ts';
import {
  clusterType,
  endpointType,
  listenerType,
  type ResourceType,
  routeType,
  extensionType,
  secretType,
  virtualHostType,
} from './type-urls.ts';
import { splitAll } from './virtual-hosts.ts';

/** A resource could not be made; the one before it stays. */
export interface GenerationError {
  readonly type: ResourceType;
  /** Name of the resource, '' where all of the type failed. */
  readonly name: string;
  readonly error: unknown;
}

/** What a class of proxies shares with other classes. */
export interface Shared {
  readonly mesh: Mesh;
  readonly generators: Generators;
  /** The table of these clusters' endpoints, shared by all classes that have the same targets and reach them in the same way. */
  readonly table: (
    targets: readonly EndpointTarget[],
    node: string | undefined,
    place: NetworkPlace,
    /** The one that the class had before, for the same place. */
    last: EndpointTable | undefined,
  ) => { readonly value: EndpointTable; release(): void };
  readonly report: (error: GenerationError) => void;
  /** Tells of Secrets that cannot be used; called with an empty list when they can be again. */
  readonly secretProblems: (problems: readonly Problem[]) => void;
}

type Resources = ReadonlyMap<string, XdsResource>;

/** What a class publishes: the types, and the route configurations without the hosts that are sent one by one. */
export const shells = 'route configurations without their hosts';
export type Published = ResourceType | typeof shells;

interface Publication {
  readonly inputs: readonly unknown[];
  readonly resources: Resources;
}

interface Splits {
  readonly scope: ProxyScope;
  readonly shells: Resources;
  /** Virtual hosts by route configuration. */
  readonly hosts: ReadonlyMap<string, Resources>;
}

const nothing: Resources = new Map();

const encodeListener = encodingMemo(listenerType, encodePacked);
const encodeRoute = encodingMemo(routeType, encodeRoutes);
const encodeCluster = encodingMemo(clusterType);

/** Targets for a client wherever it is: most meshes do not look at the place of the client at all, and then all clients share them. */
const unplacedTargets = memoByInputs(
  (scope: ProxyScope) => [
    scope.services,
    scope.destinationRules,
    scope.mesh,
    scope.proxy.type,
    scope.proxy.clusterId,
    scope.proxy.switches,
  ],
  (scope) => {
    const targets = endpointTargets(scope);
    return { targets, placed: targets.some((target) => target.input.client !== undefined) };
  },
);

const placedTargets = memoByInputs(
  ({ scope }: { readonly scope: ProxyScope }) => {
    const { proxy } = scope;
    return [
      scope.services,
      scope.destinationRules,
      scope.mesh,
      proxy.type,
      proxy.switches,
      JSON.stringify([proxy.locality, proxy.labels, proxy.network, proxy.clusterId]),
    ];
  },
  ({ scope }) => endpointTargets(scope),
);

const joinedTargets = memoByInputs(
  ({ targets, more }: { readonly targets: readonly EndpointTarget[]; readonly more: readonly EndpointTarget[] }) => [
    targets,
    more,
  ],
  ({ targets, more }) => [...targets, ...more],
);

/** The identical list for the same workload. */
const selfTargets = memoByInputs(
  (scope: ProxyScope) => [scope.inbound, scope.proxy],
  (scope): readonly EndpointTarget[] => {
    const target = selfTarget(scope);
    return target === undefined ? [] : [target];
  },
);

function serviceTargets(scope: ProxyScope): readonly EndpointTarget[] {
  const unplaced = unplacedTargets(scope);
  return unplaced.placed ? placedTargets({ scope }) : unplaced.targets;
}

function sharedTargets(scope: ProxyScope): readonly EndpointTarget[] {
  const targets = serviceTargets(withReachedServices(scope));
  // Clients of a gateway for other networks name services themselves: no route tells which.
  return [sniDnatTargets(scope, serviceTargets(scope)), selfTargets(scope)].reduce(
    (all, more) => (more.length === 0 ? all : joinedTargets({ targets: all, more })),
    targets,
  );
}

/**
 * The resources of one class of proxies (equal facts, and so equal scopes): computed when a type is first asked for, then published anew after each
 * change of what they depend on. What is published stays until `publish`, so that a proxy never sees halves of two states.
 */
export class ProxyClass {
  readonly #shared: Shared;
  readonly #scope: Cell<ProxyScope>;
  readonly #node: string | undefined;
  readonly #published = new Map<Published, Publication>();
  #splits: Splits | undefined;
  #ownClusters: Resources | undefined;
  #outbound: OutboundClusters | undefined;
  readonly #generated: {
    readonly listeners: ReadTracker<ProxyScope, ReturnType<Generators['listeners']>>;
    readonly routes: ReadTracker<ProxyScope, ReturnType<Generators['routes']>>;
    readonly ownClusters: ReadTracker<ProxyScope, ReturnType<Generators['ownClusters']>>;
  };
  #table:
    | {
        readonly targets: readonly EndpointTarget[];
        readonly lease: { readonly value: EndpointTable; release(): void };
      }
    | undefined;

  constructor(shared: Shared, scope: Cell<ProxyScope>, node: string | undefined) {
    this.#shared = shared;
    this.#scope = scope;
    this.#node = node;
    const { generators } = shared;
    this.#generated = {
      listeners: new ReadTracker(generators.listeners),
      routes: new ReadTracker(generators.routes),
      ownClusters: new ReadTracker(generators.ownClusters),
    };
  }

  /** The scope that the next publication is made from. */
  get scope(): ProxyScope {
    return this.#scope.current;
  }

  resources(type: Published): Resources {
    return this.#published.get(type)?.resources ?? this.#compute(type).resources;
  }

  /** The virtual hosts that are sent one by one, by route configuration, as last published. */
  virtualHosts(): ReadonlyMap<string, Resources> {
    this.resources(virtualHostType);
    return this.#splits?.hosts ?? new Map();
  }

  /** Publishes what has changed since the last time, and returns the types. */
  publish(): ReadonlySet<Published> {
    const changed = new Set<Published>();
    for (const [type, { resources }] of [...this.#published])
      if (this.#compute(type).resources !== resources) changed.add(type);
    return changed;
  }

  dispose(): void {
    this.#table?.lease.release();
    this.#table = undefined;
  }

  #compute(type: Published): Publication {
    const last = this.#published.get(type);
    const inputs = this.#inputs(type);
    if (last && inputs.every((input, i) => input === last.inputs[i])) return last;
    let resources: Resources;
    try {
      resources = this.#make(type, last?.resources);
    } catch (error) {
      this.#shared.report({ type: type === shells ? routeType : type, name: '', error });
      resources = last?.resources ?? nothing;
    }
    const published = { inputs, resources };
    this.#published.set(type, published);
    return published;
  }

  /** Everything that the resources of a type may depend on. */
  #inputs(type: Published): readonly unknown[] {
    const scope = this.#scope.current;
    const { mesh } = this.#shared;
    switch (type) {
      case clusterType:
        return [
          scope.services,
          scope.destinationRules,
          scope.mesh,
          scope.inbound,
          scope.gateways,
          scope.sidecar,
          scope.autoMutualTls,
          scope.trustDomain,
          scope.envoyFilters,
          scope.requestAuthentications,
          scope.tokenKeys,
          clusterRetries(scope),
          mesh.identities.snapshot(),
          mesh.mutualTlsPorts.snapshot(),
          mesh.resolvedByProxy.snapshot(),
        ];
      case endpointType:
        return [this.#endpointTable(scope).current()];
      case listenerType:
      case routeType:
      case virtualHostType:
      case shells:
        return [scope];
      case extensionType:
        return [scope, mesh.secrets.snapshot()];
      case secretType:
        return [
          ...[scope.gateways, scope.destinationRules, scope.sidecar, scope.mesh],
          ...[mesh.secrets.snapshot(), mesh.trustBundles.current],
        ];
    }
  }

  #make(type: Published, last: Resources | undefined): Resources {
    const scope = this.#scope.current;
    switch (type) {
      case clusterType:
        return this.#clusters(scope, last);
      case endpointType:
        return this.#endpointTable(scope).current();
      case listenerType:
        return keepUnchanged(
          last,
          this.#encodeAll(
            type,
            this.#generated.listeners.of(scope).map((generated) => [generated.resource.name ?? '', generated] as const),
            encodeListener,
            last,
          ),
        );
      case routeType:
        return keepUnchanged(last, this.#encodeAll(type, this.#generated.routes.of(scope), encodeRoute, last));
      case virtualHostType:
        return layered(last, [...this.#split(scope).hosts.values()]);
      case shells:
        return keepUnchanged(last, new Map(this.#split(scope).shells));
      case extensionType:
        return keepUnchanged(last, this.#extensions(scope));
      case secretType:
        return keepUnchanged(last, this.#secrets(scope));
    }
  }

  /** Routes with their hosts apart; made once for both types that come from it. */
  #split(scope: ProxyScope): Splits {
    const last = this.#splits;
    if (last?.scope === scope) return last;
    const split = splitAll(this.#generated.routes.of(scope), last?.hosts);
    let { shells, hosts } = split;
    for (const { name, error } of split.failed) {
      this.#shared.report({ type: routeType, name, error });
      const before = { shell: last?.shells.get(name), hosts: last?.hosts.get(name) };
      if (before.shell) shells = new Map(shells).set(name, before.shell);
      if (before.hosts) hosts = new Map(hosts).set(name, before.hosts);
    }
    this.#splits = { scope, shells, hosts };
    return this.#splits;
  }

  #encodeAll<T extends object>(
    type: ResourceType,
    generated: Iterable<readonly [string, Generated<T>]>,
    encode: (name: string, generated: Generated<object>) => XdsResource,
    last: Resources | undefined,
  ): Map<string, XdsResource> {
    const result = new Map<string, XdsResource>();
    for (const [name, one] of generated) {
      const resource = this.#attempt(type, name, last, () => encode(name, one));
      if (resource) result.set(name, resource);
    }
    return result;
  }

  /** One resource that cannot be made must not take the others with it. */
  #attempt(
    type: ResourceType,
    name: string,
    last: Resources | undefined,
    make: () => XdsResource,
  ): XdsResource | undefined {
    try {
      return make();
    } catch (error) {
      this.#shared.report({ type, name, error });
      return last?.get(name);
    }
  }

  #clusters(scope: ProxyScope, last: Resources | undefined): Resources {
    const { mesh } = this.#shared;
    const inputs: ClusterInputs = {
      identities: mesh.identities.snapshot(),
      mutualTlsPorts: mesh.mutualTlsPorts.snapshot(),
      resolvedByProxy: mesh.resolvedByProxy.snapshot(),
    };
    const outbound = outboundClusters({ scope: withReachedServices(scope), inputs, last: this.#outbound });
    this.#outbound = outbound;
    const generated = this.#generated.ownClusters.of(scope).map((one) => [one.resource.name ?? '', one] as const);
    const own = this.#encodeAll(clusterType, generated, encodeCluster, last);
    for (const { name, error } of outbound.failed) {
      this.#shared.report({ type: clusterType, name, error });
      const before = last?.get(name);
      if (before) own.set(name, before);
    }
    this.#ownClusters = keepUnchanged(this.#ownClusters, own);
    const tables = adjustClusters([this.#ownClusters, outbound.resources], scope);
    const patches = patchesOf(scope).clusters;
    return layered(last, patches ? patchClusters({ tables, patches, type: scope.proxy.type }) : tables);
  }

  /** What endpoints are made of has changed altogether: the next publication makes them anew. */
  forgetEndpoints(): void {
    this.#table?.lease.release();
    this.#table = undefined;
  }

  #endpointTable(scope: ProxyScope): EndpointTable {
    const targets = sharedTargets(scope);
    if (this.#table?.targets !== targets) {
      const { network, metadata } = scope.proxy;
      const place = { network, view: requestedNetworks(metadata) };
      const lease = this.#shared.table(targets, this.#node, place, this.#table?.lease.value);
      this.#table?.lease.release();
      this.#table = { targets, lease };
    }
    return this.#table.lease.value;
  }

  #extensions(scope: ProxyScope): Map<string, XdsResource> {
    const { secrets } = this.#shared.mesh;
    return extensionResources(scope, (namespace, name) => {
      const encoded = secrets.get(`${namespace}/${name}`)?.data[registryKey];
      return encoded === undefined ? undefined : Buffer.from(encoded, 'base64').toString('utf8');
    });
  }

  #secrets(scope: ProxyScope): Map<string, XdsResource> {
    const result = new Map<string, XdsResource>();
    if (scope.proxy.type !== 'router' && scope.proxy.type !== 'sidecar') return result;
    const bundle = namesAuthorities(scope.mesh) && buildTrustBundle(scope.mesh, this.#shared.mesh.trustBundles.current);
    if (bundle) result.set(TRUST_BUNDLE, encodeResource(secretType, TRUST_BUNDLE, bundle));
    const names = secretNames(scope);
    if (names.size === 0) return result;
    const secrets = this.#shared.mesh.secrets;
    const problems: Problem[] = [];
    for (const name of names) {
      try {
        const generated = buildSecret(name, scope.proxy.namespace, (namespace, secret) =>
          secrets.get(`${namespace}/${secret}`),
        );
        if (generated) result.set(name, encodeResource(secretType, name, generated));
        else problems.push(...missingSecret(name, scope.proxy.namespace));
      } catch (error) {
        if (!(error instanceof SecretError)) throw error;
        problems.push({ origin: error.origin, path: error.path, message: error.message, lastGoodStays: false });
      }
    }
    this.#shared.secretProblems(problems);
    return result;
  }
}
