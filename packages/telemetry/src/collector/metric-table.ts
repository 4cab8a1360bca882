import type { MetricPoint, OtlpMetric, PointValue } from './otlp-metrics.ts';

const MAX_SERIES = 100_000;
const EXPIRES_AFTER_MS = 5 * 60_000;

interface Series {
  readonly value: PointValue;
  readonly at: number;
}

interface Family {
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary';
  readonly help: string;
  readonly series: Map<string, Series>;
}

const safe = (name: string): string => name.replace(/[^a-zA-Z0-9_]/g, '_').replace(/^(?=\d)/, '_');
const escaped = (value: string): string =>
  value.slice(0, 1024).replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');

/** Units as names of metrics end in them (OpenTelemetry, compatibility with Prometheus). */
const UNITS: Readonly<Record<string, string>> = {
  s: 'seconds',
  ms: 'milliseconds',
  us: 'microseconds',
  ns: 'nanoseconds',
  By: 'bytes',
  KiBy: 'kibibytes',
  MiBy: 'mebibytes',
  '%': 'percent',
};

function nameOf({ name, unit, kind }: OtlpMetric): string {
  const base = safe(name).replace(/_total$/, '');
  const suffix = UNITS[unit];
  const withUnit = suffix === undefined || base.endsWith(`_${suffix}`) ? base : `${base}_${suffix}`;
  return kind === 'counter' ? `${withUnit}_total` : safe(name) === base ? withUnit : `${withUnit}_total`;
}

/** Labels of one name are put together, as in the collector. */
function labelsText(labels: MetricPoint['labels']): string {
  const values = new Map<string, string>();
  for (const [raw, value] of labels) {
    const name = safe(raw);
    const before = values.get(name);
    values.set(name, before === undefined ? value : `${before};${value}`);
  }
  return [...values]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}="${escaped(value)}"`)
    .join(',');
}

function sumOf(before: PointValue | undefined, value: PointValue): PointValue {
  if (before?.kind === 'number' && value.kind === 'number')
    return { kind: 'number', value: before.value + value.value };
  if (before?.kind === 'histogram' && value.kind === 'histogram' && before.counts.length === value.counts.length)
    return {
      ...value,
      count: before.count + value.count,
      sum: before.sum + value.sum,
      counts: value.counts.map((count, index) => count + (before.counts[index] ?? 0)),
    };
  return value;
}

function number(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value);
}

function linesOf(name: string, labels: string, value: PointValue): readonly string[] {
  const own = labels === '' ? '' : `{${labels}}`;
  const inner = labels === '' ? '' : `${labels},`;
  if (value.kind === 'number') return [`${name}${own} ${number(value.value)}`];
  const ends = [`${name}_sum${own} ${number(value.sum)}`, `${name}_count${own} ${value.count}`];
  if (value.kind === 'summary')
    return [
      ...value.quantiles.map(([quantile, at]) => `${name}{${inner}quantile="${quantile}"} ${number(at)}`),
      ...ends,
    ];
  let below = 0;
  const buckets = value.bounds.map((bound, index) => {
    below += value.counts[index] ?? 0;
    return `${name}_bucket{${inner}le="${number(bound)}"} ${below}`;
  });
  return [...buckets, `${name}_bucket{${inner}le="+Inf"} ${value.count}`, ...ends];
}

/** The last values of OTLP's metrics for Prometheus. At most 100,000 series; one of which nothing came for five minutes is forgotten. */
export class MetricTable {
  readonly #now: () => number;
  readonly #families = new Map<string, Family>();
  #count = 0;

  /** `now` in milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  add(metric: OtlpMetric): void {
    const name = nameOf(metric);
    const type = metric.kind === 'sum' ? 'gauge' : metric.kind;
    let family = this.#families.get(name);
    if (family === undefined) {
      family = { type, help: metric.description, series: new Map() };
      this.#families.set(name, family);
    }
    // Under one name there can be one type only.
    if (family.type !== type) return;
    for (const { labels, value } of metric.points) {
      const key = labelsText(labels);
      const before = family.series.get(key);
      if (before === undefined) {
        if (this.#count >= MAX_SERIES) continue;
        this.#count++;
      }
      family.series.set(key, { value: metric.isDelta ? sumOf(before?.value, value) : value, at: this.#now() });
    }
  }

  /** In the text format of Prometheus. */
  text(): string {
    const oldest = this.#now() - EXPIRES_AFTER_MS;
    const lines: string[] = [];
    for (const [name, { type, help, series }] of [...this.#families].sort(([a], [b]) => (a < b ? -1 : 1))) {
      for (const [key, { at }] of series)
        if (at < oldest) {
          series.delete(key);
          this.#count--;
        }
      if (series.size === 0) {
        this.#families.delete(name);
        continue;
      }
      if (help !== '') lines.push(`# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`);
      lines.push(`# TYPE ${name} ${type}`);
      for (const [labels, { value }] of series) lines.push(...linesOf(name, labels, value));
    }
    return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
  }
}
