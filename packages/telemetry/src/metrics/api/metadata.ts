import { isLabelName, labelsKey, labelsRecord, labelValue } from '../labels.ts';
import { parseQuery } from '../promql/parse.ts';
import type { ScrapeManager } from '../scrape/scrape-manager.ts';
import type { Matcher } from '../storage/matcher.ts';
import type { Series } from '../storage/series.ts';
import type { MetricsStore } from '../storage/store.ts';
import { ApiFailure } from './failure.ts';
import type { Parameters } from './parameters.ts';
import { queryFailure } from './queries.ts';

function selectorsOf(parameters: Parameters): (readonly Matcher[])[] {
  return parameters.all('match[]').map((text) => {
    let node: ReturnType<typeof parseQuery>;
    try {
      node = parseQuery(text);
    } catch (error) {
      throw queryFailure(error, text);
    }
    if (node.kind !== 'vectorSelector')
      throw new ApiFailure('bad_data', `invalid parameter "match[]": ${JSON.stringify(text)} is not a series selector`);
    return node.matchers;
  });
}

function selected(store: MetricsStore, parameters: Parameters): Series[] {
  const start = parameters.time('start', -8.64e15);
  const end = parameters.time('end', 8.64e15);
  return [...new Set(selectorsOf(parameters).flatMap((matchers) => store.select(matchers, start, end)))];
}

const first = <T>(all: readonly T[], limit: number): readonly T[] => (limit > 0 ? all.slice(0, limit) : all);

/** `/api/v1/series`. Raises ApiFailure. */
export function answerSeries(store: MetricsStore, parameters: Parameters): unknown {
  if (parameters.all('match[]').length === 0) throw new ApiFailure('bad_data', 'no match[] parameter provided');
  const found = selected(store, parameters).map(({ labels }) => labels);
  const sorted = found.sort((a, b) => (labelsKey(a) < labelsKey(b) ? -1 : 1));
  return first(sorted, parameters.limit('limit')).map(labelsRecord);
}

/** `/api/v1/labels`. Raises ApiFailure. */
export function answerLabels(store: MetricsStore, parameters: Parameters): unknown {
  const all =
    parameters.all('match[]').length === 0
      ? store.labelNames()
      : [
          ...new Set(selected(store, parameters).flatMap(({ labels }) => labels.filter((_, index) => index % 2 === 0))),
        ].sort();
  return first(all, parameters.limit('limit'));
}

/** `/api/v1/label/NAME/values`. Raises ApiFailure. */
export function answerLabelValues(store: MetricsStore, name: string, parameters: Parameters): unknown {
  if (!isLabelName(name)) throw new ApiFailure('bad_data', `invalid label name: ${JSON.stringify(name)}`);
  const all =
    parameters.all('match[]').length === 0
      ? store.labelValues(name)
      : [...new Set(selected(store, parameters).map(({ labels }) => labelValue(labels, name)))]
          .filter((value) => value !== '')
          .sort();
  return first(all, parameters.limit('limit'));
}

/** `/api/v1/metadata`. Raises ApiFailure. */
export function answerMetadata(scrapes: ScrapeManager, parameters: Parameters): unknown {
  const metric = parameters.text('metric');
  const limit = parameters.limit('limit');
  const perMetric = parameters.limit('limit_per_metric');
  const all = [...scrapes.metadata()].filter(([name]) => metric === '' || name === metric);
  return Object.fromEntries(first(all, limit).map(([name, entries]) => [name, first(entries, perMetric)]));
}

const pool = (key: string): string => key.slice(0, key.indexOf('\u{2}'));

/** `/api/v1/targets`. */
export function answerTargets(scrapes: ScrapeManager, parameters: Parameters): unknown {
  const state = parameters.text('state') || 'any';
  const wanted = parameters.text('scrapePool');
  const active = scrapes.scrapers
    .filter(({ target }) => wanted === '' || target.config.job === wanted)
    .map(({ target, labels, health }) => ({
      discoveredLabels: Object.fromEntries(target.discovered),
      labels,
      scrapePool: pool(target.key),
      scrapeUrl: target.url,
      globalUrl: target.url,
      lastError: health.lastError,
      lastScrape: new Date(health.lastScrape).toISOString(),
      lastScrapeDuration: health.duration,
      health: health.health,
      scrapeInterval: `${target.config.interval / 1000}s`,
      scrapeTimeout: `${target.config.timeout / 1000}s`,
    }));
  const dropped = scrapes.dropped
    .filter(({ job }) => wanted === '' || job === wanted)
    .map(({ discovered }) => ({ discoveredLabels: Object.fromEntries(discovered) }));
  return {
    activeTargets: state === 'dropped' ? [] : active,
    droppedTargets: state === 'active' ? [] : dropped,
  };
}
