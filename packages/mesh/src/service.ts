import type { MeshConfig } from '@istio-ts/api';
import { spiffeIdentity } from './identity.ts';
import type { ServiceFacts } from './kubernetes/facts.ts';
import type { Service, ServicePort, TrafficDistribution } from './model.ts';
import { servicePortProtocol } from './protocol.ts';
import { visibilityOf } from './visibility.ts';

/** Key of a service in collections: several namespaces may define the same host. */
export const serviceKey = (service: { readonly namespace: string; readonly hostname: string }): string =>
  `${service.namespace}/${service.hostname}`;

/** A Kubernetes Service as the mesh sees it. */
export function kubernetesService(
  facts: ServiceFacts,
  mesh: MeshConfig,
  domainSuffix: string,
  trustDomain: string,
): Service {
  const { origin, annotations } = facts;
  const headless = facts.clusterIPs.includes('None');
  const alias = facts.type === 'ExternalName';
  const exportTo = annotations['networking.istio.io/exportTo']?.split(',').map((item) => item.trim());
  return {
    origin,
    registry: 'Kubernetes',
    hostname: `${origin.name}.${origin.namespace}.svc.${domainSuffix}`,
    namespace: origin.namespace,
    name: origin.name,
    addresses: headless || alias ? [] : facts.clusterIPs,
    ports: facts.ports.map((port): ServicePort => {
      const target = port.targetPort === port.port ? undefined : port.targetPort;
      return {
        name: port.name,
        number: port.port,
        protocol: servicePortProtocol({ ...port, number: port.port }),
        ...(target !== undefined && { targetPort: target }),
      };
    }),
    resolution: alias ? 'alias' : headless ? 'passthrough' : 'static',
    headless,
    ...(alias && { externalName: facts.externalName.toLowerCase() }),
    meshExternal: false,
    exportTo: visibilityOf(exportTo, mesh.defaultServiceExportTo, origin.namespace),
    labels: facts.labels,
    ...(Object.keys(facts.selector).length > 0 && { selector: facts.selector }),
    subjectAltNames: annotatedIdentities(annotations, origin.namespace, trustDomain),
    ...trafficDistribution(annotations['networking.istio.io/traffic-distribution'] ?? facts.trafficDistribution),
    ...(facts.internalTrafficPolicy === 'Local' && { internalTrafficPolicy: 'Local' }),
    createdAt: facts.createdAt,
  };
}

/** Kubernetes' field, or Istio's annotation of the same values in any case, which comes first (Istio documentation, `networking.istio.io/traffic-distribution`). */
export function trafficDistribution(value: string): { readonly trafficDistribution?: TrafficDistribution } {
  switch (value.toLowerCase()) {
    case 'preferclose':
    case 'prefersamezone':
      return { trafficDistribution: 'PreferSameZone' };
    case 'prefersamenode':
      return { trafficDistribution: 'PreferSameNode' };
    default:
      return {};
  }
}

function annotatedIdentities(
  annotations: Readonly<Record<string, string>>,
  namespace: string,
  trustDomain: string,
): readonly string[] {
  const names = (text: string | undefined): string[] =>
    (text ?? '')
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '');
  return [
    ...names(annotations['alpha.istio.io/kubernetes-serviceaccounts']).map((name) =>
      spiffeIdentity(trustDomain, namespace, name),
    ),
    ...names(annotations['alpha.istio.io/canonical-serviceaccounts']),
  ];
}
