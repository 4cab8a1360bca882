import type { Endpoint, ServiceEndpoints } from '@istio-ts/mesh/model';
import type { EndpointTarget } from '../cluster/index.ts';
import { buildLoadAssignment } from '../endpoint/index.ts';
import { memoByInputs } from '../memo.ts';
import type { XdsResource } from '../source.ts';
import { encodeResource } from './resource.ts';
import { patched, type Table } from './table.ts';
import { endpointType } from './type-urls.ts';

interface AssignmentInput {
  readonly target: EndpointTarget;
  readonly endpoints: ServiceEndpoints;
  readonly node: string | undefined;
  readonly clientNode: string | undefined;
}

const noEndpoints: ServiceEndpoints = { hostname: '', namespace: '', endpoints: [] };

/** Encoded endpoints of a cluster, shared by all proxies that see the same; each input of it stands in the key. */
const assignment = memoByInputs(
  ({ target, endpoints, node, clientNode }: AssignmentInput) => [
    endpoints,
    target.clusterName,
    target.input.port,
    target.input.subset,
    target.input.client && JSON.stringify(target.input.client),
    target.input.settings,
    target.input.failover,
    target.input.zones,
    target.input.workload && JSON.stringify(target.input.workload),
    target.input.cluster,
    node,
    clientNode,
  ],
  ({ target, endpoints, node, clientNode }): XdsResource =>
    encodeResource(endpointType, target.clusterName, {
      resource: buildLoadAssignment({ ...target.input, endpoints: endpoints.endpoints, node, clientNode }),
      origins: originsOf(endpoints.endpoints),
    }),
);

/** Endpoints come from their workloads; naming a few of them is enough to find the rest. */
function originsOf(endpoints: readonly Endpoint[]) {
  return endpoints.slice(0, 16).flatMap(({ workload }) => (workload ? [workload.origin] : []));
}

const nothing: ReadonlyMap<string, never> = new Map<string, never>();
const none: ReadonlySet<string> = new Set();

interface Targets {
  readonly byCluster: ReadonlyMap<string, EndpointTarget>;
  readonly byService: ReadonlyMap<string, readonly EndpointTarget[]>;
}

const arranged = memoByInputs(
  (targets: readonly EndpointTarget[]) => [targets],
  (targets): Targets => {
    const byCluster = new Map<string, EndpointTarget>();
    const byService = new Map<string, EndpointTarget[]>();
    for (const target of targets) {
      byCluster.set(target.clusterName, target);
      const list = byService.get(target.service);
      if (list) list.push(target);
      else byService.set(target.service, [target]);
    }
    return { byCluster, byService };
  },
);

/**
 * The endpoint resources of all clusters of a scope. A change of one service's endpoints costs the clusters of that service, whatever the number of
 * proxies that share the table; other targets cost those that are not in the table before.
 */
export class EndpointTable {
  readonly #targets: Targets;
  readonly #node: string | undefined;
  readonly #endpointsOf: (service: string) => ServiceEndpoints | undefined;
  readonly #stale = new Set<string>();
  #resources: Table;

  /** `last`: a table for the same node and place, of other targets. */
  constructor(
    targets: readonly EndpointTarget[],
    node: string | undefined,
    endpointsOf: (service: string) => ServiceEndpoints | undefined,
    last?: EndpointTable,
  ) {
    this.#targets = arranged(targets);
    this.#node = node;
    this.#endpointsOf = endpointsOf;
    const before = last === undefined ? nothing : last.#targets.byCluster;
    const stale = last === undefined ? none : last.#stale;
    const had = last === undefined ? nothing : last.#resources;
    const changes = new Map<string, XdsResource | undefined>();
    for (const [name, target] of this.#targets.byCluster) {
      if (before.get(name) === target && !stale.has(target.service)) continue;
      const resource = this.#build(target);
      if (had.get(name)?.version !== resource.version) changes.set(name, resource);
    }
    for (const name of before.keys()) if (!this.#targets.byCluster.has(name)) changes.set(name, undefined);
    this.#resources = patched(had, changes);
  }

  /** Endpoints of a service changed. Returns whether the table has clusters of it. */
  invalidate(service: string): boolean {
    if (!this.#targets.byService.has(service)) return false;
    this.#stale.add(service);
    return true;
  }

  /** The resources now; the same table until something changes. */
  current(): Table {
    if (this.#stale.size === 0) return this.#resources;
    const changes = new Map<string, XdsResource>();
    for (const service of this.#stale) {
      for (const target of this.#targets.byService.get(service) ?? []) {
        const after = this.#build(target);
        if (this.#resources.get(target.clusterName)?.version !== after.version) changes.set(target.clusterName, after);
      }
    }
    this.#stale.clear();
    this.#resources = patched(this.#resources, changes);
    return this.#resources;
  }

  dispose(): void {}

  #build(target: EndpointTarget): XdsResource {
    return assignment({
      target,
      endpoints: this.#endpointsOf(target.service) ?? noEndpoints,
      node: target.node === 'only' ? this.#node : undefined,
      clientNode: target.node === 'preferred' ? this.#node : undefined,
    });
  }
}
