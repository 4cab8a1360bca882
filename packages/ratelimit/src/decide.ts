import { createHash } from 'node:crypto';
import type { RateLimitDescriptor, RateLimitRequest, RateLimitResponse } from '@istio-ts/envoy';
import type { Counters, Hit } from './counters.ts';
import { type DescriptorEntry, type Domains, findLimit, type Limit, type Match } from './limits.ts';
import type { Statistics } from './statistics.ts';
import { UNIT_SECONDS, type Unit, windowStart } from './unit.ts';

const MAX_UINT32 = 0xffffffff;
/** Longer keys are hashed: they come from requests. */
const MAX_KEY_LENGTH = 200;

type Status = NonNullable<RateLimitResponse['statuses']>[number];

/** Names of the headers that tell the client of its limit. */
export interface LimitHeaders {
  readonly limit: string;
  readonly remaining: string;
  readonly reset: string;
}

export interface DecideOptions {
  readonly counters: Counters;
  readonly statistics: Statistics;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Put before every counter's key (CACHE_KEY_PREFIX). */
  readonly keyPrefix?: string;
  /** Everything is admitted; what would have been refused is counted (SHADOW_MODE). */
  readonly shadow?: boolean;
  /** Share of a limit above which hits count as near it, default 0.8 (NEAR_LIMIT_RATIO). */
  readonly nearRatio?: number;
  /** Answers carry these headers (LIMIT_RESPONSE_HEADERS_ENABLED). */
  readonly headers?: LimitHeaders;
}

/** A request that no answer is possible to; the message is for its sender. */
export class RequestError extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'RequestError';
  }
}

interface Asked {
  readonly match: Match | undefined;
  readonly hits: number;
  /** Undefined where nothing is to be counted. */
  readonly hit: Hit | undefined;
}

/**
 * Answers a request of a proxy: every descriptor is counted against its limit, and one that is over its limit refuses the request. Raises
 * {@link RequestError}, rejects with CountersUnavailable.
 */
export async function decide(
  request: RateLimitRequest,
  domains: Domains,
  options: DecideOptions,
): Promise<RateLimitResponse> {
  const { domain = '', descriptors = [] } = request;
  if (domain === '') throw new RequestError('a request without a domain');
  if (descriptors.length === 0) throw new RequestError('a request without descriptors');
  const nowMs = options.now();
  const matches = withoutReplaced(descriptors.map((descriptor) => matchOf(domain, descriptor, domains)));
  const asked = descriptors.map((descriptor, index): Asked => {
    const match = matches[index];
    const hits = hitsOf(request, descriptor);
    if (match === undefined || match.limit.unlimited) return { match, hits, hit: undefined };
    const { unit, requestsPerUnit } = match.limit;
    const windowSeconds = UNIT_SECONDS[unit];
    const hit: Hit = {
      key: counterKey(options.keyPrefix ?? '', domain, entriesOf(descriptor)),
      windowSeconds,
      windowStart: windowStart(nowMs, windowSeconds),
      hits,
      limit: requestsPerUnit,
    };
    return { match, hits, hit };
  });
  const counted = asked.flatMap(({ hit }) => (hit === undefined ? [] : [hit]));
  const values = counted.length === 0 ? [] : await options.counters.add(counted);
  let at = 0;
  const statuses = asked.map((one) =>
    statusOf(domain, one, one.hit === undefined ? 0 : (values[at++] ?? 0), nowMs, options),
  );
  const isOver = statuses.some(({ code }) => code === 'OVER_LIMIT');
  if (isOver && options.shadow) options.statistics.globalShadow();
  return {
    overallCode: isOver && !options.shadow ? 'OVER_LIMIT' : 'OK',
    statuses,
    ...(options.headers && { responseHeadersToAdd: headersOf(statuses, options.headers) }),
  };
}

const entriesOf = (descriptor: RateLimitDescriptor): readonly DescriptorEntry[] =>
  (descriptor.entries ?? []).map(({ key = '', value = '' }) => ({ key, value }));

function matchOf(domain: string, descriptor: RateLimitDescriptor, domains: Domains): Match | undefined {
  const entries = entriesOf(descriptor);
  const own = descriptor.limit;
  if (own !== undefined) {
    // The proxy's configuration gives the limit itself.
    const unit = own.unit ?? 'UNKNOWN';
    if (unit === 'UNKNOWN') throw new RequestError('the limit of a descriptor has no unit');
    const limit: Limit = {
      name: '',
      replaces: [],
      shadow: false,
      detailedMetric: true,
      unlimited: false,
      unit: unit as Unit,
      requestsPerUnit: own.requestsPerUnit ?? 0,
    };
    return { limit, labels: entries.map(({ key, value }) => (value === '' ? key : `${key}_${value}`)) };
  }
  const level = domains.get(domain);
  return level && findLimit(level, entries);
}

/** A limit that another one of the same request replaces does not count. */
function withoutReplaced(matches: readonly (Match | undefined)[]): readonly (Match | undefined)[] {
  const replaced = new Set(matches.flatMap((match) => match?.limit.replaces ?? []));
  if (replaced.size === 0) return matches;
  return matches.map((match) => (match !== undefined && replaced.has(match.limit.name) ? undefined : match));
}

function hitsOf(request: RateLimitRequest, descriptor: RateLimitDescriptor): number {
  // What a descriptor says counts even when it is 0; a request without a number is one hit.
  const hits = descriptor.hitsAddend === undefined ? (request.hitsAddend ?? 0) || 1 : Number(descriptor.hitsAddend);
  if (!Number.isSafeInteger(hits)) throw new RequestError('hits_addend is too large');
  return descriptor.isNegativeHits ? -hits : hits;
}

/** A key that no other domain and descriptor has, of limited length. */
function counterKey(prefix: string, domain: string, entries: readonly DescriptorEntry[]): string {
  const safe = (text: string): string => text.replace(/[%_]/g, (sign) => (sign === '%' ? '%25' : '%5F'));
  const key = [domain, ...entries.flatMap((entry) => [entry.key, entry.value])].map(safe).join('_');
  if (key.length <= MAX_KEY_LENGTH) return prefix + key;
  return `${prefix}${safe(domain).slice(0, 60)}_%${createHash('sha256').update(key).digest('base64url')}`;
}

function statusOf(domain: string, asked: Asked, after: number, nowMs: number, options: DecideOptions): Status {
  const { match, hit, hits } = asked;
  if (match === undefined) return { code: 'OK' };
  const { limit, labels } = match;
  const record = options.statistics.of(domain, labels);
  if (limit.unlimited) {
    record({ total: hits, within: hits });
    return { code: 'OK', limitRemaining: MAX_UINT32 };
  }
  const { requestsPerUnit: most, unit } = limit;
  const isOver = after > most;
  const windowSeconds = hit?.windowSeconds ?? UNIT_SECONDS[unit];
  const untilReset = Math.max(1, (hit?.windowStart ?? 0) + windowSeconds - Math.floor(nowMs / 1000));
  const near = Math.floor(most * (options.nearRatio ?? 0.8));
  const before = Math.max(0, after - Math.max(0, hits));
  /** Of this request's hits, those above a mark. */
  const above = (mark: number): number => Math.max(0, after - Math.max(before, mark));
  record({
    total: Math.max(0, hits),
    over: above(most),
    near: above(near) - above(most),
    within: isOver ? 0 : Math.max(0, hits),
    shadow: isOver && limit.shadow ? Math.max(0, hits) : 0,
  });
  return {
    code: isOver && !limit.shadow ? 'OVER_LIMIT' : 'OK',
    currentLimit: { ...(limit.name !== '' && { name: limit.name }), requestsPerUnit: most, unit },
    limitRemaining: Math.max(0, most - after),
    durationUntilReset: `${untilReset}s`,
  };
}

/** The limit that is nearest to its end. */
function headersOf(statuses: readonly Status[], names: LimitHeaders): RateLimitResponse['responseHeadersToAdd'] {
  const limited = statuses.filter(({ currentLimit }) => currentLimit !== undefined);
  const nearest = limited.reduce<Status | undefined>(
    (least, status) =>
      least === undefined || (status.limitRemaining ?? 0) < (least.limitRemaining ?? 0) ? status : least,
    undefined,
  );
  if (nearest === undefined) return [];
  return [
    { key: names.limit, value: String(nearest.currentLimit?.requestsPerUnit ?? 0) },
    { key: names.remaining, value: String(nearest.limitRemaining ?? 0) },
    { key: names.reset, value: (nearest.durationUntilReset ?? '0s').slice(0, -1) },
  ];
}
