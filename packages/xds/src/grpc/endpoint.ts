import type { ClusterLoadAssignment } from '@istio-ts/envoy';
import { encodeResource } from '../engine/resource.ts';
import { endpointType } from '../engine/type-urls.ts';
import { memoByInputs } from '../memo.ts';
import type { XdsResource } from '../source.ts';

/** Endpoints as gRPC clients take them: every locality with a weight (one without is ignored), and only addresses that are sockets. */
export const grpcEndpoints = memoByInputs(
  (resource: XdsResource) => [resource],
  (resource): XdsResource => {
    const { clusterName, endpoints = [] } = resource.json() as ClusterLoadAssignment;
    const localities = endpoints
      .map(({ locality, priority, loadBalancingWeight, lbEndpoints = [] }) => ({
        locality: locality ?? {},
        loadBalancingWeight: loadBalancingWeight ?? Math.max(1, lbEndpoints.length),
        ...(priority !== undefined && { priority }),
        lbEndpoints: lbEndpoints
          .filter(({ endpoint }) => endpoint?.address?.socketAddress !== undefined)
          .map(({ endpoint, healthStatus, loadBalancingWeight: weight }) => ({
            ...(endpoint?.address && { endpoint: { address: endpoint.address } }),
            ...(healthStatus !== undefined && { healthStatus }),
            ...(weight !== undefined && { loadBalancingWeight: weight }),
          })),
      }))
      .filter(({ lbEndpoints }) => lbEndpoints.length > 0);
    return encodeResource(endpointType, resource.name, {
      resource: { clusterName: clusterName ?? resource.name, endpoints: localities },
      origins: resource.origins,
    });
  },
);
