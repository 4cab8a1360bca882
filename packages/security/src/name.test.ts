import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatName, type WorkloadSubject, workloadName, workloadSubjectOf } from './name.ts';

const base = { workload: 'cart', canonicalName: 'cart', version: 'v1', cluster: 'Kubernetes' };
const text = (subject: WorkloadSubject): string => formatName(workloadName(subject));

test('labels have attributes of their own only where they are not the canonical name and revision', () => {
  assert.equal(text({ ...base, app: 'cart', versionLabel: 'v1' }), 'CN=cart,OU=cart,L=v1,ST=Kubernetes');
  assert.equal(
    text({ ...base, app: 'shopping', versionLabel: 'v2' }),
    'CN=cart,OU=cart,L=v1,ST=Kubernetes,title=shopping,description=v2',
  );
  assert.equal(
    text({ ...base, version: 'latest', app: '', versionLabel: '' }),
    'CN=cart,OU=cart,L=latest,ST=Kubernetes,title=-',
  );
});

test('what is written can be read', () => {
  for (const labels of [{}, { app: 'shopping' }, { app: '', versionLabel: '' }, { versionLabel: 'v2' }])
    assert.deepEqual(workloadSubjectOf(workloadName({ ...base, ...labels })), { ...base, ...labels });
});
