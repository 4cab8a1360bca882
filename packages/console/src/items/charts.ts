import type { Chart, Series } from '../api.ts';
import type { Prometheus } from '../sources/prometheus.ts';
import { quoted } from '../traffic/samples.ts';

/** A chart before its values are known. */
export interface ChartQuery {
  readonly title: string;
  readonly unit: Chart['unit'];
  readonly lines: readonly {
    readonly promql: string;
    /** Name of the line; undefined: the value of `by`. */
    readonly label?: string;
    readonly by?: string;
    /** Values are multiplied by this. */
    readonly scale?: number;
  }[];
}

/** Which series a chart is about: labels and their values. */
export type Selector = Readonly<Record<string, string>>;

const braces = (selector: Selector): string =>
  `{${Object.entries(selector)
    .map(([label, value]) => `${label}=${quoted(value)}`)
    .join(',')}}`;

/** Seconds between the points of a chart: about sixty points, and none closer than proxies are scraped. */
export const stepOf = (duration: number): number => Math.max(15, Math.ceil(duration / 60 / 5) * 5);

/** The charts of one direction of traffic. `step` in seconds. */
export function trafficCharts(
  direction: 'Inbound' | 'Outbound',
  selector: Selector,
  step: number,
): readonly ChartQuery[] {
  const window = `[${Math.max(60, step * 2)}s]`;
  const where = braces(selector);
  const requests = `rate(istio_requests_total${where}${window})`;
  const failed = `rate(istio_requests_total${braces(selector).slice(0, -1)},response_code=~"5.*|0"}${window})`;
  const failedCalls = `rate(istio_requests_total${braces(selector).slice(0, -1)},response_code!~"5.*|0",grpc_response_status=~"[1-9].*"}${window})`;
  const latency = (q: number): string =>
    `histogram_quantile(${q}, sum by (le) (rate(istio_request_duration_milliseconds_bucket${where}${window})))`;
  return [
    {
      title: `${direction} requests`,
      unit: 'rps',
      lines: [{ promql: `sum by (response_code) (${requests})`, by: 'response_code' }],
    },
    {
      title: `${direction} errors`,
      unit: 'percent',
      lines: [
        {
          promql: `(sum(${failed}) or vector(0)) / sum(${requests})`,
          label: 'HTTP',
          scale: 100,
        },
        { promql: `sum(${failedCalls}) / sum(${requests})`, label: 'gRPC', scale: 100 },
      ],
    },
    {
      title: `${direction} latency`,
      unit: 'ms',
      lines: [
        { promql: latency(0.5), label: 'p50' },
        { promql: latency(0.95), label: 'p95' },
        { promql: latency(0.99), label: 'p99' },
      ],
    },
    {
      title: `${direction} TCP bytes`,
      unit: 'Bps',
      lines: [
        { promql: `sum(rate(istio_tcp_sent_bytes_total${where}${window}))`, label: 'sent' },
        { promql: `sum(rate(istio_tcp_received_bytes_total${where}${window}))`, label: 'received' },
      ],
    },
  ];
}

/** Asks for the values. Charts without any are left out. Raises SourceError. Times in milliseconds, step in seconds. */
export async function drawCharts(
  prometheus: Prometheus,
  queries: readonly ChartQuery[],
  range: { readonly start: number; readonly end: number; readonly step: number },
): Promise<readonly Chart[]> {
  const charts = await Promise.all(
    queries.map(async ({ title, unit, lines }): Promise<Chart> => {
      const answers = await Promise.all(
        lines.map(async ({ promql, label, by, scale = 1 }) => {
          const found = await prometheus.range(promql, range.start, range.end, range.step);
          return found.map(
            ({ metric, points }): Series => ({
              label: label ?? metric[by ?? ''] ?? '',
              points: scale === 1 ? points : points.map(([time, value]) => [time, value * scale] as const),
            }),
          );
        }),
      );
      const series = answers.flat().filter(({ points }) => points.length > 0);
      return { title, unit, series: series.sort((a, b) => a.label.localeCompare(b.label, 'en', { numeric: true })) };
    }),
  );
  return charts.filter(({ series }) => series.length > 0);
}
