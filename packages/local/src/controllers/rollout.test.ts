import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { nextRolloutStep, resolveShare } from './rollout.ts';

it('rounds a surge up and an unavailability down', () => {
  assert.equal(resolveShare('25%', 3, '0', true), 1);
  assert.equal(resolveShare('25%', 3, '0', false), 0);
  assert.equal(resolveShare(2, 3, '0', false), 2);
  assert.equal(resolveShare(undefined, 10, '30%', true), 3);
});

it('never exceeds the surge, never goes below the minimum, and always finishes', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 12 }),
      fc.integer({ min: 0, max: 4 }),
      fc.integer({ min: 0, max: 4 }),
      fc.integer({ min: 0, max: 12 }),
      (wanted, maxSurge, unavailable, oldSize) => {
        const maxUnavailable = maxSurge === 0 && unavailable === 0 ? 1 : unavailable;
        let newReplicas = 0;
        let old = [oldSize];
        for (let round = 0; round < 200; round++) {
          const before = newReplicas + (old[0] ?? 0);
          const step = nextRolloutStep({
            wanted,
            maxSurge,
            maxUnavailable,
            newReplicas,
            // Everything becomes available before the next look.
            newAvailable: newReplicas,
            old: old.map((replicas) => ({ replicas, available: replicas })),
          });
          const total = step.newReplicas + (step.old[0] ?? 0);
          assert(total <= Math.max(wanted + maxSurge, before), 'surge');
          const serving = newReplicas + (step.old[0] ?? 0);
          assert(serving >= Math.min(wanted - maxUnavailable, before), 'minimum');
          newReplicas = step.newReplicas;
          old = [...step.old];
          if (newReplicas === wanted && old[0] === 0) return;
        }
        assert.fail(`stuck at ${newReplicas} new and ${old[0]} old of ${wanted}`);
      },
    ),
  );
});

it('removes broken old pods first', () => {
  const step = nextRolloutStep({
    wanted: 4,
    maxSurge: 1,
    maxUnavailable: 1,
    newReplicas: 1,
    newAvailable: 0,
    old: [{ replicas: 4, available: 3 }],
  });
  assert.deepEqual(step.old, [3]);
});
