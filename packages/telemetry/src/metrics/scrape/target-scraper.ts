import { type Labels, labelPairs, labelsFrom, labelsRecord, METRIC_NAME } from '../labels.ts';
import { STALE } from '../storage/chunk.ts';
import type { Series } from '../storage/series.ts';
import type { MetricsStore } from '../storage/store.ts';
import { type ExposedSample, type MetricMetadata, readExposition, seriesLabels } from './exposition.ts';
import { type FetchedMetrics, ScrapeError } from './fetch-metrics.ts';
import { relabel } from './relabel.ts';
import type { Target } from './target.ts';

/** How the last scrape of a target went. */
export interface ScrapeHealth {
  readonly health: 'unknown' | 'up' | 'down';
  readonly lastError: string;
  /** Milliseconds since 1970. */
  readonly lastScrape: number;
  /** Seconds. */
  readonly duration: number;
}

/** A series of the target; undefined where the rules drop it or there is no room. */
interface Known {
  readonly series: Series | undefined;
  /** Number of the scrape that had it last. */
  seen: number;
  /** Whether its end is marked: who gives times of its own says itself how long a value counts. */
  ends: boolean;
}

/** A copy that does not keep the whole text alive that it is a part of. */
const flat = (text: string): string => Buffer.from(text, 'utf8').toString('utf8');

/** Turns what one target exposes into samples in the store. */
export class TargetScraper {
  readonly target: Target;
  readonly #store: MetricsStore;
  readonly #known = new Map<string, Known>();
  readonly #reports: ReadonlyMap<string, Labels>;
  readonly metadata = new Map<string, MetricMetadata>();
  #round = 0;
  health: ScrapeHealth = { health: 'unknown', lastError: '', lastScrape: 0, duration: 0 };

  constructor(target: Target, store: MetricsStore) {
    this.target = target;
    this.#store = store;
    const names = [
      'up',
      'scrape_duration_seconds',
      'scrape_samples_scraped',
      'scrape_samples_post_metric_relabeling',
      'scrape_series_added',
    ];
    this.#reports = new Map(
      names.map((name) => [name, labelsFrom([...labelPairs(target.labels), [METRIC_NAME, name]])] as const),
    );
  }

  /** Scrapes once and never rejects: what went wrong is in `health` and in `up`. */
  async scrape(fetch: () => Promise<FetchedMetrics>, now: () => number): Promise<void> {
    const start = now();
    let counts = { scraped: 0, kept: 0, added: 0 };
    let lastError = '';
    try {
      counts = this.ingest(await fetch(), start);
    } catch (error) {
      lastError = error instanceof Error ? error.message : String(error);
      this.#endAll(start);
    }
    const duration = Math.max(0, now() - start) / 1000;
    this.health = { health: lastError === '' ? 'up' : 'down', lastError, lastScrape: start, duration };
    this.#report('up', start, lastError === '' ? 1 : 0);
    this.#report('scrape_duration_seconds', start, duration);
    this.#report('scrape_samples_scraped', start, counts.scraped);
    this.#report('scrape_samples_post_metric_relabeling', start, counts.kept);
    this.#report('scrape_series_added', start, counts.added);
  }

  #report(name: string, time: number, value: number): void {
    const labels = this.#reports.get(name);
    if (labels) this.#store.append(labels, time, value);
  }

  /** Adds what was fetched at `time`. Raises ExpositionError and ScrapeError; then nothing is added. */
  ingest({ text, openMetrics }: FetchedMetrics, time: number): { scraped: number; kept: number; added: number } {
    const samples: ExposedSample[] = [];
    const metadata = new Map<string, Partial<MetricMetadata>>();
    readExposition(
      text,
      openMetrics,
      (sample) => samples.push(sample),
      (name, part) => metadata.set(name, { ...metadata.get(name), ...part }),
    );
    this.#round++;
    let kept = 0;
    let added = 0;
    const found: { readonly known: Known; readonly sample: ExposedSample }[] = [];
    for (const sample of samples) {
      let known = this.#known.get(sample.series);
      if (!known) {
        known = { series: this.#seriesOf(sample.series), seen: 0, ends: false };
        this.#known.set(flat(sample.series), known);
        if (known.series) added++;
      }
      if (known.series) kept++;
      found.push({ known, sample });
    }
    const { sampleLimit, honorTimestamps } = this.target.config;
    if (sampleLimit > 0 && kept > sampleLimit)
      throw new ScrapeError(`sample limit exceeded: ${kept} samples, ${sampleLimit} are allowed`);
    for (const { known, sample } of found) {
      const own = honorTimestamps ? sample.time : undefined;
      // A value as small as the marker for ended series is 0.
      known.series?.add(own ?? time, sample.value === STALE ? 0 : sample.value);
      known.seen = this.#round;
      known.ends = own === undefined;
    }
    for (const [key, known] of this.#known)
      if (known.seen !== this.#round) {
        if (known.ends) known.series?.add(time, STALE);
        this.#known.delete(key);
      }
    for (const [name, { type = 'unknown', help = '', unit = '' }] of metadata)
      this.metadata.set(name, { type, help, unit });
    return { scraped: samples.length, kept, added };
  }

  #seriesOf(text: string): Series | undefined {
    const exposed = new Map(labelPairs(seriesLabels(text)));
    const { honorLabels, metricRelabel } = this.target.config;
    const joined = new Map(exposed);
    for (const [name, value] of labelPairs(this.target.labels)) {
      if (!exposed.has(name)) joined.set(name, value);
      else if (!honorLabels) {
        let renamed = `exported_${name}`;
        while (joined.has(renamed)) renamed = `exported_${renamed}`;
        joined.set(renamed, exposed.get(name) ?? '');
        joined.set(name, value);
      }
    }
    const labels = metricRelabel.length === 0 ? joined : relabel(joined, metricRelabel);
    if (labels === undefined || !labels.get(METRIC_NAME)) return undefined;
    return this.#store.seriesOf(
      labelsFrom([...labels].filter(([name]) => name === METRIC_NAME || !name.startsWith('__'))),
    );
  }

  #endAll(time: number): void {
    for (const { series, ends } of this.#known.values()) if (ends) series?.add(time, STALE);
    this.#known.clear();
  }

  /** The target is gone: its series end. */
  end(time: number): void {
    this.#endAll(time);
    for (const labels of this.#reports.values()) this.#store.append(labels, time, STALE);
  }

  /** Labels for people. */
  get labels(): Record<string, string> {
    return labelsRecord(this.target.labels);
  }
}
