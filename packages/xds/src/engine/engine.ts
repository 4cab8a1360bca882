import { type Cell, cell, structurallyEqual } from '@istio-ts/collections';
import {
  factsKey,
  type Lease,
  Leases,
  type Mesh,
  type Problem,
  type ProxyDescription,
  type ProxyFacts,
  proxyFacts,
  Scopes,
  inNetworkView,
  type NetworkGateways,
  type NetworkPlace,
  throughGateways,
} from '@istio-ts/mesh';
import { workloadOfProxy } from '@istio-ts/mesh/proxy';
import type { ProxyScope, ServiceEndpoints } from '@istio-ts/mesh/model';
import type { EndpointTarget } from '../cluster/index.ts';
import { memoByInputs } from '../memo.ts';
import { holdsSecret } from '../extension/resource.ts';
import type { ProxyConfigSource, ProxyNode, ProxyView, XdsResource } from '../source.ts';
import { EndpointTable } from './endpoint-table.ts';
import { defaultGenerators, type Generators } from './generators.ts';
import { type GenerationError, ProxyClass, type Published, type Shared, shells } from './proxy-class.ts';
import {
  allResourceTypes,
  type ResourceType,
  resourceTypeOf,
  extensionType,
  routeType,
  secretType,
  virtualHostType,
} from './type-urls.ts';
import { typeUrl } from '@istio-ts/envoy';

export interface EngineOptions {
  readonly generators?: Generators;
  /** Runs `work` soon; changes that come before it runs are published together. `setImmediate` by default: the first change goes out at once. */
  readonly schedule?: (work: () => void) => void;
  /** Hears of resources that could not be made; the ones before them stay in force. */
  readonly onError?: (error: GenerationError) => void;
  /** Hears of Secrets that a proxy needs and that hold nothing usable. */
  readonly onSecretProblem?: (problem: Problem) => void;
  /** Hears of classes and listeners that failed as a whole; by default it is thrown where the changes are published. */
  readonly onFailure?: (error: AggregateError) => void;
}

/** Numbers for metrics and debug pages. */
export interface EngineState {
  readonly proxies: number;
  /** Groups of proxies with the same configuration. */
  readonly classes: number;
  readonly endpointTables: number;
}

export interface Engine extends ProxyConfigSource {
  connect(node: ProxyNode): EngineView;
  state(): EngineState;
  /** Publishes what is pending now instead of soon. */
  flush(): void;
  close(): void;
}

export interface EngineView extends ProxyView {
  /** What the proxy may see: for explanations and debug pages. */
  scope(): ProxyScope;
}

/** The same endpoints for the same network, so that what is made of them is remembered. */
const reachable = memoByInputs(
  ({ endpoints, place, gateways }: ReachableInput) => [endpoints, place.network, place.view?.join(), gateways],
  ({ endpoints, place, gateways }) => throughGateways(inNetworkView(endpoints, place.view), place.network, gateways),
);

interface ReachableInput {
  readonly endpoints: ServiceEndpoints;
  readonly place: NetworkPlace;
  readonly gateways: NetworkGateways;
}

const nothing: ReadonlyMap<string, XdsResource> = new Map();

interface Member {
  notify(changed: ReadonlySet<Published>): void;
}

/** A class of proxies with those that are connected. */
class Group {
  readonly resources: ProxyClass;
  readonly members = new Set<Member>();
  readonly #end: () => void;

  constructor(resources: ProxyClass, end: () => void) {
    this.resources = resources;
    this.#end = end;
  }

  dispose(): void {
    this.#end();
    this.resources.dispose();
  }
}

/**
 * Turns the mesh into resources for every connected proxy, and keeps them up to date. A change reaches exactly the classes of proxies that depend
 * on it, and of those the types that it touches.
 */
export function createEngine(mesh: Mesh, options: EngineOptions = {}): Engine {
  const {
    generators = defaultGenerators,
    schedule = (work) => void setImmediate(work),
    onError = () => {},
    onSecretProblem = () => {},
    onFailure = (error) => {
      throw error;
    },
  } = options;
  const scopes = new Scopes(mesh);
  const groups = new Leases<Group>();
  const tables = new Leases<EndpointTable>();
  const tableNames = new WeakMap<readonly EndpointTarget[], string>();
  const stale = new Set<Group>();
  /** Proxies that are of another class now: all that they see may be different. */
  const moved = new Set<Member>();
  const knownProblems = new Map<string, Problem>();
  let tablesMade = 0;
  let proxies = 0;
  let scheduled = false;
  let closed = false;

  const flush = (): void => {
    scheduled = false;
    if (closed) return;
    const work = [...stale];
    const switched = [...moved];
    stale.clear();
    moved.clear();
    const failures: unknown[] = [];
    const tell = (member: Member, changed: ReadonlySet<Published>): void => {
      try {
        member.notify(changed);
      } catch (error) {
        failures.push(error);
      }
    };
    for (const group of work) {
      let changed: ReadonlySet<Published>;
      try {
        changed = group.resources.publish();
      } catch (error) {
        failures.push(error);
        continue;
      }
      if (changed.size > 0) for (const member of [...group.members]) tell(member, changed);
    }
    for (const member of switched) tell(member, allPublished);
    // One class or stream that fails must not keep the news from the others.
    if (failures.length > 0) onFailure(new AggregateError(failures, 'Configuration changes could not be published'));
  };
  const request = (): void => {
    if (scheduled) return;
    scheduled = true;
    schedule(flush);
  };
  const invalidate = (group: Group): void => {
    stale.add(group);
    request();
  };
  const invalidateAll = (): void => {
    for (const group of groups.values()) invalidate(group);
  };

  const shared: Shared = {
    mesh,
    generators,
    report: onError,
    table: (targets, node, place, last) => {
      const name = tableNames.get(targets) ?? String(tablesMade++);
      tableNames.set(targets, name);
      const local = targets.some((target) => target.node !== undefined) ? (node ?? '') : '';
      return tables.acquire(
        `${name} ${local} ${mesh.networkGateways.current.size > 0 ? place.network : ''} ${place.view?.join() ?? ''}`,
        () =>
          new EndpointTable(
            targets,
            node,
            (service) => {
              const endpoints = mesh.endpoints.get(service);
              return endpoints && reachable({ endpoints, place, gateways: mesh.networkGateways.current });
            },
            last,
          ),
      );
    },
    secretProblems: (problems) => {
      for (const problem of problems) {
        const key = `${problem.origin.namespace}/${problem.origin.name} ${problem.path}`;
        if (structurallyEqual(knownProblems.get(key), problem)) continue;
        knownProblems.set(key, problem);
        onSecretProblem(problem);
      }
    },
  };

  const unsubscribe = [
    // Rare enough that every class may look at all of its endpoints again, in a table of its own network.
    mesh.networkGateways.subscribe(() => {
      for (const group of groups.values()) group.resources.forgetEndpoints();
      invalidateAll();
    }),
    mesh.identities.subscribe(invalidateAll),
    mesh.mutualTlsPorts.subscribe(invalidateAll),
    mesh.resolvedByProxy.subscribe(invalidateAll),
    mesh.secrets.subscribe(invalidateAll),
    mesh.trustBundles.subscribe(invalidateAll),
    mesh.endpoints.subscribe((changes) => {
      let touched = false;
      for (const table of tables.values()) for (const { key } of changes) if (table.invalidate(key)) touched = true;
      if (touched) invalidateAll();
    }),
  ];

  const acquire = (facts: ProxyFacts, node: string): Lease<Group> =>
    groups.acquire(`${factsKey(facts)} ${localNode(facts, node)}`, () => {
      const scope = scopes.acquire(facts);
      const group: Group = new Group(
        new ProxyClass(shared, scope.value.result, localNode(facts, node) || undefined),
        () => {
          stop();
          scope.release();
          stale.delete(group);
        },
      );
      const stop = scope.value.result.subscribe(() => invalidate(group));
      return group;
    });

  /** The node matters only where a service keeps its traffic on it; otherwise proxies of all nodes are of one class. */
  const localServices = cell(
    mesh.graph,
    (fetch) =>
      fetch
        .value(mesh.servicesByAge)
        .some(
          (service) => service.internalTrafficPolicy === 'Local' || service.trafficDistribution === 'PreferSameNode',
        ),
    {
      name: 'whether any service is local to its node',
    },
  );
  const localNode = (facts: ProxyFacts, node: string): string =>
    localServices.current && facts.proxy.type === 'sidecar' ? node : '';

  const connect = (node: ProxyNode): EngineView => {
    const description = describe(node);
    const facts: Cell<{ readonly facts: ProxyFacts; readonly node: string }> = cell(
      mesh.graph,
      (fetch) => ({
        facts: proxyFacts(mesh, description, fetch),
        node: fetch.value(localServices) ? (workloadOfProxy(mesh, description, fetch)?.node ?? '') : '',
      }),
      { name: `facts of ${node.id}` },
    );
    const maySeeSecrets =
      (node.type === 'router' || node.type === 'sidecar') && namespaceOf(node.identity) === node.namespace;
    const listeners = new Set<(changed: ReadonlySet<string>) => void>();
    let ended = false;
    const split = node.incrementalRoutes === true;
    /** What of its class's publications the proxy gets as a type. */
    const publicationOf = (type: ResourceType): Published | undefined => {
      if (type === secretType) return maySeeSecrets ? type : undefined;
      if (type === virtualHostType) return split ? type : undefined;
      return type === routeType && split ? shells : type;
    };
    const typesSeen = allResourceTypes.flatMap((type) => {
      const published = publicationOf(type);
      return published === undefined ? [] : [[published, typeUrl(type)] as const];
    });
    const member: Member = {
      notify: (changed) => {
        const urls = new Set<string>();
        for (const [published, url] of typesSeen) if (changed.has(published)) urls.add(url);
        if (urls.size > 0) for (const listener of [...listeners]) listener(urls);
      },
    };
    let lease = acquire(facts.current.facts, facts.current.node);
    lease.value.members.add(member);
    const stop = facts.subscribe(() => {
      const previous = lease;
      lease = acquire(facts.current.facts, facts.current.node);
      if (lease.value === previous.value) {
        previous.release();
        return;
      }
      previous.value.members.delete(member);
      lease.value.members.add(member);
      previous.release();
      moved.add(member);
      request();
    });
    proxies++;
    return {
      resources: (url) => {
        const type = resourceTypeOf(url);
        const published = type && publicationOf(type);
        if (!published || ended) return nothing;
        const table = lease.value.resources.resources(published);
        return type === extensionType && !maySeeSecrets ? withoutSecrets(table) : table;
      },
      virtualHosts: () => (split && !ended ? lease.value.resources.virtualHosts() : undefined),
      onChange: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      scope: () => lease.value.resources.scope,
      close: () => {
        if (ended) return;
        ended = true;
        moved.delete(member);
        proxies--;
        stop();
        listeners.clear();
        lease.value.members.delete(member);
        lease.release();
        facts.dispose();
      },
    };
  };

  return {
    connect,
    flush,
    state: () => ({ proxies, classes: groups.size, endpointTables: tables.size }),
    close: () => {
      closed = true;
      for (const end of unsubscribe) end();
      localServices.dispose();
    },
  };
}

/** Extensions of which anybody may know. */
const withoutSecrets = memoByInputs(
  (table: ReadonlyMap<string, XdsResource>) => [table],
  (table): ReadonlyMap<string, XdsResource> =>
    [...table.values()].some(holdsSecret)
      ? new Map([...table].filter(([, resource]) => !holdsSecret(resource)))
      : table,
);

const allPublished: ReadonlySet<Published> = new Set([...allResourceTypes, shells]);

function describe(node: ProxyNode): ProxyDescription {
  return {
    type: node.type,
    name: node.podName,
    namespace: node.namespace,
    ipAddress: node.ipAddress,
    dnsDomain: node.dnsDomain,
    locality: node.locality,
    metadata: node.metadata,
    envoyVersion: node.envoyVersion,
  };
}

/** Namespace of a SPIFFE identity `spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT`. */
function namespaceOf(identity: string | undefined): string | undefined {
  return /^spiffe:\/\/[^/]+\/ns\/([^/]+)\/sa\/[^/]+$/.exec(identity ?? '')?.[1];
}
