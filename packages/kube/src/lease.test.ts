import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'node:test';
import { createLease } from './lease.ts';
import type { KubeObject } from './object.ts';
import { playedClient } from './testing/played-client.ts';

const DURATION = 15_000;

/** A clock that goes on to whoever wakes next, when nothing else is left to do. */
function clock() {
  let now = 1_700_000_000_000;
  const sleepers = new Set<{ readonly until: number; readonly wake: () => void }>();
  return {
    now: () => new Date(now),
    sleep: (ms: number, signal: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
        const sleeper = { until: now + ms, wake: resolve };
        sleepers.add(sleeper);
        signal.addEventListener('abort', () => {
          sleepers.delete(sleeper);
          reject(new Error('aborted'));
        });
      }),
    /** Lets time pass until `done`. */
    run: async (done: () => boolean) => {
      for (let step = 0; step < 1000; step++) {
        for (let turns = 0; turns < 5; turns++) await turn();
        if (done()) return;
        const [next] = [...sleepers].sort((a, b) => a.until - b.until);
        if (!next) throw new Error('everybody waits, and nobody for the clock');
        sleepers.delete(next);
        now = Math.max(now, next.until);
        next.wake();
      }
      throw new Error('it does not come to an end');
    },
  };
}

/** An API server with one object, which answers at once, or not at all. */
function server() {
  let stored: KubeObject | undefined;
  let version = 0;
  const state = { silent: false };
  const answer = async <T>(give: () => T): Promise<T> => {
    if (state.silent) await new Promise(() => {});
    return give();
  };
  const keep = (object: KubeObject) => {
    stored = { ...object, metadata: { ...object.metadata, resourceVersion: `${++version}` } };
    return stored;
  };
  const client = playedClient({
    get: () =>
      answer(() => {
        if (!stored) throw Object.assign(new Error('not found'), { status: 404 });
        return stored;
      }),
    create: (_: unknown, object: KubeObject) => answer(() => keep(object)),
    update: (_: unknown, object: KubeObject) => answer(() => keep(object)),
  });
  keep({ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'lock' }, spec: {} });
  return { client, state };
}

test('a holder to whom the API server does not answer any more gives up before anybody else may take the lease', async () => {
  const { now, sleep, run } = clock();
  const { client, state } = server();
  const { signal } = new AbortController();
  const lease = createLease({
    client,
    ...{ namespace: 'istio-system', name: 'lock', identity: 'a', now, sleep, durationMs: DURATION },
    onWait: () => assert.fail('nobody else holds it'),
    onError: () => assert.fail('there is no error, only silence'),
  });
  await lease.acquire(signal);
  let isLost = false;
  const lost = lease.lost(signal).then(() => {
    isLost = true;
  });
  // Renewals keep it for as long as it likes.
  const start = now().getTime();
  await run(() => now().getTime() >= start + 10 * DURATION);
  assert.equal(isLost, false);
  state.silent = true;
  const silentFrom = now().getTime();
  await run(() => isLost);
  await lost;
  const waited = now().getTime() - silentFrom;
  assert.ok(waited < DURATION, `it went on for ${waited} ms`);
});
