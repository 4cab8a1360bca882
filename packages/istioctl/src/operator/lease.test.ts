import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { FakeCluster } from '@istio-ts/istiod/fake-cluster.test-support';
import { createLease } from '@istio-ts/kube/lease';

/** A clock that moves on whenever somebody sleeps. */
function scene() {
  const cluster = new FakeCluster();
  let now = 1_700_000_000_000;
  const waits: string[] = [];
  const lease = (identity: string, onSleep: () => void = () => {}) =>
    createLease({
      client: cluster.client,
      namespace: 'istio-operator',
      name: 'lock',
      identity,
      now: () => new Date(now),
      sleep: async (ms, signal) => {
        now += ms;
        onSleep();
        await Promise.resolve();
        if (signal.aborted) throw new Error('aborted');
      },
      onWait: (holder) => waits.push(holder),
      onError: () => {},
      durationMs: 15_000,
    });
  const holder = () =>
    (cluster.get(kubernetesTypes.Lease, 'istio-operator', 'lock')?.spec as { holderIdentity?: string } | undefined)
      ?.holderIdentity;
  return { cluster, lease, holder, waits };
}

test('the first one leads; the second one takes over when it no longer renews', async () => {
  const { lease, holder, waits } = scene();
  const signal = new AbortController().signal;
  await lease('a').acquire(signal);
  assert.equal(holder(), 'a');
  await lease('b').acquire(signal);
  assert.equal(holder(), 'b');
  assert.ok(waits.length >= 3 && waits.every((name) => name === 'a'));
});

test('a lease that is released is taken at once', async () => {
  const { lease, holder, waits } = scene();
  const signal = new AbortController().signal;
  const a = lease('a');
  await a.acquire(signal);
  await a.release();
  await lease('b').acquire(signal);
  assert.equal(holder(), 'b');
  assert.deepEqual(waits, []);
});

test('who finds the lease in other hands has lost it', async () => {
  const { cluster, lease } = scene();
  const signal = new AbortController().signal;
  const a = lease('a');
  await a.acquire(signal);
  const present = cluster.get(kubernetesTypes.Lease, 'istio-operator', 'lock');
  assert.ok(present);
  cluster.put(kubernetesTypes.Lease, {
    ...present,
    spec: { holderIdentity: 'b', renewTime: 'later', leaseDurationSeconds: 15 },
  });
  await a.lost(signal);
});

test('who cannot renew for as long as the lease lasts has lost it', async () => {
  const { cluster, lease } = scene();
  const a = lease('a');
  await a.acquire(new AbortController().signal);
  cluster.refuse = () => {
    throw new Error('the API server does not answer');
  };
  await a.lost(new AbortController().signal);
});
