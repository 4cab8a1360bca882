import { type Labels, labelPairs, labelsKey } from '../labels.ts';
import { remembered } from '../remembered.ts';
import { type Matcher, matchesAll } from './matcher.ts';
import { Series } from './series.ts';

export interface StoreLimits {
  /** Milliseconds that samples are kept. */
  readonly retention: number;
  readonly maxSeries: number;
  /** Bytes of all samples and series; beyond it the oldest samples go before their time. */
  readonly maxBytes: number;
}

export const defaultLimits: StoreLimits = { retention: 6 * 3_600_000, maxSeries: 200_000, maxBytes: 256 << 20 };

export type Appended = 'added' | 'out-of-order' | 'too-many-series';

/** Samples in memory, found by their labels. */
export class MetricsStore {
  readonly limits: StoreLimits;
  readonly #series = new Map<string, Series>();
  /** Series by label name and value. */
  readonly #index = new Map<string, Map<string, Set<Series>>>();
  readonly #texts = new Map<string, string>();
  #dropped = 0;
  #kept: number | undefined;
  #bytes = 0;

  constructor(limits: Partial<StoreLimits> = {}) {
    this.limits = { ...defaultLimits, ...limits };
  }

  get seriesCount(): number {
    return this.#series.size;
  }

  /** Bytes at the last `forget`. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Samples that were refused for want of room. */
  get refused(): number {
    return this.#dropped;
  }

  /** Time of the oldest sample that is certainly there, in milliseconds. */
  get oldest(): number | undefined {
    let oldest: number | undefined;
    for (const { firstTime } of this.#series.values())
      if (firstTime !== undefined && (oldest === undefined || firstTime < oldest)) oldest = firstTime;
    return oldest;
  }

  get newest(): number | undefined {
    let newest: number | undefined;
    for (const { lastTime } of this.#series.values())
      if (lastTime !== undefined && (newest === undefined || lastTime > newest)) newest = lastTime;
    return newest;
  }

  /** The series of these labels, made where it is not there; undefined where there is no room for one more. */
  seriesOf(labels: Labels): Series | undefined {
    const key = labelsKey(labels);
    const found = this.#series.get(key);
    if (found) return found;
    if (this.#series.size >= this.limits.maxSeries) {
      this.#dropped++;
      return undefined;
    }
    const series = new Series(labels.map((text) => this.#interned(text)));
    this.#series.set(key, series);
    for (const [name, value] of labelPairs(series.labels)) {
      const values = remembered(this.#index, name, () => new Map());
      const set = values.get(value);
      if (set) set.add(series);
      else values.set(value, new Set([series]));
    }
    return series;
  }

  /** The same text once in memory: values of labels repeat. */
  #interned(text: string): string {
    return remembered(this.#texts, text, () => text);
  }

  append(labels: Labels, time: number, value: number): Appended {
    const series = this.seriesOf(labels);
    if (!series) return 'too-many-series';
    return series.add(time, value) ? 'added' : 'out-of-order';
  }

  /** Series whose labels match, and which may have samples between these times (milliseconds). */
  select(matchers: readonly Matcher[], from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY): Series[] {
    return [...this.#candidates(matchers)].filter(
      (series) =>
        (series.lastTime ?? Number.NEGATIVE_INFINITY) >= from &&
        (series.firstTime ?? Number.POSITIVE_INFINITY) <= to &&
        matchesAll(series.labels, matchers),
    );
  }

  /** The smallest set that the index knows to hold all that match. */
  #candidates(matchers: readonly Matcher[]): Iterable<Series> {
    let best: Iterable<Series> = this.#series.values();
    let size = this.#series.size;
    for (const { name, operator, value, matches } of matchers) {
      if (matches('')) continue;
      const values = this.#index.get(name);
      if (!values) return [];
      if (operator === '=') {
        const found = values.get(value);
        if (!found) return [];
        if (found.size < size) {
          best = found;
          size = found.size;
        }
      } else if (values.size * 4 < size) {
        const sets = [...values].filter(([other]) => matches(other)).map(([, set]) => set);
        const total = sets.reduce((sum, set) => sum + set.size, 0);
        if (total < size) {
          best = sets.flatMap((set) => [...set]);
          size = total;
        }
      }
    }
    return best;
  }

  labelNames(): string[] {
    return [...this.#index.keys()].sort();
  }

  labelValues(name: string): string[] {
    return [...(this.#index.get(name)?.keys() ?? [])].sort();
  }

  /** Series by value of a label, most first. */
  seriesPerValue(name: string): { readonly name: string; readonly value: number }[] {
    return [...(this.#index.get(name) ?? [])]
      .map(([value, set]) => ({ name: value, value: set.size }))
      .sort((a, b) => b.value - a.value);
  }

  /** Forgets what is older than the retention, and more of the oldest where the memory is full. To be called every minute or so. */
  forget(now: number): void {
    let before = Math.max(now - this.limits.retention, this.#kept ?? Number.NEGATIVE_INFINITY);
    this.#forgetBefore(before);
    for (let round = 0; round < 20 && this.#bytes > this.limits.maxBytes; round++) {
      const oldest = Math.max(before, this.oldest ?? now);
      before = oldest + Math.max((now - oldest) / 8, 60_000);
      if (before >= now) break;
      this.#kept = before;
      this.#forgetBefore(before);
    }
  }

  #forgetBefore(time: number): void {
    this.#texts.clear();
    let bytes = 0;
    for (const [key, series] of this.#series) {
      if (!series.forget(time)) {
        bytes += series.bytes;
        continue;
      }
      this.#series.delete(key);
      for (const [name, value] of labelPairs(series.labels)) {
        const values = this.#index.get(name);
        const set = values?.get(value);
        set?.delete(series);
        if (set?.size === 0) values?.delete(value);
        if (values?.size === 0) this.#index.delete(name);
      }
    }
    this.#bytes = bytes;
  }
}
