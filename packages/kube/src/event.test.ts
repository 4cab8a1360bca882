import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventAbout } from './event.ts';

const event = {
  type: 'Warning',
  reason: 'Failed',
  message: 'It did not work',
  component: 'program',
  at: new Date('2026-01-02T03:04:05.678Z'),
} as const;

test('an event names the object, and stands in its namespace', () => {
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', namespace: 'shop', uid: 'u' } };
  const made = eventAbout(pod, { ...event, host: 'node-1', fieldPath: 'spec.containers{app}' });
  assert.deepEqual(made.metadata, { generateName: 'web.', namespace: 'shop' });
  assert.deepEqual(made.involvedObject, {
    ...{ apiVersion: 'v1', kind: 'Pod', name: 'web', namespace: 'shop', uid: 'u' },
    fieldPath: 'spec.containers{app}',
  });
  assert.deepEqual(made.source, { component: 'program', host: 'node-1' });
  assert.equal(made.lastTimestamp, '2026-01-02T03:04:05Z');
});

test('an event about an object without a namespace stands in default', () => {
  const made = eventAbout({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-1' } }, event);
  assert.equal(made.metadata.namespace, 'default');
  assert.deepEqual(made.involvedObject, { apiVersion: 'v1', kind: 'Node', name: 'node-1' });
});
