import type { MeshConfig } from '@istio-ts/api';
import type { Cluster } from '@istio-ts/envoy';
import type { Service, ServicePort } from '@istio-ts/mesh/model';
import { serviceName } from './metadata.ts';
import type { Subset } from './traffic-policy.ts';

/** Name of an outbound cluster in Envoy's statistics, where the mesh has a pattern for it (MeshConfig reference, `outboundClusterStatName`). */
export function statName(
  mesh: MeshConfig,
  service: Service,
  port: ServicePort,
  subset: Subset | undefined,
): Pick<Cluster, 'altStatName'> {
  return filled(mesh.outboundClusterStatName, service, port, subset?.name ?? '');
}

/** The same for a cluster towards the workload's own application (`inboundClusterStatName`). */
export const inboundStatName = (
  mesh: MeshConfig,
  service: Service | undefined,
  port: ServicePort | undefined,
): Pick<Cluster, 'altStatName'> => (service && port ? filled(mesh.inboundClusterStatName, service, port, '') : {});

function filled(
  pattern: string | undefined,
  service: Service,
  port: ServicePort,
  subset: string,
): Pick<Cluster, 'altStatName'> {
  if (!pattern) return {};
  const short = service.registry === 'Kubernetes' ? `${service.name}.${service.namespace}` : serviceName(service);
  const values: Readonly<Record<string, string>> = {
    SERVICE: short,
    SERVICE_NAME: service.name,
    SERVICE_FQDN: service.hostname,
    SERVICE_PORT: String(port.number),
    SERVICE_PORT_NAME: port.name,
    TARGET_PORT: String(port.targetPort ?? port.number),
    SUBSET_NAME: subset,
  };
  // Envoy appends what it counts: the name ends with the separator that Istio's own patterns end with.
  return { altStatName: `${pattern.replace(/%([A-Z_]+)%/g, (all, name: string) => values[name] ?? all)};` };
}
