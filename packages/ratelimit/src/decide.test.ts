import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RateLimitRequest } from '@istio-ts/envoy';
import { MetricsRegistry } from '@istio-ts/metrics';
import fc from 'fast-check';
import { parseConfig } from './config.ts';
import { type DecideOptions, decide } from './decide.ts';
import { createMemoryCounters } from './memory-counters.ts';
import { createStatistics } from './statistics.ts';

const START = Date.UTC(2026, 0, 1, 12, 0, 0);

function service(text: string, changes: Partial<DecideOptions> = {}) {
  const clock = { now: START };
  const statistics = createStatistics(new MetricsRegistry());
  const options: DecideOptions = {
    counters: createMemoryCounters(),
    statistics,
    now: () => clock.now,
    ...changes,
  };
  const domains = parseConfig([{ name: 'c', text: `domain: d\ndescriptors:\n${text}` }]);
  const ask = (request: RateLimitRequest) => decide({ domain: 'd', ...request }, domains, options);
  const entry = (key: string, value: string, more: object = {}) => ({
    descriptors: [{ entries: [{ key, value }], ...more }],
  });
  return { ask, entry, clock, statistics };
}

describe('decisions', () => {
  it('admits so many as the limit in each window, and says what is left and until when', async () => {
    const { ask, entry, clock } = service('- {key: k, rate_limit: {unit: minute, requests_per_unit: 2, name: n}}');
    clock.now = START + 15_000;
    const first = await ask(entry('k', 'a'));
    assert.deepEqual(first, {
      overallCode: 'OK',
      statuses: [
        {
          code: 'OK',
          currentLimit: { name: 'n', requestsPerUnit: 2, unit: 'MINUTE' },
          limitRemaining: 1,
          durationUntilReset: '45s',
        },
      ],
    });
    assert.equal((await ask(entry('k', 'a'))).overallCode, 'OK');
    assert.equal((await ask(entry('k', 'a'))).overallCode, 'OVER_LIMIT');
    assert.equal((await ask(entry('k', 'b'))).overallCode, 'OK', 'each value has a count of its own');
    clock.now = START + 60_000;
    assert.equal((await ask(entry('k', 'a'))).overallCode, 'OK');
  });

  it('counts hits as told: of the request, of the descriptor, given back', async () => {
    const { ask, entry } = service('- {key: k, rate_limit: {unit: day, requests_per_unit: 10}}');
    const left = async (request: RateLimitRequest) => (await ask(request)).statuses?.[0]?.limitRemaining;
    assert.equal(await left({ ...entry('k', 'a'), hitsAddend: 3 }), 7);
    assert.equal(await left({ ...entry('k', 'a', { hitsAddend: '4' }), hitsAddend: 3 }), 3);
    assert.equal(await left(entry('k', 'a', { hitsAddend: '0' })), 3);
    assert.equal(await left(entry('k', 'a', { hitsAddend: '2', isNegativeHits: true })), 5);
  });

  it('refuses when one of several descriptors is over, and gives each its status', async () => {
    const { ask } = service(
      '- {key: k, rate_limit: {unit: day, requests_per_unit: 0}}\n- {key: l, rate_limit: {unlimited: true}}',
    );
    const of = (key: string) => ({ entries: [{ key, value: 'v' }] });
    const answer = await ask({ descriptors: [of('k'), of('l'), of('none')] });
    assert.equal(answer.overallCode, 'OVER_LIMIT');
    assert.deepEqual(
      answer.statuses?.map(({ code, limitRemaining }) => [code, limitRemaining]),
      [
        ['OVER_LIMIT', 0],
        ['OK', 4294967295],
        ['OK', undefined],
      ],
    );
  });

  it('admits in shadow mode, of one limit and of all, and counts what it would have refused', async () => {
    const one = service('- {key: k, rate_limit: {unit: day, requests_per_unit: 0}, shadow_mode: true}');
    assert.equal((await one.ask(one.entry('k', 'a'))).overallCode, 'OK');
    assert.equal(one.statistics.values().get('ratelimit.service.rate_limit.d.k.shadow_mode'), 1);
    const all = service('- {key: k, rate_limit: {unit: day, requests_per_unit: 0}}', { shadow: true });
    const answer = await all.ask(all.entry('k', 'a'));
    assert.deepEqual([answer.overallCode, answer.statuses?.[0]?.code], ['OK', 'OVER_LIMIT']);
    assert.equal(all.statistics.values().get('ratelimit.service.global_shadow_mode'), 1);
  });

  it('lets a limit replace another one of the same request, whose count stays', async () => {
    const { ask } = service(`
  - {key: a, rate_limit: {unit: day, requests_per_unit: 1, name: small}}
  - {key: b, rate_limit: {unit: day, requests_per_unit: 5, replaces: [{name: small}]}}`);
    const of = (key: string) => ({ entries: [{ key, value: 'v' }] });
    for (let turn = 0; turn < 3; turn++)
      assert.equal((await ask({ descriptors: [of('a'), of('b')] })).overallCode, 'OK');
    assert.equal((await ask({ descriptors: [of('a')] })).overallCode, 'OK');
    assert.equal((await ask({ descriptors: [of('a')] })).overallCode, 'OVER_LIMIT');
  });

  it('takes the limit that the descriptor brings along', async () => {
    const { ask, entry } = service('- {key: k}');
    const own = { limit: { unit: 'HOUR', requestsPerUnit: 1 } };
    assert.equal((await ask(entry('z', 'a', own))).overallCode, 'OK');
    assert.equal((await ask(entry('z', 'a', own))).overallCode, 'OVER_LIMIT');
  });

  it('counts near, within and over by hits, and by value with detailed_metric', async () => {
    const { ask, entry, statistics } = service(
      '- {key: k, detailed_metric: true, rate_limit: {unit: day, requests_per_unit: 10}}',
    );
    await ask({ ...entry('k', 'a'), hitsAddend: 9 });
    await ask({ ...entry('k', 'a'), hitsAddend: 4 });
    const values = statistics.values();
    const of = (name: string) => values.get(`ratelimit.service.rate_limit.d.k_a.${name}`);
    assert.deepEqual(['total_hits', 'within_limit', 'near_limit', 'over_limit'].map(of), [13, 9, 2, 3]);
  });

  it('answers with headers of the nearest limit', async () => {
    const { ask } = service(
      '- {key: a, rate_limit: {unit: day, requests_per_unit: 9}}\n- {key: b, rate_limit: {unit: minute, requests_per_unit: 3}}',
      { headers: { limit: 'RateLimit-Limit', remaining: 'RateLimit-Remaining', reset: 'RateLimit-Reset' } },
    );
    const of = (key: string) => ({ entries: [{ key, value: 'v' }] });
    assert.deepEqual((await ask({ descriptors: [of('a'), of('b')] })).responseHeadersToAdd, [
      { key: 'RateLimit-Limit', value: '3' },
      { key: 'RateLimit-Remaining', value: '2' },
      { key: 'RateLimit-Reset', value: '60' },
    ]);
  });

  it('says what is wrong with a request', async () => {
    const { ask, entry } = service('- {key: k}');
    await assert.rejects(ask({ domain: '', ...entry('k', 'a') }), /without a domain/);
    await assert.rejects(ask({ descriptors: [] }), /without descriptors/);
  });

  it('never admits more than the limit of a window, nor less where more is asked: a property', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 20 }),
        fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 200 }),
        async (limit, pauses) => {
          const { ask, entry, clock } = service(`- {key: k, rate_limit: {unit: second, requests_per_unit: ${limit}}}`);
          const windows = new Map<number, { asked: number; admitted: number }>();
          for (const pause of pauses) {
            clock.now += pause;
            const second = Math.floor(clock.now / 1000);
            const window = windows.get(second) ?? { asked: 0, admitted: 0 };
            windows.set(second, window);
            window.asked++;
            if ((await ask(entry('k', 'a'))).overallCode === 'OK') window.admitted++;
          }
          for (const { asked, admitted } of windows.values()) assert.equal(admitted, Math.min(asked, limit));
        },
      ),
      { numRuns: 50 },
    );
  });

  it('keeps the counts of different descriptors apart, however they are spelled', async () => {
    const { ask } = service(`
  - key: a
    descriptors: [{key: b, rate_limit: {unit: day, requests_per_unit: 1}}]`);
    const of = (first: string, second: string) => ({
      descriptors: [
        {
          entries: [
            { key: 'a', value: first },
            { key: 'b', value: second },
          ],
        },
      ],
    });
    const long = 'x'.repeat(5000);
    for (const [first, second] of [
      ['x_b', 'y'],
      ['x', 'b_y'],
      ['x_b_', 'y'],
      ['x%5Fb', 'y'],
      [long, '1'],
      [long, '2'],
    ] as const) {
      assert.equal((await ask(of(first, second))).overallCode, 'OK', `${first.slice(0, 9)} ${second}`);
      assert.equal((await ask(of(first, second))).overallCode, 'OVER_LIMIT');
    }
  });
});
