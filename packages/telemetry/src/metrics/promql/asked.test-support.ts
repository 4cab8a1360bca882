import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { trafficCharts } from '@istio-ts/console/items/charts';
import { trafficQueries } from '@istio-ts/console/traffic/samples';

const dashboards = join(import.meta.dirname, '..', '..', '..', '..', '..', 'addons', 'dashboards');

/** Every query of the dashboards, over everything. */
export function dashboardQueries(): string[] {
  return readdirSync(dashboards).flatMap((file) => {
    const { panels } = JSON.parse(readFileSync(join(dashboards, file), 'utf8')) as {
      readonly panels: readonly { readonly targets?: readonly { readonly expr: string }[] }[];
    };
    return panels.flatMap(({ targets = [] }) =>
      targets.map(({ expr }) =>
        expr
          .replaceAll('$__rate_interval', '2m')
          .replaceAll('$reporter', '(destination|source)')
          .replace(/\$\{?\w+\}?/g, '.*'),
      ),
    );
  });
}

/** What the console asks for its graph, lists and charts. */
export function consoleQueries(): string[] {
  const selector = { destination_workload: 'cart-v1', destination_workload_namespace: 'shop', reporter: 'destination' };
  return [
    ...Object.values(trafficQueries(undefined, 60)),
    ...Object.values(trafficQueries(['shop', 'istio-system'], 300)),
    ...[
      ...trafficCharts('Inbound', selector, 30),
      ...trafficCharts('Outbound', { source_workload: 'loadgenerator' }, 60),
    ].flatMap(({ lines }) => lines.map(({ promql }) => promql)),
  ];
}

const peers =
  'source_workload_namespace,source_workload,source_canonical_service,source_canonical_revision,destination_service_namespace,destination_service,destination_service_name,destination_workload_namespace,destination_workload,destination_canonical_service,destination_canonical_revision,request_protocol,response_code,grpc_response_status,response_flags';

/** Forms of what Kiali 2 asks: for its graph, its health and its charts. */
export const kialiQueries: readonly string[] = [
  `sum(rate(istio_requests_total{reporter=~"destination|waypoint",destination_service_namespace="shop"}[60s])) by (${peers}) > 0`,
  `sum(rate(istio_requests_total{reporter="source",source_workload_namespace="shop",destination_workload_namespace!="shop"}[60s])) by (${peers}) > 0`,
  `(sum(rate(istio_requests_total{reporter="source",destination_workload_namespace="shop"}[60s])) by (${peers}) > 0) or (sum(rate(istio_requests_total{reporter="destination",destination_workload_namespace="shop"}[60s])) by (${peers}) > 0)`,
  'histogram_quantile(0.95, sum(rate(istio_request_duration_milliseconds_bucket{reporter="destination",destination_service_namespace="shop"}[60s])) by (le,destination_workload,request_protocol)) > 0',
  'sum(rate(istio_request_duration_milliseconds_sum{reporter="destination"}[60s])) by (destination_workload) / sum(rate(istio_request_duration_milliseconds_count{reporter="destination"}[60s])) by (destination_workload) > 0',
  'sum(rate(istio_tcp_sent_bytes_total{reporter=~"source|waypoint",source_workload_namespace="shop"}[60s])) by (source_workload,destination_service_name) > 0',
  'sum(rate(istio_requests_total{reporter="destination",destination_service_name="cart",connection_security_policy="mutual_tls"}[1m])) by (connection_security_policy)',
  'round(sum(rate(istio_requests_total{destination_service_name="cart"}[1m])), 0.001)',
  'round(histogram_quantile(0.99, sum(rate(istio_request_bytes_bucket{destination_service_name="cart"}[1m])) by (le)), 0.001)',
  'sum(rate(istio_requests_total{destination_service_name="cart",response_code=~"^0$|^[4-5]\\\\d\\\\d$"}[1m])) OR sum(rate(istio_requests_total{destination_service_name="cart",grpc_response_status=~"^[1-9]$|^1[0-6]$",response_code!~"^0$|^[4-5]\\\\d\\\\d$"}[1m]))',
];
