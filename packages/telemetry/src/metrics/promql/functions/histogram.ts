import { type Labels, labelsKey, labelValue, METRIC_NAME, withoutLabels } from '../../labels.ts';
import { remembered } from '../../remembered.ts';
import type { Sample } from '../values.ts';

interface Bucket {
  readonly bound: number;
  count: number;
}

const dropped = new Set(['le', METRIC_NAME]);

/** The number that Go's ParseFloat reads; undefined: none. */
function boundOf(text: string): number | undefined {
  if (/^[+]?inf(inity)?$/i.test(text)) return Number.POSITIVE_INFINITY;
  if (/^-inf(inity)?$/i.test(text)) return Number.NEGATIVE_INFINITY;
  const value = text.trim() === '' ? Number.NaN : Number(text);
  return Number.isNaN(value) ? undefined : value;
}

/** Groups of series that differ only in their bucket, `le`; what has none that can be read is left out. */
export function histogramQuantiles(q: number, samples: readonly Sample[], known: Map<Labels, Labels>): Sample[] {
  const groups = new Map<string, { readonly labels: Labels; readonly buckets: Bucket[] }>();
  for (const { labels, value } of samples) {
    const bound = boundOf(labelValue(labels, 'le'));
    if (bound === undefined) continue;
    const rest = remembered(known, labels, () => withoutLabels(labels, dropped));
    const key = labelsKey(rest);
    const group = groups.get(key);
    if (group) group.buckets.push({ bound, count: value });
    else groups.set(key, { labels: rest, buckets: [{ bound, count: value }] });
  }
  return [...groups.values()].map(({ labels, buckets }) => ({ labels, value: bucketQuantile(q, buckets) }));
}

/** The quantile within the bucket where it lies, as if its observations were spread evenly (Prometheus' `histogram_quantile`). */
export function bucketQuantile(q: number, given: readonly Bucket[]): number {
  if (Number.isNaN(q)) return Number.NaN;
  if (q < 0) return Number.NEGATIVE_INFINITY;
  if (q > 1) return Number.POSITIVE_INFINITY;
  const buckets: Bucket[] = [];
  for (const { bound, count } of [...given].sort((a, b) => a.bound - b.bound)) {
    const last = buckets.at(-1);
    if (last && last.bound === bound) last.count += count;
    else buckets.push({ bound, count });
  }
  if (buckets.at(-1)?.bound !== Number.POSITIVE_INFINITY || buckets.length < 2) return Number.NaN;
  // Buckets are cumulative; rates of scrapes at different moments may say otherwise.
  let most = buckets[0]?.count ?? 0;
  for (const bucket of buckets) {
    if (bucket.count > most) most = bucket.count;
    else if (bucket.count < most) bucket.count = most;
  }
  const observations = buckets.at(-1)?.count ?? 0;
  if (observations === 0) return Number.NaN;
  const rank = q * observations;
  const found = buckets.slice(0, -1).findIndex(({ count }) => count >= rank);
  if (found < 0) return buckets.at(-2)?.bound ?? Number.NaN;
  const bucket = buckets[found];
  if (!bucket) return Number.NaN;
  if (found === 0 && bucket.bound <= 0) return bucket.bound;
  const before = buckets[found - 1];
  const start = before?.bound ?? 0;
  const below = before?.count ?? 0;
  return start + (bucket.bound - start) * ((rank - below) / (bucket.count - below));
}
