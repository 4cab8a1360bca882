import type { ServiceEntrySpec, WorkloadEntrySpec } from '@istio-ts/api';
import { spiffeIdentity } from './identity.ts';
import type { EndpointSliceFacts } from './kubernetes/facts.ts';
import { noLocality, parseLocality } from './locality.ts';
import type { Config, Endpoint, Locality, Service, ServicePort, Workload } from './model.ts';
import { type NetworkOf, networkLabel } from './networks.ts';
import { entryTlsMode } from './workload.ts';

/** What endpoints are made with, beside the objects themselves. */
export interface EndpointContext {
  readonly trustDomain: string;
  readonly clusterId: string;
  /** Network of an address that nothing else names one for. */
  readonly networkOf: NetworkOf;
  /** Whether PeerAuthentication turns mutual TLS off for a port of a workload: then no client may use it, whatever the workload could do. */
  readonly mutualTlsDisabled: (workload: Workload, port: number) => boolean;
}

/**
 * Endpoints of a Kubernetes Service. `podOf` and `workloadAt` find the workload behind an endpoint by pod name or by address. An endpoint that names a
 * pod which is not known (yet, or any more) is left out.
 */
export function sliceEndpoints(
  service: Service,
  slices: readonly EndpointSliceFacts[],
  publishNotReady: boolean,
  ipv6First: boolean,
  podOf: (namespace: string, name: string) => Workload | undefined,
  workloadAt: (address: string) => Workload | undefined,
  context: EndpointContext,
): readonly Endpoint[] {
  const result = new Map<string, Endpoint>();
  for (const slice of slices) {
    for (const endpoint of slice.endpoints) {
      const ready = endpoint.ready || publishNotReady;
      const health = ready ? 'healthy' : endpoint.serving && endpoint.terminating ? 'draining' : 'unhealthy';
      for (const address of endpoint.addresses) {
        const workload = endpoint.pod === '' ? workloadAt(address) : podOf(slice.namespace, endpoint.pod);
        // A slice may come before its pod. Whether such an endpoint takes mutual TLS is not known yet, so nobody may call it in plain text.
        if (endpoint.pod !== '' && !workload) continue;
        for (const port of slice.ports) {
          const key = `${port.name}/${address}/${port.port}`;
          // While Kubernetes moves an endpoint between slices it may be in two of them; the healthier one tells.
          if (result.get(key)?.health === 'healthy') continue;
          result.set(key, {
            ...workloadFields(workload, address, port.port, service.namespace, context),
            address,
            port: port.port,
            servicePort: port.name,
            health,
            locality: workload?.locality ?? { ...noLocality, zone: endpoint.zone },
            node: endpoint.node,
            ...(endpoint.hostname !== '' && { hostname: endpoint.hostname }),
          });
        }
      }
    }
  }
  return sorted(withBothFamilies([...result.values()], ipv6First));
}

/**
 * A pod with an IPv4 and an IPv6 address is in a slice of each: one endpoint with two addresses, as it would get twice its share otherwise. The
 * service's first family comes first.
 */
function withBothFamilies(endpoints: readonly Endpoint[], ipv6First: boolean): readonly Endpoint[] {
  if (
    !endpoints.some(({ address }) => address.includes(':')) ||
    !endpoints.some(({ address }) => !address.includes(':'))
  )
    return endpoints;
  const byPod = new Map<string, Endpoint>();
  for (const endpoint of endpoints) {
    const { workload, servicePort, port } = endpoint;
    const key = workload
      ? `${workload.origin.kind}/${workload.namespace}/${workload.name}/${servicePort}/${port}`
      : `${endpoint.address}/${servicePort}/${port}`;
    const other = byPod.get(key);
    if (!other) {
      byPod.set(key, endpoint);
      continue;
    }
    const [first, second] = endpoint.address.includes(':') === ipv6First ? [endpoint, other] : [other, endpoint];
    byPod.set(key, {
      ...first,
      additionalAddresses: [
        ...(first.additionalAddresses ?? []),
        second.address,
        ...(second.additionalAddresses ?? []),
      ],
    });
  }
  return [...byPod.values()];
}

/** Endpoints that a service's selector finds among workloads: of a ServiceEntry, or WorkloadEntries of a Kubernetes Service. */
export function selectedEndpoints(
  service: Service,
  workloads: readonly {
    readonly workload: Workload;
    readonly ready: boolean;
    readonly entry: WorkloadEntrySpec | undefined;
  }[],
  context: EndpointContext,
): readonly Endpoint[] {
  const result: Endpoint[] = [];
  for (const { workload, ready, entry } of workloads) {
    const [address, ...others] = workload.addresses;
    if (address === undefined) continue;
    const additionalAddresses = others.filter((other) => other.includes(':') !== address.includes(':'));
    for (const port of service.ports) {
      const number = address.startsWith('unix://') ? 0 : portOfWorkload(port, workload, entry);
      if (number === undefined) continue;
      result.push({
        ...workloadFields(workload, address, number, service.namespace, context),
        address,
        ...(additionalAddresses.length > 0 && { additionalAddresses }),
        port: number,
        servicePort: port.name,
        health: ready ? 'healthy' : 'unhealthy',
        weight: entry?.weight || 1,
      });
    }
  }
  return sorted(result);
}

/** The port on which a workload serves a service port; undefined where it names one that the workload does not have. */
export function portOfWorkload(
  port: ServicePort,
  workload: Pick<Workload, 'ports'>,
  entry?: WorkloadEntrySpec,
): number | undefined {
  const mapped = entry?.ports?.[port.name];
  if (mapped !== undefined) return mapped;
  if (typeof port.targetPort === 'string') return workload.ports[port.targetPort];
  return port.targetPort ?? port.number;
}

/** Endpoints that a ServiceEntry lists itself or, where it lists none and names are to be resolved, its host. */
export function listedEndpoints(
  service: Service,
  entry: Config<ServiceEntrySpec>,
  context: EndpointContext,
): readonly Endpoint[] {
  const resolvesNames = service.resolution === 'dns' || service.resolution === 'dns-round-robin';
  const listed = entry.spec.endpoints ?? [];
  const endpoints: readonly WorkloadEntrySpec[] =
    listed.length > 0 || !resolvesNames ? listed : [{ address: service.hostname }];
  const result: Endpoint[] = [];
  for (const endpoint of endpoints) {
    const address = endpoint.address || (resolvesNames ? service.hostname : '');
    if (address === '') continue;
    const labels = endpoint.labels ?? {};
    for (const port of service.ports) {
      const target = typeof port.targetPort === 'number' ? port.targetPort : port.number;
      result.push({
        address,
        port: address.startsWith('unix://') ? 0 : (endpoint.ports?.[port.name] ?? target),
        servicePort: port.name,
        health: 'healthy',
        labels,
        locality: localityOf(endpoint),
        // A range of a network may contain what is outside of the mesh: only what is said of such an endpoint itself counts.
        network: endpoint.network || labels[networkLabel] || (service.meshExternal ? '' : context.networkOf(address)),
        clusterId: context.clusterId,
        weight: endpoint.weight || 1,
        tlsMode: service.meshExternal ? 'disabled' : entryTlsMode(labels, endpoint.serviceAccount),
        ...(endpoint.serviceAccount && {
          identity: spiffeIdentity(context.trustDomain, service.namespace, endpoint.serviceAccount),
        }),
        node: '',
      });
    }
  }
  return sorted(result);
}

function localityOf(entry: WorkloadEntrySpec): Locality {
  return entry.locality ? parseLocality(entry.locality) : noLocality;
}

type WorkloadFields = Pick<
  Endpoint,
  'labels' | 'locality' | 'network' | 'clusterId' | 'weight' | 'tlsMode' | 'identity' | 'node' | 'workload'
>;

function workloadFields(
  workload: Workload | undefined,
  address: string,
  port: number,
  namespace: string,
  context: EndpointContext,
): WorkloadFields {
  if (!workload) {
    return {
      labels: {},
      locality: noLocality,
      network: context.networkOf(address),
      clusterId: context.clusterId,
      weight: 1,
      tlsMode: 'disabled',
      node: '',
    };
  }
  const account = workload.serviceAccount;
  return {
    labels: workload.labels,
    locality: workload.locality,
    network: workload.network,
    clusterId: workload.clusterId,
    weight: 1,
    tlsMode: context.mutualTlsDisabled(workload, port) ? 'disabled' : workload.tlsMode,
    ...(account !== '' && { identity: spiffeIdentity(context.trustDomain, workload.namespace || namespace, account) }),
    node: workload.node,
    workload,
  };
}

/** Endpoints in an order of their own, so that the order in which Kubernetes lists them changes nothing. */
function sorted(endpoints: Iterable<Endpoint>): readonly Endpoint[] {
  const key = (e: Endpoint): string => `${e.servicePort}/${e.address}/${e.port}`;
  return [...endpoints].sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0));
}

/** Names of a service's ports whose endpoints all take mutual TLS, sorted. */
export function mutualTlsPorts(endpoints: readonly Endpoint[]): readonly string[] {
  const ports = new Set(endpoints.map(({ servicePort }) => servicePort));
  for (const { servicePort, tlsMode } of endpoints) if (tlsMode !== 'istio') ports.delete(servicePort);
  return [...ports].sort();
}

/** The identities behind a service, sorted: what its certificates may say. */
export function identitiesOf(service: Service, endpoints: readonly Endpoint[]): readonly string[] {
  const identities = new Set(service.subjectAltNames);
  for (const { identity } of endpoints) if (identity !== undefined) identities.add(identity);
  return [...identities].sort();
}

/** A pod of a headless service, as DNS tells of it. */
export interface HeadlessPod {
  readonly addresses: readonly string[];
  /** Name within the service, '' where it has none. */
  readonly hostname: string;
}

/** The healthy pods behind the endpoints of a service, each once whatever the number of its ports. */
export function podsOf(endpoints: readonly Endpoint[]): readonly HeadlessPod[] {
  const pods = new Map<string, HeadlessPod>();
  for (const { address, additionalAddresses = [], hostname = '', health } of endpoints)
    if (health === 'healthy') pods.set(address, { addresses: [address, ...additionalAddresses], hostname });
  return [...pods.values()];
}
