import type {
  AccessLog,
  AccessLogFilter,
  AccessLoggersStatsConfig,
  Config_Gauge,
  Config_Tag,
  Scope,
} from '@istio-ts/envoy';
import type { ScopedProxy } from '@istio-ts/mesh/model';
import type { EffectiveMetrics, EffectiveTelemetry } from '@istio-ts/mesh/telemetry';
import { STANDARD_METRICS, type StandardMetric } from '@istio-ts/mesh/telemetry-metrics';
import { protoDuration } from '../duration.ts';
import { memoWhileHeld } from '../memo.ts';
import { typed } from '../typed.ts';
import { compileExpression } from './expression.ts';
import { httpLabels, type Label, type LabelsInput, type Reporter, tcpLabels } from './labels.ts';
import { format, tag } from './tag.ts';

/** A ceiling for the label sets of one proxy; more are not counted, which protects its memory. */
const MAX_COUNTERS = 5000;
const MAX_HISTOGRAMS = 2000;
/** The same for open TCP connections, of each of which two numbers are kept; bytes of further ones are counted when they end. */
const MAX_OPEN_CONNECTIONS = 1000;
/** How often open TCP connections are reported where no Telemetry says it (Telemetry reference, `reportingInterval`). */
const DEFAULT_REPORTING_INTERVAL = '5s';

interface MetricsInput extends LabelsInput {
  readonly metrics: EffectiveMetrics;
}

/**
 * All loggers of a proxy share one scope, so that the ceilings hold for the whole proxy. Series that nothing adds to any more are forgotten as the
 * bootstrap says.
 */
const SCOPE: Scope = {
  prefix: '',
  sharingName: 'istio',
  maxCounters: MAX_COUNTERS,
  maxHistograms: MAX_HISTOGRAMS,
  maxGauges: 2 * MAX_OPEN_CONNECTIONS,
  enableEviction: true,
};

function logger(
  metrics: Omit<AccessLoggersStatsConfig, 'statsScope'>,
  filter?: AccessLogFilter,
  statsScope = SCOPE,
): readonly AccessLog[] {
  const parts = Object.entries(metrics).filter(([, list]) => Array.isArray(list) && list.length > 0);
  if (parts.length === 0) return [];
  return [
    {
      name: 'envoy.access_loggers.stats',
      ...(filter !== undefined && { filter }),
      typedConfig: typed('envoy.extensions.access_loggers.stats.v3.Config', {
        statsScope,
        ...Object.fromEntries(parts),
      }),
    },
  ];
}

/** Older Envoys have no such access logger, or one that refuses this; they serve without these metrics. */
const isTooOld = ({ lacks }: ScopedProxy): boolean => lacks?.includes('metrics') === true;

const LABEL = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** The labels of one metric with what a Telemetry changes of them; undefined where the metric is disabled. A label whose expression is wrong stays as it was. */
function tagsOf(
  metric: StandardMetric,
  labels: readonly Label[],
  { metrics, proxy }: MetricsInput,
): readonly Config_Tag[] | undefined {
  const override = metrics.overrides.get(metric);
  if (override?.disabled === true) return undefined;
  const result = new Map(labels);
  for (const [name, change] of override?.tags ?? []) {
    if (!LABEL.test(name)) continue;
    if (change.kind === 'remove') {
      result.delete(name);
      continue;
    }
    const compiled = compileExpression(change.value, proxy);
    if (compiled.kind === 'source') result.set(name, compiled.source);
  }
  return [...result].map(([name, source]) => tag(name, source));
}

/** Makes the entries of those of `metrics` that are not disabled. */
const entries = <T>(
  metrics: readonly StandardMetric[],
  labels: readonly Label[],
  input: MetricsInput,
  make: (stat: { readonly name: string; readonly tags: readonly Config_Tag[] }, metric: StandardMetric) => T,
): readonly T[] =>
  metrics.flatMap((metric) => {
    const tags = tagsOf(metric, labels, input);
    return tags === undefined ? [] : [make({ name: STANDARD_METRICS[metric], tags }, metric)];
  });

const inputsOf = ({ proxy, side, mutualTls, without, metrics }: MetricsInput) =>
  [proxy, metrics, side, mutualTls, without] as const;

const HISTOGRAMS = {
  REQUEST_DURATION: { unit: 'Milliseconds', valueFormat: '%DURATION%' },
  REQUEST_SIZE: { unit: 'Bytes', valueFormat: '%DOWNSTREAM_WIRE_BYTES_RECEIVED%' },
  RESPONSE_SIZE: { unit: 'Bytes', valueFormat: '%DOWNSTREAM_WIRE_BYTES_SENT%' },
} as const;

/**
 * Messages of a gRPC stream, counted by the filter grpc_stats as `REQUESTS,RESPONSES`. Nothing in Envoy turns that text into a number, so it is a label of
 * the streams, and the agent multiplies.
 */
const MESSAGES = ['GRPC_REQUEST_MESSAGES', 'GRPC_RESPONSE_MESSAGES'] as const;
const messageCounts = tag('messages', format('%FILTER_STATE(envoy.filters.http.grpc_stats:PLAIN)%'));
/** A ceiling for the sets of labels and counts. They are not forgotten: a sum that falls would look like a restart of the proxy. */
const MESSAGE_SCOPE: Scope = { prefix: '', sharingName: 'istio-messages', maxCounters: 2000 };
const isGrpc: AccessLogFilter = {
  headerFilter: { header: { name: 'content-type', stringMatch: { prefix: 'application/grpc' } } },
};

const httpLoggers = memoWhileHeld(inputsOf, (input): readonly AccessLog[] => {
  if (isTooOld(input.proxy)) return [];
  const labels = httpLabels(input);
  return [
    ...logger({
      counters: entries(['REQUEST_COUNT'], labels, input, (stat) => ({ stat, valueFixed: 1 })),
      histograms: entries(keysOf(HISTOGRAMS), labels, input, (stat, metric) => ({ stat, ...at(HISTOGRAMS, metric) })),
    }),
    ...logger(
      {
        counters: entries(MESSAGES, labels, input, ({ name, tags }) => ({
          stat: { name, tags: [...tags, messageCounts] },
          valueFixed: 1,
        })),
      },
      isGrpc,
      MESSAGE_SCOPE,
    ),
  ];
});

const keysOf = <K extends string>(table: Readonly<Record<K, unknown>>): readonly K[] => Object.keys(table) as K[];
const at = <V>(table: Readonly<Record<string, V>>, key: string): V => table[key] as V;

const onType = (...types: NonNullable<NonNullable<AccessLogFilter['logTypeFilter']>['types']>): AccessLogFilter => ({
  logTypeFilter: { types },
});

const BYTES = { TCP_SENT_BYTES: '%BYTES_SENT%', TCP_RECEIVED_BYTES: '%BYTES_RECEIVED%' } as const;

/**
 * What has gone through a connection that is still open. Envoy's numbers are those since the connection began, so they are kept per connection and
 * set back when it ends, when the counter gets the whole; the agent adds them to the counter in what it shows. Of a connection that ends before it was
 * ever reported nothing is kept.
 */
function openBytes(input: MetricsInput, labels: readonly Label[]): readonly AccessLog[] {
  const gauges = (logType: 'TcpPeriodic' | 'TcpConnectionEnd', value: (format: string) => string) =>
    entries(keysOf(BYTES), labels, input, ({ name, tags }, metric): Config_Gauge => {
      const stat = { name: `${name}_open`, tags: [...tags, tag('connection', format('%CONNECTION_ID%'))] };
      return { stat, valueFormat: value(at(BYTES, metric)), set: { logType } };
    });
  const wasReported: AccessLogFilter = {
    durationFilter: {
      comparison: {
        op: 'GE',
        value: {
          defaultValue: durationMs(intervalOf(input.metrics)),
          runtimeKey: 'istio.metrics.tcp_reporting_interval_ms',
        },
      },
    },
  };
  return [
    ...logger({ gauges: gauges('TcpPeriodic', (format) => format) }, onType('TcpPeriodic')),
    ...logger(
      { gauges: gauges('TcpConnectionEnd', () => '%CEL(0)%') },
      { andFilter: { filters: [onType('TcpConnectionEnd'), wasReported] } },
    ),
  ];
}

const intervalOf = ({ reportingInterval }: EffectiveMetrics): string =>
  protoDuration(reportingInterval) ?? DEFAULT_REPORTING_INTERVAL;

/** Whole milliseconds of a duration in proto JSON. */
const durationMs = (text: string): number => Math.floor(Number.parseFloat(text) * 1000);

const tcpLoggers = memoWhileHeld(inputsOf, (input): readonly AccessLog[] => {
  if (isTooOld(input.proxy)) return [];
  const labels = tcpLabels(input);
  const count = (metric: StandardMetric) =>
    entries([metric], labels, input, (stat) => ({ stat, valueFixed: 1 }) as const);
  return [
    ...logger({ counters: count('TCP_OPENED_CONNECTIONS') }, onType('TcpUpstreamConnected')),
    ...openBytes(input, labels),
    ...logger(
      {
        counters: [
          ...count('TCP_CLOSED_CONNECTIONS'),
          ...entries(keysOf(BYTES), labels, input, (stat, metric) => ({ stat, valueFormat: at(BYTES, metric) })),
        ],
      },
      onType('TcpConnectionEnd'),
    ),
  ];
});

/** Where metrics are made: a proxy with what is said of its telemetry. */
interface Place {
  readonly proxy: ScopedProxy;
  readonly telemetry: EffectiveTelemetry;
}

/** What is said for Prometheus; other providers take no metrics from proxies. */
const forPrometheus = ({ telemetry }: Place, side: 'source' | 'destination'): EffectiveMetrics | undefined =>
  (side === 'source' ? telemetry.client : telemetry.server).metrics.find(
    ({ provider }) => provider.prometheus !== undefined,
  );

function input(place: Place, reporter: Reporter): MetricsInput | undefined {
  const metrics = forPrometheus(place, reporter.side);
  if (metrics === undefined) return undefined;
  return {
    proxy: place.proxy,
    metrics,
    side: reporter.side,
    mutualTls: reporter.side === 'destination' && reporter.mutualTls,
    without: reporter.side === 'source' ? reporter.without : undefined,
  };
}

/** Access loggers that count HTTP and gRPC requests as Istio's standard metrics. */
export function httpMetrics(place: Place, reporter: Reporter): readonly AccessLog[] {
  const given = input(place, reporter);
  return given === undefined ? [] : httpLoggers(given);
}

/** Access loggers that count TCP connections and bytes as Istio's standard metrics. */
export function tcpMetrics(place: Place, reporter: Reporter): readonly AccessLog[] {
  const given = input(place, reporter);
  return given === undefined ? [] : tcpLoggers(given);
}

/** How often open TCP connections are reported; undefined where nobody wants metrics. */
export function reportingInterval(place: Place, side: 'source' | 'destination'): string | undefined {
  const metrics = forPrometheus(place, side);
  return metrics === undefined ? undefined : intervalOf(metrics);
}
