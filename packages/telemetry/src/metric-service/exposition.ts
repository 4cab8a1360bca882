import type { Label, Metric, MetricFamily } from './families.ts';

/** What a proxy sent last. */
export interface NodeMetrics {
  readonly node: string;
  readonly cluster: string;
  readonly families: readonly MetricFamily[];
}

/** The metric's name in Prometheus: as on a proxy's own `/stats/prometheus`, where Istio's metrics have no prefix. */
export function prometheusName(name: string): string {
  const bare = name.replace(/^(?:wasmcustom|istiocustom)\./, '');
  const safe = bare.replace(/[^a-zA-Z0-9_]/g, '_');
  return bare !== name || safe.startsWith('istio_') ? safe.replace(/^(?=\d)/, '_') : `envoy_${safe}`;
}

const labelName = (name: string): string => name.replace(/[^a-zA-Z0-9_]/g, '_').replace(/^(?=\d)/, '_');
const escaped = (value: string): string =>
  value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');

/** Whose series it is. Labels of a metric with these names do not count. */
const OWN_LABELS: ReadonlySet<string> = new Set(['node', 'node_cluster']);

function labelsOf(own: string, labels: readonly Label[]): string {
  const seen = new Set<string>(OWN_LABELS);
  const parts = [own];
  for (const [raw, value] of labels) {
    const name = labelName(raw);
    if (seen.has(name)) continue;
    seen.add(name);
    parts.push(`${name}="${escaped(value)}"`);
  }
  return parts.join(',');
}

function number(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  if (value === Number.NEGATIVE_INFINITY) return '-Inf';
  return String(value);
}

function linesOf(name: string, type: MetricFamily['type'], labels: string, metric: Metric): readonly string[] {
  switch (type) {
    case 'counter':
    case 'gauge':
    case 'untyped':
      return [`${name}{${labels}} ${number(metric.value)}`];
    case 'summary':
      return [
        ...metric.quantiles.map(({ quantile, value }) => `${name}{${labels},quantile="${quantile}"} ${number(value)}`),
        `${name}_sum{${labels}} ${number(metric.sum)}`,
        `${name}_count{${labels}} ${metric.count}`,
      ];
    case 'histogram':
    case 'gauge_histogram': {
      const finite = metric.buckets.filter(({ upperBound }) => Number.isFinite(upperBound));
      return [
        ...finite.map(
          ({ upperBound, cumulativeCount }) =>
            `${name}_bucket{${labels},le="${number(upperBound)}"} ${cumulativeCount}`,
        ),
        `${name}_bucket{${labels},le="+Inf"} ${metric.count}`,
        `${name}_sum{${labels}} ${number(metric.sum)}`,
        `${name}_count{${labels}} ${metric.count}`,
      ];
    }
  }
}

const EXPOSED_TYPES = {
  counter: 'counter',
  gauge: 'gauge',
  summary: 'summary',
  untyped: 'untyped',
  histogram: 'histogram',
  gauge_histogram: 'histogram',
} as const;

/**
 * All proxies' metrics in the text format of Prometheus, each series with the labels `node` (Envoy's node id) and `node_cluster`. Envoy sends a histogram also as
 * a summary under the same name: the histogram is what counts, since summaries of several proxies cannot be added up.
 */
export function* exposition(nodes: Iterable<NodeMetrics>): Generator<string> {
  const families = new Map<string, { type: MetricFamily['type']; help: string; lines: string[] }>();
  for (const { node, cluster, families: of } of nodes) {
    const own = `node="${escaped(node)}",node_cluster="${escaped(cluster)}"`;
    for (const family of of) {
      const name = prometheusName(family.name);
      let found = families.get(name);
      if (found === undefined) {
        found = { type: family.type, help: family.help, lines: [] };
        families.set(name, found);
      }
      if (found.type === 'summary' && family.type === 'histogram') {
        found.type = 'histogram';
        found.lines = [];
      }
      // Under one name there can be one type only.
      if (found.type !== family.type) continue;
      for (const metric of family.metrics)
        for (const line of linesOf(name, family.type, labelsOf(own, metric.labels), metric)) found.lines.push(line);
    }
  }
  for (const [name, { type, help, lines }] of [...families].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (lines.length === 0) continue;
    const about = help === '' ? '' : `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n`;
    yield `${about}# TYPE ${name} ${EXPOSED_TYPES[type]}\n${lines.join('\n')}\n`;
  }
}
