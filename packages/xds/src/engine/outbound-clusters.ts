import type { ProxyScope, Service } from '@istio-ts/mesh/model';
import {
  type ClusterInputs,
  clusterRetries,
  outboundClusterInputs,
  outboundClusterNames,
  outboundInputsKey,
  outboundPlaceKey,
} from '../cluster/index.ts';
import { buildOutboundCluster, outboundClusterKey } from '../cluster/outbound.ts';
import { serviceKey } from '@istio-ts/mesh';
import { memoByInputs } from '../memo.ts';
import type { XdsResource } from '../source.ts';
import { encodeResource } from './resource.ts';
import { patched, type Table } from './table.ts';
import { clusterType } from './type-urls.ts';

/** Encoded clusters towards services; shared by all proxies for which the inputs are the same. */
const encodedOutbound = memoByInputs(outboundClusterKey, (input) => {
  const generated = buildOutboundCluster(input);
  return encodeResource(clusterType, generated.resource.name ?? '', generated);
});

interface Failure {
  readonly name: string;
  readonly error: unknown;
}

/** The parts of a scope that its clusters towards services are made of. */
type Seen = Pick<ProxyScope, 'services' | 'serviceByHost' | 'destinationRules' | 'autoMutualTls'> & {
  readonly inputs: ClusterInputs;
  readonly retries: ReturnType<typeof clusterRetries>;
  /** Everything that all of them depend on. */
  readonly common: readonly unknown[];
};

export interface OutboundClusters {
  readonly resources: Table;
  readonly failed: readonly Failure[];
  /** What they were made of, so that the next ones cost only what is different. */
  readonly seen: Seen;
}

interface Asked {
  readonly scope: ProxyScope;
  readonly inputs: ClusterInputs;
  /** Those of another state of the mesh, best of the one before. */
  readonly last: OutboundClusters | undefined;
}

function make(scope: ProxyScope, inputs: ClusterInputs, services: readonly Service[]) {
  const resources = new Map<string, XdsResource>();
  const failed: Failure[] = [];
  for (const [name, input] of outboundClusterInputs(scope, inputs, services)) {
    try {
      resources.set(name, encodedOutbound(input));
    } catch (error) {
      failed.push({ name, error });
    }
  }
  return { resources, failed };
}

const seenBy = (scope: ProxyScope, inputs: ClusterInputs): Seen => ({
  services: scope.services,
  serviceByHost: scope.serviceByHost,
  destinationRules: scope.destinationRules,
  autoMutualTls: scope.autoMutualTls,
  inputs,
  retries: clusterRetries(scope),
  common: [scope.mesh, ...outboundPlaceKey(scope, inputs)],
});

const same = (a: readonly unknown[], b: readonly unknown[]): boolean =>
  a.length === b.length && a.every((item, i) => item === b[i]);

/** Whether the clusters of a service that is in both may differ. */
function differs(service: Service, a: Seen, b: Seen): boolean {
  const { hostname } = service;
  if (service.resolution === 'alias') return a.serviceByHost !== b.serviceByHost;
  if (a.destinationRules.get(hostname) !== b.destinationRules.get(hostname)) return true;
  if (a.retries !== b.retries && a.retries?.keptInRoutes?.has(hostname) !== b.retries?.keptInRoutes?.has(hostname))
    return true;
  if (a.autoMutualTls !== b.autoMutualTls)
    for (const { number } of service.ports)
      if (a.autoMutualTls(hostname, number) !== b.autoMutualTls(hostname, number)) return true;
  if (a.inputs === b.inputs) return false;
  const key = serviceKey(service);
  return parts.some((part) => a.inputs[part] !== b.inputs[part] && a.inputs[part].get(key) !== b.inputs[part].get(key));
}

const parts = ['identities', 'mutualTlsPorts', 'resolvedByProxy'] as const satisfies readonly (keyof ClusterInputs)[];

/** Brings the clusters of one state to those of the next. */
function advance(last: OutboundClusters, seen: Seen, scope: ProxyScope): OutboundClusters {
  const before = last.seen;
  const gone = new Set(before.services);
  const touched: Service[] = [];
  for (const service of seen.services) {
    if (!gone.delete(service) || differs(service, before, seen)) touched.push(service);
  }
  const changes = new Map<string, XdsResource | undefined>();
  const had = new Set(before.services);
  for (const service of [...gone, ...touched.filter((one) => had.has(one))])
    for (const name of outboundClusterNames(service, before.destinationRules)) changes.set(name, undefined);
  const { resources, failed } = make(scope, seen.inputs, touched);
  for (const [name, resource] of resources) changes.set(name, resource);
  for (const [name, resource] of changes) if (last.resources.get(name) === resource) changes.delete(name);
  const still = last.failed.filter(({ name }) => !changes.has(name) && !failed.some((one) => one.name === name));
  return { resources: patched(last.resources, changes), failed: [...still, ...failed], seen };
}

/** All clusters towards services that a scope may see; one table for all classes of proxies that see the same. */
export const outboundClusters = memoByInputs(
  ({ scope, inputs }: Asked) => outboundInputsKey(scope, inputs),
  ({ scope, inputs, last }): OutboundClusters => {
    const seen = seenBy(scope, inputs);
    const comparable =
      last !== undefined &&
      same(last.seen.common, seen.common) &&
      (last.seen.retries?.keptInRoutes === undefined) === (seen.retries?.keptInRoutes === undefined);
    return comparable ? advance(last, seen, scope) : { ...make(scope, inputs, scope.services), seen };
  },
);
