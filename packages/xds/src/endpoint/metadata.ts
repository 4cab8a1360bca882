import type { LbEndpoint, Metadata } from '@istio-ts/envoy';
import type { Endpoint } from '@istio-ts/mesh/model';
import { endpointAddress } from './address.ts';

/**
 * Metadata of an endpoint:
 * `envoy.transport_socket_match` chooses mutual TLS for endpoints that have a proxy; `istio.peer` has flat keys for the client's telemetry, because
 * access log operators cannot look into lists or split texts; `istio.workload` is what Istio's own tools print.
 */
function endpointMetadata(endpoint: Endpoint): Metadata | undefined {
  const { workload } = endpoint;
  const filterMetadata: Record<string, Record<string, string>> = {};
  if (workload) {
    filterMetadata.istio = {
      workload: [
        workload.workloadName,
        workload.namespace,
        workload.canonicalName,
        workload.canonicalRevision,
        workload.clusterId,
      ].join(';'),
    };
    filterMetadata['istio.peer'] = {
      workload: workload.workloadName,
      namespace: workload.namespace,
      app: workload.labels.app ?? '',
      version: workload.labels.version ?? '',
      canonical_service: workload.canonicalName,
      canonical_revision: workload.canonicalRevision,
      cluster: workload.clusterId,
      ...(endpoint.identity !== undefined && { principal: endpoint.identity }),
    };
  }
  if (endpoint.tlsMode === 'istio') filterMetadata['envoy.transport_socket_match'] = { tlsMode: 'istio' };
  return Object.keys(filterMetadata).length === 0 ? undefined : { filterMetadata };
}

/** An endpoint as Envoy's load balancers see it. */
export function lbEndpoint(endpoint: Endpoint): LbEndpoint {
  const metadata = endpointMetadata(endpoint);
  return {
    endpoint: {
      address: endpointAddress(endpoint.address, endpoint.port),
      ...(endpoint.additionalAddresses && {
        additionalAddresses: endpoint.additionalAddresses.map((address) => ({
          address: endpointAddress(address, endpoint.port),
        })),
      }),
    },
    healthStatus: endpoint.health === 'healthy' ? 'HEALTHY' : 'UNHEALTHY',
    ...(metadata && { metadata }),
    loadBalancingWeight: endpoint.weight,
  };
}
