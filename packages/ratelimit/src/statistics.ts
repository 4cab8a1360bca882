import type { MetricsRegistry } from '@istio-ts/metrics';

/** What one request did to one limit; hits, not requests. */
export interface LimitHits {
  readonly total: number;
  readonly over?: number;
  readonly near?: number;
  readonly within?: number;
  readonly shadow?: number;
}

export interface Statistics {
  /** Counts for a domain's limit, named by the labels of its levels. */
  of(domain: string, labels: readonly string[]): (hits: LimitHits) => void;
  globalShadow(): void;
  configLoaded(): void;
  configError(): void;
  requestError(kind: 'service' | 'redis'): void;
  /** All counters by their dotted names, as the service that this one stands in for writes them. */
  values(): ReadonlyMap<string, number>;
}

const RATE_LIMIT = 'ratelimit_service_rate_limit';
const COUNTED = ['total', 'over', 'near', 'within', 'shadow'] as const;
const NAMES = {
  total: 'total_hits',
  over: 'over_limit',
  near: 'near_limit',
  within: 'within_limit',
  shadow: 'shadow_mode',
} as const;
const HELP = {
  total: 'Hits on a limit.',
  over: 'Hits above a limit.',
  near: 'Hits above the ratio NEAR_LIMIT_RATIO of a limit, and not above the limit.',
  within: 'Hits of requests that were within a limit.',
  shadow: 'Hits of requests above a limit that were admitted because the limit is in shadow mode.',
} as const;
/** Names that are kept; values of requests may be part of them where a limit has detailed_metric. */
const MAX_NAMES = 20_000;

/** Counts in a registry of Prometheus and, by dotted names, for statsd and /stats. */
export function createStatistics(registry: MetricsRegistry): Statistics {
  const counters = {
    total: registry.counter(`${RATE_LIMIT}_${NAMES.total}`, HELP.total),
    over: registry.counter(`${RATE_LIMIT}_${NAMES.over}`, HELP.over),
    near: registry.counter(`${RATE_LIMIT}_${NAMES.near}`, HELP.near),
    within: registry.counter(`${RATE_LIMIT}_${NAMES.within}`, HELP.within),
    shadow: registry.counter(`${RATE_LIMIT}_${NAMES.shadow}`, HELP.shadow),
  };
  const shadow = registry.counter('ratelimit_service_global_shadow_mode', 'Refusals that SHADOW_MODE has admitted.');
  const loaded = registry.counter('ratelimit_service_config_load_success', 'Configurations that were loaded.');
  const failed = registry.counter('ratelimit_service_config_load_error', 'Configurations that could not be used.');
  const errors = registry.counter('ratelimit_service_call_should_rate_limit_error', 'Requests without an answer.');
  const values = new Map<string, number>();
  const bump = (name: string, by: number): void => {
    const before = values.get(name);
    if (before === undefined && values.size >= MAX_NAMES) return;
    values.set(name, (before ?? 0) + by);
  };
  const recorders = new Map<string, (hits: LimitHits) => void>();
  const recorderOf = (domain: string, labels: readonly string[]): ((hits: LimitHits) => void) => {
    const series = Object.fromEntries([
      ['domain', domain],
      ...labels.map((label, index) => [`key${index + 1}`, label] as const),
    ]);
    const dotted = `ratelimit.service.rate_limit.${domain}.${labels.map((label) => label.replaceAll('.', '_')).join('.')}`;
    return (hits) => {
      for (const kind of COUNTED) {
        const by = hits[kind] ?? 0;
        counters[kind].add(series, by);
        bump(`${dotted}.${NAMES[kind]}`, by);
      }
    };
  };
  return {
    of(domain, labels) {
      const name = [domain, ...labels].join('\0');
      let recorder = recorders.get(name);
      if (recorder === undefined) {
        recorder = recorderOf(domain, labels);
        if (recorders.size < MAX_NAMES) recorders.set(name, recorder);
      }
      return recorder;
    },
    globalShadow() {
      shadow.add();
      bump('ratelimit.service.global_shadow_mode', 1);
    },
    configLoaded() {
      loaded.add();
      bump('ratelimit.service.config_load_success', 1);
    },
    configError() {
      failed.add();
      bump('ratelimit.service.config_load_error', 1);
    },
    requestError(kind) {
      errors.add({ error: kind });
      bump(`ratelimit.service.call.should_rate_limit.${kind}_error`, 1);
    },
    values: () => values,
  };
}
