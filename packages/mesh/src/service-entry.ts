import type { MeshConfig, ServiceEntrySpec } from '@istio-ts/api';
import { autoAddressesOf } from './auto-addresses.ts';
import type { Config, Resolution, Service, ServicePort } from './model.ts';
import { parseProtocol } from './protocol.ts';
import { trafficDistribution } from './service.ts';
import { limitedVisibility, visibilityOf } from './visibility.ts';

const resolutions: Readonly<Record<string, Resolution>> = {
  NONE: 'passthrough',
  STATIC: 'static',
  DNS: 'dns',
  DNS_ROUND_ROBIN: 'dns-round-robin',
  DYNAMIC_DNS: 'dynamic-dns',
};

/** The services of a ServiceEntry: one for each of its hosts. `labels` are those of its namespace, asked for only where the mesh limits visibility by them. */
export function serviceEntryServices(
  entry: Config<ServiceEntrySpec>,
  mesh: MeshConfig,
  labels: () => Readonly<Record<string, string>>,
): readonly Service[] {
  const { origin, spec } = entry;
  const exported = visibilityOf(spec.exportTo, mesh.defaultServiceExportTo, origin.namespace);
  const exportTo =
    mesh.serviceEntryVisibility?.applyToSidecars === true
      ? limitedVisibility(exported, mesh, origin.namespace, labels())
      : exported;
  const ports = (spec.ports ?? []).map((port): ServicePort => {
    const target = port.targetPort && port.targetPort !== port.number ? port.targetPort : undefined;
    return {
      name: port.name ?? '',
      number: port.number ?? 0,
      protocol: parseProtocol(port.protocol ?? '') ?? 'Auto',
      ...(target !== undefined && { targetPort: target }),
    };
  });
  const resolution = resolutions[spec.resolution ?? 'NONE'] ?? 'passthrough';
  return (spec.hosts ?? []).map((host): Service => {
    const autoAddresses = autoAddressesOf(entry, host);
    return {
      origin,
      registry: 'External',
      hostname: host.toLowerCase(),
      namespace: origin.namespace,
      name: origin.name,
      addresses: spec.addresses ?? [],
      ...(autoAddresses.length > 0 && { autoAddresses }),
      ports,
      resolution,
      headless: false,
      meshExternal: spec.location !== 'MESH_INTERNAL',
      exportTo,
      labels: entry.labels,
      ...trafficDistribution(entry.annotations['networking.istio.io/traffic-distribution'] ?? ''),
      ...(spec.workloadSelector?.labels && { selector: spec.workloadSelector.labels }),
      subjectAltNames: spec.subjectAltNames ?? [],
      createdAt: entry.createdAt,
    };
  });
}
