import type { ClusterLoadAssignment } from '@istio-ts/envoy';
import { selectorMatches } from '@istio-ts/mesh';
import type { Endpoint } from '@istio-ts/mesh/model';
import { type ClientPlace, type LocalitySettings, placeEndpoints } from './locality.ts';
import { lbEndpoint } from './metadata.ts';
import { placeByZone, type ZoneSettings } from './zone.ts';

/** All that the endpoints of one cluster depend on. */
export interface LoadAssignmentInput {
  readonly clusterName: string;
  readonly endpoints: readonly Endpoint[];
  /** Name of the service port. */
  readonly port: string;
  /** Labels of the subset; undefined for all endpoints. */
  readonly subset: Readonly<Record<string, string>> | undefined;
  /** Where the client is; undefined where that makes no difference. */
  readonly client: ClientPlace | undefined;
  readonly settings: LocalitySettings | undefined;
  /** Zones count instead of localities. Only with `client`. */
  readonly zones?: ZoneSettings | undefined;
  /** Only endpoints of this workload in this region (the workload of the client itself). */
  readonly workload?: { readonly name: string; readonly region: string } | undefined;
  /** The cluster has outlier detection, so that localities may fail over. */
  readonly failover: boolean;
  /** Only endpoints that take mutual TLS: who passes on bytes cannot tell whether a client would speak to others in the clear. */
  readonly mutualTlsOnly?: boolean;
  /** Also endpoints that are not ready: the proxy knows them and sends nothing to them. */
  readonly unhealthyToo?: boolean;
  /** Only endpoints of this cluster (the service is local to it). */
  readonly cluster?: string | undefined;
  /** Only endpoints on this node (internalTrafficPolicy: Local). */
  readonly node: string | undefined;
  /** The client's node, where endpoints on it are preferred (trafficDistribution: PreferSameNode). */
  readonly clientNode?: string | undefined;
}

/** The endpoints that a cluster sends to, by locality: healthy ones, and where the proxy is to know them those that are not. */
export function buildLoadAssignment(input: LoadAssignmentInput): ClusterLoadAssignment {
  const usable = mergeGateways(
    input.endpoints.filter(
      (endpoint) =>
        endpoint.servicePort === input.port &&
        (endpoint.health === 'healthy' || (input.unhealthyToo === true && endpoint.health === 'unhealthy')) &&
        selectorMatches(input.subset, endpoint.labels) &&
        (input.cluster === undefined || endpoint.clusterId === input.cluster) &&
        (input.workload === undefined || isOf(endpoint, input.workload)) &&
        (input.node === undefined || endpoint.node === input.node) &&
        (input.mutualTlsOnly !== true || endpoint.tlsMode === 'istio'),
    ),
  );
  const client = input.client && input.clientNode ? { ...input.client, node: input.clientNode } : input.client;
  const groups =
    input.zones && client
      ? placeByZone(usable, client, input.zones)
      : placeEndpoints(usable, client, input.settings, input.failover);
  return {
    clusterName: input.clusterName,
    ...(groups.length > 0 && {
      endpoints: groups.map((group) => ({
        ...(group.locality.region !== '' || group.locality.zone !== '' || group.locality.subzone !== ''
          ? {
              locality: {
                ...(group.locality.region !== '' && { region: group.locality.region }),
                ...(group.locality.zone !== '' && { zone: group.locality.zone }),
                ...(group.locality.subzone !== '' && { subZone: group.locality.subzone }),
              },
            }
          : { locality: {} }),
        lbEndpoints: group.endpoints.map((endpoint) => lbEndpoint(endpoint)),
        loadBalancingWeight: group.weight,
        ...(group.priority > 0 && { priority: group.priority }),
      })),
    }),
  };
}

const isOf = (endpoint: Endpoint, { name, region }: NonNullable<LoadAssignmentInput['workload']>): boolean =>
  endpoint.locality.region === region && endpoint.workload?.workloadName === name;

/** A gateway that stands for several workloads is one endpoint with the weight of all of them. */
function mergeGateways(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  if (!endpoints.some(({ behindGateway }) => behindGateway)) return endpoints;
  const merged = new Map<string, Endpoint>();
  endpoints.forEach((endpoint, index) => {
    const { address, port, locality } = endpoint;
    const key = endpoint.behindGateway ? JSON.stringify([address, port, locality]) : String(index);
    const known = merged.get(key);
    merged.set(key, known ? { ...known, weight: known.weight + endpoint.weight } : endpoint);
  });
  return [...merged.values()];
}
