import { table } from '../cli/table.ts';

type Json = Readonly<Record<string, unknown>>;
const list = (value: unknown): readonly Json[] => (Array.isArray(value) ? (value as readonly Json[]) : []);

export interface EndpointFilter {
  readonly address?: string;
  readonly port?: number;
  readonly cluster?: string;
  readonly status?: string;
}

export interface EndpointRow {
  readonly address: string;
  readonly port: number | undefined;
  readonly status: 'HEALTHY' | 'UNHEALTHY' | 'DRAINING' | 'DEGRADED';
  readonly outlier: 'OK' | 'FAILED';
  readonly cluster: string;
}

/** Reads Envoy's `/clusters?format=json`. */
export function endpointRows(clusters: Json): readonly EndpointRow[] {
  return list(clusters.cluster_statuses).flatMap((cluster) =>
    list(cluster.host_statuses).map((host): EndpointRow => {
      const address = (host.address ?? {}) as Json;
      const socket = (address.socket_address ?? {}) as Json;
      const pipe = (address.pipe as Json | undefined)?.path;
      const internal = (address.envoy_internal_address as Json | undefined)?.server_listener_name;
      const health = (host.health_status ?? {}) as Json;
      const eds = String(health.eds_health_status ?? 'HEALTHY');
      const status =
        eds === 'UNHEALTHY' || eds === 'DRAINING' || eds === 'DEGRADED'
          ? eds
          : health.failed_active_health_check
            ? 'UNHEALTHY'
            : 'HEALTHY';
      return {
        address: String(
          socket.address ??
            (pipe !== undefined ? `unix://${pipe}` : internal !== undefined ? `envoy://${internal}` : ''),
        ),
        port: socket.port_value === undefined ? undefined : Number(socket.port_value),
        status,
        outlier: health.failed_outlier_check ? 'FAILED' : 'OK',
        cluster: String(cluster.name),
      };
    }),
  );
}

export function filterEndpoints(rows: readonly EndpointRow[], filter: EndpointFilter): readonly EndpointRow[] {
  return rows.filter(
    (row) =>
      (filter.address === undefined || row.address === filter.address) &&
      (filter.port === undefined || row.port === filter.port) &&
      (filter.cluster === undefined || row.cluster === filter.cluster) &&
      (filter.status === undefined || row.status === filter.status.toUpperCase()),
  );
}

/** The table of `istioctl proxy-config endpoint`. */
export function endpointTable(rows: readonly EndpointRow[]): string {
  const sorted = [...rows].sort(
    (a, b) => a.address.localeCompare(b.address, undefined, { numeric: true }) || a.cluster.localeCompare(b.cluster),
  );
  return table(
    ['ENDPOINT', 'STATUS', 'OUTLIER CHECK', 'CLUSTER'],
    sorted.map((row) => [
      row.port === undefined ? row.address : `${row.address}:${row.port}`,
      row.status,
      row.outlier,
      row.cluster,
    ]),
  );
}
