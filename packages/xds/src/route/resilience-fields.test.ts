import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proves } from '../field-proof.ts';
import { eventually } from '../testing/envoy.ts';
import type { Origin } from '../testing/origin.ts';
import { clientOf, v1, virtualService } from './http-fields.test-support.ts';

/** Faults, time limits and retries of a VirtualService, from the object to what a client sees, through one real Envoy. */

const { get, origins } = clientOf([
  virtualService('act', {
    hosts: ['act'],
    http: [
      { match: [{ uri: { prefix: '/timeout' } }], timeout: '0.2s', route: v1 },
      {
        match: [{ uri: { prefix: '/abort-some' } }],
        fault: { abort: { httpStatus: 418, percentage: { value: 50 } } },
        route: v1,
      },
      { match: [{ uri: { prefix: '/abort-none' } }], fault: { abort: { httpStatus: 418 } }, route: v1 },
      {
        match: [{ uri: { prefix: '/abort-grpc' } }],
        fault: { abort: { grpcStatus: 'UNAVAILABLE', percentage: { value: 100 } } },
        route: v1,
      },
      {
        match: [{ uri: { prefix: '/delay-all' } }],
        fault: { delay: { fixedDelay: '300ms', percentage: { value: 100 } } },
        route: v1,
      },
      {
        match: [{ uri: { prefix: '/delay-percent' } }],
        fault: { delay: { fixedDelay: '300ms', percent: 100 } },
        route: v1,
      },
      { route: v1 },
    ],
  }),
  virtualService('retry', {
    hosts: ['retry'],
    http: [
      {
        match: [{ uri: { prefix: '/codes' } }],
        retries: { attempts: 2, retryOn: '418,reset', backoff: '1ms' },
        route: v1,
      },
      { match: [{ uri: { prefix: '/never' } }], retries: { attempts: 0 }, route: v1 },
      {
        match: [{ uri: { prefix: '/try' } }],
        retries: { attempts: 2, perTryTimeout: '500ms', retryOn: '5xx', backoff: '1ms' },
        route: v1,
      },
      {
        match: [{ uri: { prefix: '/backoff' } }],
        retries: { attempts: 1, retryOn: '5xx', backoff: '2s' },
        timeout: '600ms',
        route: v1,
      },
      {
        match: [{ uri: { prefix: '/elsewhere' } }],
        retries: { attempts: 1, retryOn: '5xx', backoff: '1ms' },
        route: [{ destination: { host: 'pair' } }],
      },
      {
        match: [{ uri: { prefix: '/anywhere' } }],
        retries: { attempts: 1, retryOn: '5xx', backoff: '1ms', retryIgnorePreviousHosts: false },
        route: [{ destination: { host: 'pair' } }],
      },
      { route: v1 },
    ],
  }),
]);

test('faults', async () => {
  proves(
    'VirtualService.spec.http[].fault.abort.httpStatus',
    'VirtualService.spec.http[].fault.abort.grpcStatus',
    'VirtualService.spec.http[].fault.abort.percentage.value',
    'VirtualService.spec.http[].fault.delay.fixedDelay',
    'VirtualService.spec.http[].fault.delay.percentage.value',
    'VirtualService.spec.http[].fault.delay.percent',
  );
  let aborted = 0;
  for (let i = 0; i < 100; i++) if ((await get('/abort-some', 'act')).status === 418) aborted++;
  assert.ok(aborted > 25 && aborted < 75, String(aborted));
  assert.equal((await get('/abort-none', 'act')).status, 200);
  const grpc = await get('/abort-grpc', 'act', { headers: { 'content-type': 'application/grpc' } });
  assert.equal(grpc.headers['grpc-status'], '14');
  for (const path of ['/delay-all', '/delay-percent']) {
    const started = performance.now();
    assert.equal((await get(path, 'act')).status, 200);
    assert.ok(performance.now() - started >= 295, path);
  }
});

test('time limits and retries', async () => {
  proves(
    'VirtualService.spec.http[].timeout',
    'VirtualService.spec.http[].retries.attempts',
    'VirtualService.spec.http[].retries.perTryTimeout',
    'VirtualService.spec.http[].retries.retryOn',
    'VirtualService.spec.http[].retries.backoff',
    'VirtualService.spec.http[].retries.retryIgnorePreviousHosts',
  );
  assert.equal((await get('/timeout/delay/5000', 'act')).status, 504);
  const tries = async (path: string): Promise<readonly [number, number]> => {
    const { status } = await get(path, 'retry');
    return [status, origins.v1?.arrivals.filter((one) => one.path === path).length ?? 0];
  };
  assert.deepEqual(await tries('/codes/status/418'), [418, 3]);
  assert.deepEqual(await tries('/codes/status/503'), [503, 1]);
  assert.deepEqual(await tries('/never/status/503'), [503, 1]);
  assert.deepEqual(await tries('/try/delay/5000'), [504, 3]);
  // Up to two seconds lie between the attempts; the time for all of them ends before most second ones.
  const { status } = await get('/backoff/status/500', 'retry');
  assert.ok(status === 504 || status === 500);
  // Of two endpoints one fails always: the other takes the second attempt, unless the same one may be asked again.
  const bad = origins.bad as Origin;
  bad.status = 500;
  // Envoy looks for another endpoint five times and takes what it finds then: one request in a hundred fails, where any endpoint would do one in four. Of
  // 200 that is 2 (more than 16 are no longer chance), and 50, give or take 6.
  let failed = 0;
  for (let i = 0; i < 200; i++) if ((await get('/elsewhere', 'retry')).status !== 200) failed++;
  assert.ok(failed <= 16, `${failed} of 200 failed`);
  const again = await eventually(
    async () => ((await get('/anywhere', 'retry')).status === 500 ? true : undefined),
    'two attempts at the same endpoint',
  );
  assert.ok(again);
  bad.status = undefined;
});
