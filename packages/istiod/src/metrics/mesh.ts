import type { MetricsRegistry } from '@istio-ts/metrics';
import { type Mesh, type MeshSources, meshGateway, visibilityOf, visibleTo } from '@istio-ts/mesh';
import type { Service, ServicePort, Visibility } from '@istio-ts/mesh/model';

type Counted = Pick<Mesh, 'services' | 'endpoints' | 'workloads' | 'virtualServices' | 'resolvedByProxy' | 'config'>;

/** Whether some namespace sees both. */
function meet(a: Visibility, b: Visibility): boolean {
  if (a.kind === 'none' || b.kind === 'none') return false;
  if (a.kind === 'public' || b.kind === 'public') return true;
  return a.namespaces.some((namespace) => visibleTo(b, namespace));
}

/** Things of a group that are seen together with an earlier one of the same group. */
function repeated<T extends { readonly visibility: Visibility }>(groups: Iterable<readonly T[]>): number {
  let count = 0;
  for (const group of groups)
    group.forEach((one, i) => {
      if (group.slice(0, i).some((earlier) => meet(one.visibility, earlier.visibility))) count++;
    });
  return count;
}

function grouped<T>(items: Iterable<readonly [string, T]>): Iterable<readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const [key, item] of items) {
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups.values();
}

/** Hosts that more than one VirtualService has for sidecars: only the oldest one's routes are in force. */
export function duplicateDomains(mesh: Counted): number {
  const fallback = mesh.config.current.defaultVirtualServiceExportTo;
  const hosts = mesh.virtualServices.current
    .filter(({ spec }) => (spec.gateways ?? []).length === 0 || spec.gateways?.includes(meshGateway))
    .flatMap(({ spec, origin }) => {
      const visibility = visibilityOf(spec.exportTo, fallback, origin.namespace);
      return (spec.hosts ?? []).map((host) => [host.toLowerCase(), { visibility }] as const);
    });
  return repeated(grouped(hosts));
}

/** Subsets that another rule for the same host has already. */
export function duplicateSubsets(sources: MeshSources): number {
  let count = 0;
  const rules = [...sources.configs('DestinationRule').values()].map(
    (rule) => [`${rule.origin.namespace}/${rule.spec.host}`, rule] as const,
  );
  for (const group of grouped(rules)) {
    const names = group.flatMap(({ spec }) => [...new Set((spec.subsets ?? []).map(({ name }) => name))]);
    count += names.length - new Set(names).size;
  }
  return count;
}

/** Ports for bytes without an address of their own: all but the oldest service on a port are out of reach by it. */
export function conflictingTcpListeners(mesh: Counted): number {
  const ports = [...mesh.services.values()]
    .filter((service) => service.addresses.length === 0 && !service.headless && service.resolution !== 'alias')
    .flatMap((service) =>
      service.ports
        .filter((port) => port.protocol === 'TCP' || port.protocol === 'Mongo' || port.protocol === 'Redis')
        .map((port) => [String(port.number), { visibility: service.exportTo }] as const),
    );
  return repeated(grouped(ports));
}

/** Hosts of ServiceEntries of one namespace that another one of them has with the same port. */
export function duplicateClusters(sources: MeshSources): number {
  const ports = [...sources.configs('ServiceEntry').values()].flatMap(({ origin, spec }) =>
    (spec.hosts ?? []).flatMap((host) =>
      (spec.ports ?? []).map(({ number }) => `${origin.namespace}/${host.toLowerCase()}:${number}`),
    ),
  );
  return ports.length - new Set(ports).size;
}

const portsOf = (service: Service): readonly ServicePort[] =>
  service.ports.filter(({ protocol }) => protocol !== 'UDP');

/** Clusters of services whose endpoints istiod sends and that have none. */
export function clustersWithoutInstances(mesh: Counted): number {
  let count = 0;
  for (const [key, service] of mesh.services.entries()) {
    if (service.resolution !== 'static') continue;
    const endpoints = mesh.endpoints.get(key)?.endpoints ?? [];
    for (const { name } of portsOf(service))
      if (!endpoints.some(({ servicePort, health }) => servicePort === name && health === 'healthy')) count++;
  }
  return count;
}

/** Clusters whose names proxies resolve and that have no name to resolve. */
export function dnsClustersWithoutEndpoints(mesh: Counted): number {
  let count = 0;
  for (const [key, service] of mesh.services.entries()) {
    if (service.resolution !== 'dns' && service.resolution !== 'dns-round-robin') continue;
    const endpoints = mesh.resolvedByProxy.get(key)?.endpoints ?? [];
    for (const { name } of portsOf(service)) if (!endpoints.some(({ servicePort }) => servicePort === name)) count++;
  }
  return count;
}

/** Endpoints that are there and not ready. */
export function endpointsNotReady(mesh: Counted): number {
  let count = 0;
  for (const { endpoints } of mesh.endpoints.values())
    count += new Set(endpoints.filter(({ health }) => health !== 'healthy').map(({ address }) => address)).size;
  return count;
}

/** Workloads with a proxy that are an endpoint of no service. */
export function workloadsWithoutService(mesh: Counted): number {
  const known = new Set(
    [...mesh.endpoints.values()].flatMap(({ endpoints }) =>
      endpoints.flatMap(({ address, additionalAddresses = [] }) => [address, ...additionalAddresses]),
    ),
  );
  return [...mesh.workloads.values()].filter(
    ({ tlsMode, addresses }) => tlsMode === 'istio' && addresses.length > 0 && !addresses.some((one) => known.has(one)),
  ).length;
}

/**
 * Metrics of what is in the mesh and of what in it contradicts itself, by the names that Istio's dashboards ask for (istio-surface.md, Metrics). They are
 * counted when somebody asks for the metrics.
 */
export function registerMeshMetrics(metrics: MetricsRegistry, mesh: Counted, sources: MeshSources): void {
  metrics.gauge('pilot_services', 'Total services known to pilot.', () => mesh.services.size);
  metrics.gauge(
    'pilot_virt_services',
    'Total virtual services known to pilot.',
    () => mesh.virtualServices.current.length,
  );
  metrics.gauge('pilot_vservice_dup_domain', 'Hosts that several virtual services have.', () => duplicateDomains(mesh));
  metrics.gauge('pilot_destrule_subsets', 'Subsets that several destination rules for one host have.', () =>
    duplicateSubsets(sources),
  );
  metrics.gauge(
    'pilot_conflict_outbound_listener_tcp_over_current_tcp',
    'Ports for TCP without an address that several services have.',
    () => conflictingTcpListeners(mesh),
  );
  metrics.gauge('pilot_duplicate_envoy_clusters', 'Hosts and ports that several service entries have.', () =>
    duplicateClusters(sources),
  );
  metrics.gauge('pilot_eds_no_instances', 'Clusters without endpoints.', () => clustersWithoutInstances(mesh));
  metrics.gauge('pilot_dns_cluster_without_endpoints', 'Clusters to be resolved by DNS without any name.', () =>
    dnsClustersWithoutEndpoints(mesh),
  );
  metrics.gauge('pilot_endpoint_not_ready', 'Endpoints that are not ready.', () => endpointsNotReady(mesh));
  metrics.gauge('pilot_no_ip', 'Workloads with a proxy that are an endpoint of no service.', () =>
    workloadsWithoutService(mesh),
  );
}
