/** Label values by label name. */
export type Labels = Readonly<Record<string, string>>;

export interface Counter {
  add(labels?: Labels, by?: number): void;
  value(labels?: Labels): number;
}

export interface Gauge {
  set(value: number, labels?: Labels): void;
  add(by: number, labels?: Labels): void;
  value(labels?: Labels): number;
  /** Forgets one series. */
  remove(labels: Labels): void;
}

export interface Histogram {
  observe(value: number, labels?: Labels): void;
}

const unlabelled: Labels = {};

/** Series per metric; more are refused so that a label from outside cannot fill the memory. */
const MAX_SERIES = 5000;

interface Metric {
  readonly lines: (prefix: string) => Iterable<string>;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
}

/** Metrics of a process in the text format of Prometheus ("Exposition formats", 0.0.4). */
export class MetricsRegistry {
  readonly #metrics = new Map<string, Metric>();

  /** `read`, when given, is asked at every scrape instead of counting: for what somebody else counts (the kernel, say). */
  counter(name: string, help: string, read?: () => number): Counter {
    const series = new SeriesMap();
    const lines = function* (): Iterable<string> {
      if (read !== undefined) series.update({}, read);
      yield* series.lines(name);
    };
    this.#add(name, { type: 'counter', help, lines });
    return {
      add: (labels = {}, by = 1) => series.update(labels, (value) => value + by),
      value: (labels = {}) => series.value(labels),
    };
  }

  /** `read`, when given, is asked at every scrape instead of keeping values. */
  gauge(name: string, help: string, read?: () => number): Gauge {
    const series = new SeriesMap();
    const lines = function* (): Iterable<string> {
      if (read !== undefined) series.update({}, read);
      yield* series.lines(name);
    };
    this.#add(name, { type: 'gauge', help, lines });
    return {
      set: (value, labels = {}) => series.update(labels, () => value),
      add: (by, labels = {}) => series.update(labels, (value) => value + by),
      value: (labels = {}) => series.value(labels),
      remove: (labels) => series.remove(labels),
    };
  }

  /** `buckets` are upper bounds, ascending. */
  histogram(name: string, help: string, buckets: readonly number[]): Histogram {
    const series = new Map<string, { readonly counts: number[]; sum: number; count: number }>();
    this.#add(name, {
      type: 'histogram',
      help,
      *lines() {
        for (const [labels, { counts, sum, count }] of series) {
          const inner = labels === '' ? '' : `${labels},`;
          let below = 0;
          for (const [index, bound] of buckets.entries()) {
            below += counts[index] ?? 0;
            yield `${name}_bucket{${inner}le="${bound}"} ${below}`;
          }
          yield `${name}_bucket{${inner}le="+Inf"} ${count}`;
          yield `${name}_sum${labels === '' ? '' : `{${labels}}`} ${sum}`;
          yield `${name}_count${labels === '' ? '' : `{${labels}}`} ${count}`;
        }
      },
    });
    return {
      observe(value, labels = unlabelled) {
        const key = formatLabels(labels);
        let found = series.get(key);
        if (found === undefined) {
          if (series.size >= MAX_SERIES) return;
          found = { counts: buckets.map(() => 0), sum: 0, count: 0 };
          series.set(key, found);
        }
        const index = buckets.findIndex((bound) => value <= bound);
        if (index >= 0) found.counts[index] = (found.counts[index] ?? 0) + 1;
        found.sum += value;
        found.count++;
      },
    };
  }

  /** What is declared, whether it has values or not. */
  declared(): readonly { readonly name: string; readonly type: Metric['type']; readonly help: string }[] {
    return [...this.#metrics].map(([name, { type, help }]) => ({ name, type, help }));
  }

  /** The whole registry as text. */
  text(): string {
    const lines: string[] = [];
    for (const [name, metric] of [...this.#metrics].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const values = [...metric.lines(name)];
      if (values.length === 0) continue;
      lines.push(
        `# HELP ${name} ${metric.help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`,
        `# TYPE ${name} ${metric.type}`,
      );
      lines.push(...values);
    }
    return `${lines.join('\n')}\n`;
  }

  #add(name: string, metric: Metric): void {
    if (this.#metrics.has(name)) throw new Error(`metric ${name} is declared twice`);
    this.#metrics.set(name, metric);
  }
}

class SeriesMap {
  readonly #values = new Map<string, number>();

  update(labels: Labels, change: (value: number) => number): void {
    const key = formatLabels(labels);
    if (!this.#values.has(key) && this.#values.size >= MAX_SERIES) return;
    this.#values.set(key, change(this.#values.get(key) ?? 0));
  }

  value(labels: Labels): number {
    return this.#values.get(formatLabels(labels)) ?? 0;
  }

  remove(labels: Labels): void {
    this.#values.delete(formatLabels(labels));
  }

  *lines(name: string): Iterable<string> {
    for (const [labels, value] of this.#values) yield `${name}${labels === '' ? '' : `{${labels}}`} ${value}`;
  }
}

/** Who observes often gives the same object each time. */
const texts = new WeakMap<Labels, string>();

function formatLabels(labels: Labels): string {
  let text = texts.get(labels);
  if (text === undefined) {
    text = textOf(labels);
    texts.set(labels, text);
  }
  return text;
}

function textOf(labels: Labels): string {
  const names = Object.keys(labels);
  if (names.length === 0) return '';
  return names
    .sort()
    .map((name) => `${name}="${escapeLabel(labels[name] ?? '')}"`)
    .join(',');
}

function escapeLabel(value: string): string {
  return value.slice(0, 256).replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
