import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@istio-ts/kube';
import { differingPaths } from './object-difference.ts';

const deployment = (image: string, more: object = {}, metadata: object = {}): KubeObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'istiod', ...metadata },
  spec: {
    replicas: 1,
    template: {
      spec: {
        containers: [
          { name: 'discovery', image },
          { name: 'other', image: 'other:1' },
        ],
      },
    },
  },
  ...more,
});

test('settings are named by their path, items of lists by their name', () => {
  assert.deepEqual(differingPaths(deployment('pilot:1'), deployment('pilot:2')), [
    'spec.template.spec.containers[discovery].image',
  ]);
  assert.deepEqual(
    differingPaths(deployment('pilot:1'), deployment('pilot:1', {}, { labels: { 'istio.io/rev': 'a' } })),
    ['metadata.labels["istio.io/rev"]'],
  );
});

test('what only the API server writes is no difference', () => {
  assert.deepEqual(
    differingPaths(
      deployment(
        'pilot:1',
        { status: { readyReplicas: 0 } },
        { resourceVersion: '1', generation: 1, managedFields: [] },
      ),
      deployment('pilot:1', { status: { readyReplicas: 1 } }, { resourceVersion: '2', generation: 2, uid: 'x' }),
    ),
    [],
  );
});

test('lists without names are compared item by item, and as a whole where their lengths differ', () => {
  const rules = (...verbs: readonly (readonly string[])[]): KubeObject => ({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: { name: 'r' },
    rules: verbs.map((list) => ({ verbs: list })),
  });
  assert.deepEqual(differingPaths(rules(['get'], ['list']), rules(['get'], ['watch'])), ['rules[1].verbs[0]']);
  assert.deepEqual(differingPaths(rules(['get']), rules(['get'], ['list'])), ['rules']);
});

test('annotations that controllers write are no difference', () => {
  const before = deployment('pilot:1', {}, { annotations: { 'deployment.kubernetes.io/revision': '3', mine: 'a' } });
  assert.deepEqual(differingPaths(before, deployment('pilot:1', {}, { annotations: { mine: 'a' } })), []);
  assert.deepEqual(differingPaths(before, deployment('pilot:1')), ['metadata.annotations.mine']);
});
