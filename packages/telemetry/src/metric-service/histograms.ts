import type { Metric, MetricFamily } from './families.ts';

interface Sum {
  count: number;
  sum: number;
  /** Cumulative counts by upper bound. */
  readonly counts: Map<number, number>;
}

/** About what a series takes beside its key and its buckets. */
const SERIES_BYTES = 200;
const BUCKET_BYTES = 32;

/** The histograms of one proxy. Envoy sends with each flush what they took since the one before, and Prometheus wants what they took in all. */
export class Histograms {
  readonly #sums = new Map<string, Sum>();
  #bytes = 0;

  /** What is kept, in bytes; about. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a flush; new series are left out where they take more than `room` bytes. */
  add(families: readonly MetricFamily[], room: number): void {
    const most = this.#bytes + Math.max(0, room);
    for (const { name, type, metrics } of families) {
      if (type !== 'histogram') continue;
      for (const metric of metrics) {
        const key = keyOf(name, metric);
        let sum = this.#sums.get(key);
        if (sum === undefined) {
          const size = SERIES_BYTES + 2 * key.length + BUCKET_BYTES * metric.buckets.length;
          if (this.#bytes + size > most) continue;
          this.#bytes += size;
          sum = { count: 0, sum: 0, counts: new Map() };
          this.#sums.set(key, sum);
        }
        sum.count += metric.count;
        // An interval without values has no sum.
        if (Number.isFinite(metric.sum)) sum.sum += metric.sum;
        for (const { upperBound, cumulativeCount } of metric.buckets)
          sum.counts.set(upperBound, (sum.counts.get(upperBound) ?? 0) + cumulativeCount);
      }
    }
  }

  /** The families with the sums in place of the last flush's values. */
  applyTo(families: readonly MetricFamily[]): readonly MetricFamily[] {
    return families.map((family) =>
      family.type !== 'histogram'
        ? family
        : { ...family, metrics: family.metrics.map((metric) => this.#whole(family.name, metric)) },
    );
  }

  #whole(name: string, metric: Metric): Metric {
    const sum = this.#sums.get(keyOf(name, metric));
    if (sum === undefined) return metric;
    return {
      ...metric,
      count: sum.count,
      sum: sum.sum,
      buckets: [...sum.counts]
        .sort(([a], [b]) => a - b)
        .map(([upperBound, cumulativeCount]) => ({ upperBound, cumulativeCount })),
    };
  }
}

const keyOf = (name: string, { labels }: Metric): string => `${name}\0${labels.flat().join('\0')}`;
