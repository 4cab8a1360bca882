import type { Endpoint, Resolution, Service, ServiceEndpoints, ServicePort, Visibility } from '@istio-ts/mesh';

/**
 * How `/debug/registryz` and `/debug/endpointz` show services: in the shape that Istio's own istiod gives them, since Kiali and other programs read it.
 * Names with capitals and the numbers of resolutions are part of that shape.
 */
export interface RegistryService {
  readonly Attributes: {
    readonly ServiceRegistry: 'Kubernetes' | 'External';
    readonly Name: string;
    readonly Namespace: string;
    readonly Labels: Readonly<Record<string, string>> | null;
    /** Keys are `*`, `.`, `~` or names of namespaces. */
    readonly ExportTo: Readonly<Record<string, Record<string, never>>>;
    readonly LabelSelectors: Readonly<Record<string, string>> | null;
  };
  readonly ports: readonly RegistryPort[];
  readonly creationTime: string;
  readonly hostname: string;
  readonly clusterVIPs: { readonly Addresses: Readonly<Record<string, readonly string[]>> | null };
  readonly defaultAddress: string;
  readonly autoAllocatedIPv4Address?: string;
  readonly autoAllocatedIPv6Address?: string;
  readonly Resolution: number;
  readonly MeshExternal: boolean;
}

export interface RegistryPort {
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
}

/** The endpoints of one port of one service. `svc` is `HOST:PORT-NAME`. */
export interface RegistryEndpoints {
  readonly svc: string;
  readonly ep: readonly {
    readonly endpoint: {
      readonly Family: 0 | 1;
      readonly Address: string;
      readonly Port: number;
      readonly ServicePort: RegistryPort;
      readonly UID: string;
      readonly Locality: { readonly Label: string; readonly ClusterID: string };
      readonly ServiceAccount: string;
      readonly Labels: Readonly<Record<string, string>>;
      readonly TLSMode: string;
      readonly HealthStatus: number;
      readonly LbWeight: number;
    };
    readonly service: RegistryService;
    readonly labels: Readonly<Record<string, string>>;
  }[];
}

const resolutions: Readonly<Record<Resolution, number>> = {
  static: 0,
  dns: 1,
  passthrough: 2,
  'dns-round-robin': 3,
  alias: 4,
  'dynamic-dns': 5,
};

const healthStatuses: Readonly<Record<Endpoint['health'], number>> = { healthy: 1, unhealthy: 2, draining: 3 };

function exportTo(visibility: Visibility, namespace: string): Readonly<Record<string, Record<string, never>>> {
  switch (visibility.kind) {
    case 'public':
      return { '*': {} };
    case 'none':
      return { '~': {} };
    case 'namespaces':
      return Object.fromEntries(visibility.namespaces.map((name) => [name === namespace ? '.' : name, {}]));
  }
}

const port = ({ name, number, protocol }: ServicePort): RegistryPort => ({
  name,
  port: number,
  // What no port declares has the name that Istio gives to protocols that it does not know.
  protocol: protocol === 'Auto' ? 'UnsupportedProtocol' : protocol,
});

/** A service as `/debug/registryz` shows it. */
export function registryService(service: Service, clusterId: string): RegistryService {
  const [first] = service.addresses;
  const ipv4 = service.autoAddresses?.find((address) => !address.includes(':'));
  const ipv6 = service.autoAddresses?.find((address) => address.includes(':'));
  return {
    Attributes: {
      ServiceRegistry: service.registry,
      Name: service.name,
      Namespace: service.namespace,
      Labels: service.labels,
      ExportTo: exportTo(service.exportTo, service.namespace),
      LabelSelectors: service.selector ?? null,
    },
    ports: service.ports.map(port),
    creationTime: new Date(service.createdAt).toISOString(),
    hostname: service.hostname,
    clusterVIPs: { Addresses: service.addresses.length === 0 ? null : { [clusterId]: service.addresses } },
    // A service without an address of its own is reached at whatever its clients dial.
    defaultAddress: first ?? '0.0.0.0',
    ...(ipv4 !== undefined && { autoAllocatedIPv4Address: ipv4 }),
    ...(ipv6 !== undefined && { autoAllocatedIPv6Address: ipv6 }),
    Resolution: resolutions[service.resolution],
    MeshExternal: service.meshExternal,
  };
}

/** The endpoints of a service as `/debug/endpointz` shows them, by ports. */
export function registryEndpoints(
  { endpoints }: ServiceEndpoints,
  service: Service,
  clusterId: string,
): RegistryEndpoints[] {
  const shown = registryService(service, clusterId);
  return service.ports.flatMap((servicePort) => {
    const ep = endpoints
      .filter((endpoint) => endpoint.servicePort === servicePort.name)
      .map((endpoint) => ({
        endpoint: {
          // Socket files are a family of their own.
          Family: endpoint.address.startsWith('unix:') ? (1 as const) : (0 as const),
          Address: endpoint.address,
          Port: endpoint.port,
          ServicePort: port(servicePort),
          UID: endpoint.workload === undefined ? '' : `${endpoint.workload.name}.${endpoint.workload.namespace}`,
          Locality: {
            Label: [endpoint.locality.region, endpoint.locality.zone, endpoint.locality.subzone]
              .filter((part) => part !== '')
              .join('/'),
            ClusterID: endpoint.clusterId,
          },
          ServiceAccount: endpoint.identity ?? '',
          Labels: endpoint.labels,
          TLSMode: endpoint.tlsMode,
          HealthStatus: healthStatuses[endpoint.health],
          LbWeight: endpoint.weight,
        },
        service: shown,
        labels: endpoint.labels,
      }));
    return ep.length === 0 ? [] : [{ svc: `${service.hostname}:${servicePort.name}`, ep }];
  });
}
