import { formatAddress } from '@istio-ts/envoy-dump/address';
import type { EndpointRow } from '@istio-ts/envoy-dump/endpoint';
import { table } from '../cli/table.ts';

export interface EndpointFilter {
  readonly address?: string;
  readonly port?: number;
  readonly cluster?: string;
  readonly status?: string;
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
