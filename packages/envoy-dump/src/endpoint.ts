import { type EnvoyAddress, readAddress } from './address.ts';
import { at, type Json, list, text } from './json.ts';

export interface EndpointRow extends EnvoyAddress {
  readonly status: 'HEALTHY' | 'UNHEALTHY' | 'DRAINING' | 'DEGRADED';
  /** Undefined where Envoy was not asked: a configuration dump does not tell. */
  readonly outlier: 'OK' | 'FAILED' | undefined;
  readonly cluster: string;
  readonly locality: string;
}

const localityOf = (locality: unknown) =>
  ['region', 'zone', 'subZone']
    .map((key) => text(at(locality, key)))
    .filter(Boolean)
    .join('/');

function statusOf(eds: string, failed: boolean): EndpointRow['status'] {
  if (eds === 'UNHEALTHY' || eds === 'DRAINING' || eds === 'DEGRADED') return eds;
  return failed || eds === 'TIMEOUT' ? 'UNHEALTHY' : 'HEALTHY';
}

/** Reads Envoy's `/clusters?format=json`, with camelCase names: what Envoy knows of each endpoint now. */
export function endpointRows(clusters: Json): readonly EndpointRow[] {
  return list(clusters.clusterStatuses).flatMap((cluster) =>
    list(cluster.hostStatuses).map(
      (host): EndpointRow => ({
        ...readAddress(host.address),
        status: statusOf(
          text(at(host, 'healthStatus', 'edsHealthStatus')),
          at(host, 'healthStatus', 'failedActiveHealthCheck') === true,
        ),
        outlier: at(host, 'healthStatus', 'failedOutlierCheck') === true ? 'FAILED' : 'OK',
        cluster: text(cluster.name),
        locality: localityOf(host.locality),
      }),
    ),
  );
}

/** Reads the load assignments of a configuration dump: what Envoy was told. */
export function assignedEndpoints(assignments: readonly Json[]): readonly EndpointRow[] {
  return assignments.flatMap((assignment) =>
    list(assignment.endpoints).flatMap((group) =>
      list(group.lbEndpoints).map(
        (endpoint): EndpointRow => ({
          ...readAddress(at(endpoint, 'endpoint', 'address')),
          status: statusOf(text(endpoint.healthStatus), false),
          outlier: undefined,
          cluster: text(assignment.clusterName),
          locality: localityOf(group.locality),
        }),
      ),
    ),
  );
}
