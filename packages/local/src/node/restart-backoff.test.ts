import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../controllers/kinds.ts';
import { inheritFromStatus } from './inherited-slots.ts';
import { backOff } from './restart-backoff.ts';
import { createSlots } from './slot.ts';

const pod = (spec: Partial<Pod['spec']> = {}, status?: Pod['status']): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web-1', namespace: 'shop', uid: 'u1' },
  spec: { containers: [{ name: 'web', image: 'web' }], ...spec },
  ...(status !== undefined && { status }),
});

const ended = (seconds: number, exitCode = 1) => ({
  terminated: {
    exitCode,
    reason: 'Error',
    startedAt: '2026-01-01T00:00:00Z',
    finishedAt: new Date(Date.UTC(2026, 0, 1) + seconds * 1000).toISOString(),
  },
});

test('restarts come at once, then after 10 s, doubling up to five minutes; a long run begins anew', () => {
  const slot = createSlots(pod()).get('web')!;
  const delays = Array.from({ length: 8 }, () => {
    slot.state = ended(1);
    return backOff(pod(), slot) / 1000;
  });
  assert.deepEqual(delays, [0, 10, 20, 40, 80, 160, 300, 300]);
  assert.match(
    slot.state.waiting?.message ?? '',
    /^back-off 5m0s restarting failed container=web pod=web-1_shop\(u1\)$/,
  );
  slot.state = ended(601);
  assert.equal(backOff(pod(), slot), 0);
  assert.equal(slot.attempt, 9);
});

test('containers that are gone after a restart of the machine keep their counts', () => {
  const running = {
    name: 'web',
    image: 'web',
    imageID: '',
    ready: true,
    restartCount: 3,
    state: { running: { startedAt: 'then' } },
  };
  const crashed = pod({}, { phase: 'Running', containerStatuses: [running] });
  const slots = createSlots(crashed);
  assert.equal(inheritFromStatus(crashed, slots, 'start', 'now'), undefined);
  assert.equal(slots.get('web')?.attempt, 4);
  assert.deepEqual(slots.get('web')?.lastState, {
    terminated: { exitCode: 255, reason: 'Unknown', startedAt: 'then', finishedAt: 'now' },
  });
});

test('what has ended for good stays ended, a failed pod stays failed', () => {
  const done = { name: 'web', image: 'web', imageID: 'i', ready: false, restartCount: 0, state: ended(1, 0) };
  const job = pod({ restartPolicy: 'OnFailure' }, { phase: 'Running', containerStatuses: [done] });
  const slots = createSlots(job);
  inheritFromStatus(job, slots, 'start', 'now');
  assert.deepEqual(slots.get('web')?.state, done.state);
  const failed = pod({}, { phase: 'Failed', reason: 'Evicted', containerStatuses: [] });
  assert.deepEqual(inheritFromStatus(failed, createSlots(failed), 'start', 'now'), { reason: 'Evicted', message: '' });
});
