import type { TelemetryMetrics } from '@istio-ts/api';

/** Istio's standard metrics, by their names in the Telemetry API and in Prometheus. */
export const STANDARD_METRICS = {
  REQUEST_COUNT: 'istio_requests_total',
  REQUEST_DURATION: 'istio_request_duration_milliseconds',
  REQUEST_SIZE: 'istio_request_bytes',
  RESPONSE_SIZE: 'istio_response_bytes',
  TCP_OPENED_CONNECTIONS: 'istio_tcp_connections_opened_total',
  TCP_CLOSED_CONNECTIONS: 'istio_tcp_connections_closed_total',
  TCP_SENT_BYTES: 'istio_tcp_sent_bytes_total',
  TCP_RECEIVED_BYTES: 'istio_tcp_received_bytes_total',
  GRPC_REQUEST_MESSAGES: 'istio_request_messages_total',
  GRPC_RESPONSE_MESSAGES: 'istio_response_messages_total',
} as const;

export type StandardMetric = keyof typeof STANDARD_METRICS;

const ALL = Object.keys(STANDARD_METRICS) as readonly StandardMetric[];

/** What happens to one label. */
export type TagOverride = { readonly kind: 'remove' } | { readonly kind: 'upsert'; readonly value: string };

/** What is said of one metric. */
export interface MetricOverride {
  readonly disabled: boolean;
  /** By name of the label. */
  readonly tags: ReadonlyMap<string, TagOverride>;
}

/** By name in the Telemetry API, or by that of a custom metric. Metrics of which nothing is said are not in it. */
export type MetricOverrides = ReadonlyMap<string, MetricOverride>;

type Override = NonNullable<TelemetryMetrics['overrides']>[number];

function metricsOf(match: Override['match']): readonly string[] {
  if (match?.customMetric !== undefined && match.customMetric !== '') {
    // The standard metrics may be named as they are in Prometheus.
    const standard = ALL.find((name) => STANDARD_METRICS[name] === match.customMetric);
    return [standard ?? match.customMetric];
  }
  const metric = match?.metric ?? 'ALL_METRICS';
  return metric === 'ALL_METRICS' ? ALL : [metric];
}

/** Overrides of one side of the traffic, in order: each adds to those before, and what it says again replaces what they said. */
export function metricOverrides(overrides: readonly Override[]): MetricOverrides {
  const result = new Map<string, MetricOverride>();
  for (const { match, disabled, tagOverrides } of overrides) {
    for (const name of metricsOf(match)) {
      const before = result.get(name);
      const tags = new Map(before?.tags);
      for (const [label, { operation, value }] of Object.entries(tagOverrides ?? {}))
        tags.set(label, operation === 'REMOVE' ? { kind: 'remove' } : { kind: 'upsert', value: value ?? '' });
      result.set(name, { disabled: disabled ?? before?.disabled ?? false, tags });
    }
  }
  return result;
}
