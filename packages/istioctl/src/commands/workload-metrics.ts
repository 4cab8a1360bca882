import { CliError } from '../cli/failure.ts';
import { durationMs } from '../cli/duration.ts';
import type { Session } from '../cli/session.ts';
import { table } from '../cli/table.ts';
import { type PodName, podName, runningPods } from '@istio-ts/envoy-dump/ask/pods';
import { podHttp } from '@istio-ts/envoy-dump/ask/pod-http';

const prometheusPort = 9090;
const prometheusLabels = ['app.kubernetes.io/name=prometheus', 'app=prometheus'];

/** One workload's traffic: requests and failures each second, latencies in milliseconds. Undefined where Prometheus knows nothing. */
export interface WorkloadMetrics {
  readonly workload: string;
  readonly total: number | undefined;
  readonly errors: number | undefined;
  readonly latencies: readonly (number | undefined)[];
}

const quantiles = [0.5, 0.9, 0.99];

/** The questions to Prometheus about `name[.namespace]`: requests as its own proxy counts them, over the last `seconds`. */
export function metricQueries(workload: string, seconds: number): readonly string[] {
  const [name = '', namespace] = workload.split('.', 2);
  const quoted = (value: string) => JSON.stringify(value);
  const labels = [
    `destination_workload=${quoted(name)}`,
    ...(namespace ? [`destination_workload_namespace=${quoted(namespace)}`] : []),
    'reporter="destination"',
  ].join(',');
  return [
    `sum(rate(istio_requests_total{${labels}}[${seconds}s]))`,
    `sum(rate(istio_requests_total{${labels},response_code=~"[45].."}[${seconds}s]))`,
    ...quantiles.map(
      (quantile) =>
        `histogram_quantile(${quantile}, sum(rate(istio_request_duration_milliseconds_bucket{${labels}}[${seconds}s])) by (le))`,
    ),
  ];
}

/** The number in an answer of `/api/v1/query`; undefined for an empty one or for what is no number. Raises CliError when Prometheus refused. */
export function resultOf(body: string): number | undefined {
  const answer = JSON.parse(body) as {
    readonly status?: string;
    readonly error?: string;
    readonly data?: { readonly result?: readonly { readonly value?: readonly [number, string] }[] };
  };
  if (answer.status !== 'success')
    throw new CliError(`Prometheus refused the question: ${answer.error ?? 'no reason given'}`);
  const value = Number(answer.data?.result?.[0]?.value?.[1]);
  return Number.isFinite(value) ? value : undefined;
}

async function prometheusPod(session: Session): Promise<PodName> {
  const { istioNamespace } = session.flags;
  for (const labels of prometheusLabels) {
    const [pod] = await runningPods(session.client(), istioNamespace, labels);
    if (pod) return podName(pod);
  }
  throw new CliError(
    `no running Prometheus in namespace ${istioNamespace} (labels ${prometheusLabels.join(' or ')}): the metrics come from it; apply an addon manifest of Prometheus there`,
  );
}

export function metricsTable(rows: readonly WorkloadMetrics[]): string {
  const rate = (value: number | undefined) => (value === undefined ? '-' : value.toFixed(3));
  const latency = (value: number | undefined) => (value === undefined ? '-' : `${Math.round(value)}ms`);
  return table(
    ['WORKLOAD', 'TOTAL RPS', 'ERROR RPS', 'P50 LATENCY', 'P90 LATENCY', 'P99 LATENCY'],
    rows.map(({ workload, total, errors, latencies }) => [
      workload,
      rate(total),
      // Requests without failures are no gap in what Prometheus knows.
      rate(errors ?? (total === undefined ? undefined : 0)),
      ...latencies.map(latency),
    ]),
    3,
  );
}

/** `istioctl experimental metrics WORKLOAD...`: traffic of workloads out of the mesh's Prometheus. */
export async function runMetrics(
  session: Session,
  flags: { readonly duration: string },
  workloads: readonly string[],
): Promise<number> {
  if (workloads.length === 0)
    throw new CliError('name workloads: istioctl experimental metrics WORKLOAD[.NAMESPACE]...');
  const seconds = Math.round(durationMs(flags.duration, '--duration') / 1000);
  if (seconds < 1) throw new CliError('--duration: give at least 1s');
  const pod = await prometheusPod(session);
  const rows: WorkloadMetrics[] = [];
  for (const workload of workloads) {
    const values: (number | undefined)[] = [];
    for (const query of metricQueries(workload, seconds))
      values.push(
        resultOf(
          await podHttp(session.client(), pod, prometheusPort, `/api/v1/query?query=${encodeURIComponent(query)}`),
        ),
      );
    const [total, errors, ...latencies] = values;
    rows.push({ workload, total, errors, latencies });
  }
  session.out(metricsTable(rows));
  return 0;
}
