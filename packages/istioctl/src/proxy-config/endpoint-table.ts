import { table } from '../cli/table.ts';
import { type EnvoyAddress, formatAddress, readAddress } from './address.ts';
import { at, type Json, list, text } from './json.ts';

export interface EndpointFilter {
  readonly address?: string;
  readonly port?: number;
  readonly cluster?: string;
  readonly status?: string;
}

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

/** Keeps the endpoints that the flags ask for. */
export function filterEndpoints(rows: readonly EndpointRow[], filter: EndpointFilter): readonly EndpointRow[] {
  return rows.filter(
    (row) =>
      (filter.address === undefined || row.host.toLowerCase() === filter.address.toLowerCase()) &&
      (filter.port === undefined || row.port === filter.port) &&
      (filter.cluster === undefined || row.cluster === filter.cluster) &&
      (filter.status === undefined || row.status === filter.status.toUpperCase()),
  );
}

/** The table of `istioctl proxy-config endpoint`; its third column is the locality where the outlier check is not known. */
export function endpointTable(rows: readonly EndpointRow[]): string {
  const told = rows.length > 0 && rows.every(({ outlier }) => outlier === undefined);
  const sorted = [...rows].sort(
    (a, b) =>
      a.host.localeCompare(b.host, undefined, { numeric: true }) ||
      (a.port ?? 0) - (b.port ?? 0) ||
      a.cluster.localeCompare(b.cluster),
  );
  return table(
    ['ENDPOINT', 'STATUS', told ? 'LOCALITY' : 'OUTLIER CHECK', 'CLUSTER'],
    sorted.map((row) => [formatAddress(row), row.status, told ? row.locality : (row.outlier ?? ''), row.cluster]),
  );
}
