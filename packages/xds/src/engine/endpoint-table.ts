import type { Endpoint, ServiceEndpoints } from '@istio-ts/mesh/model';
import type { EndpointTarget } from '../cluster/index.ts';
import { buildLoadAssignment } from '../endpoint/index.ts';
import { memoByInputs } from '../memo.ts';
import type { XdsResource } from '../source.ts';
import { encodeResource } from './resource.ts';
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

/**
 * The endpoint resources of all clusters of a scope. A change of one service's endpoints costs the clusters of that service and a copy of the
 * table's map, whatever the number of proxies that share the table.
 */
export class EndpointTable {
  readonly #byService = new Map<string, EndpointTarget[]>();
  readonly #node: string | undefined;
  readonly #endpointsOf: (service: string) => ServiceEndpoints | undefined;
  readonly #stale = new Set<string>();
  #resources: ReadonlyMap<string, XdsResource>;

  constructor(
    targets: readonly EndpointTarget[],
    node: string | undefined,
    endpointsOf: (service: string) => ServiceEndpoints | undefined,
  ) {
    this.#node = node;
    this.#endpointsOf = endpointsOf;
    const resources = new Map<string, XdsResource>();
    for (const target of targets) {
      const list = this.#byService.get(target.service);
      if (list) list.push(target);
      else this.#byService.set(target.service, [target]);
      resources.set(target.clusterName, this.#build(target));
    }
    this.#resources = resources;
  }

  /** Endpoints of a service changed. Returns whether the table has clusters of it. */
  invalidate(service: string): boolean {
    if (!this.#byService.has(service)) return false;
    this.#stale.add(service);
    return true;
  }

  /** The resources now; the same map until something changes. */
  current(): ReadonlyMap<string, XdsResource> {
    if (this.#stale.size === 0) return this.#resources;
    let next: Map<string, XdsResource> | undefined;
    for (const service of this.#stale) {
      for (const target of this.#byService.get(service) ?? []) {
        const before = this.#resources.get(target.clusterName);
        const after = this.#build(target);
        if (before?.version === after.version) continue;
        next ??= new Map(this.#resources);
        next.set(target.clusterName, after);
      }
    }
    this.#stale.clear();
    if (next) this.#resources = next;
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
