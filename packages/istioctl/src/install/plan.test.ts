import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KubeApiError, type KubeObject } from '@istio-ts/kube';
import { type Change, conflictsOf, planFromNothing, planLines, withPolicyOfIstiod } from './plan.ts';

const object = (name: string, kind = 'ConfigMap'): KubeObject => ({
  apiVersion: 'v1',
  kind,
  metadata: { name, namespace: 'istio-system' },
});

test('on an empty cluster a line for each part is enough', () => {
  const plan = planFromNothing([{ component: 'Pilot', objects: [object('a'), object('b')] }]);
  assert.deepEqual(planLines(plan, false), ['  Istiod            2 to create']);
  assert.deepEqual(planLines(plan, true), [
    '  Istiod            2 to create',
    '    + ConfigMap/istio-system/a',
    '    + ConfigMap/istio-system/b',
  ]);
});

test('a change names what it changes and whose settings it overwrites; long lists are cut', () => {
  const changes: readonly Change[] = [
    { action: 'keep', object: object('same') },
    {
      action: 'change',
      object: object('istiod', 'Deployment'),
      fields: ['spec.a', 'spec.b', 'spec.c'],
      overwritten: ['spec.a (set by kubectl-edit)'],
    },
    ...Array.from({ length: 9 }, (_, index): Change => ({ action: 'create', object: object(`new-${index}`) })),
    { action: 'refuse', object: object('no', 'ClusterRole'), reason: 'forbidden' },
  ];
  const type = { group: 'apps', version: 'v1', resource: 'deployments', kind: 'Deployment', namespaced: true };
  const lines = planLines(
    {
      components: [{ component: 'Pilot', changes }],
      removals: [{ type, object: object('istio-egressgateway', 'Deployment'), component: 'EgressGateways' }],
      helm: [],
    },
    false,
  );
  assert.equal(lines[0], '  Istiod            9 to create, 1 to change, 1 refused by the cluster, 1 as they are');
  assert.equal(lines.filter((line) => line.startsWith('    + ')).length, 6);
  assert.deepEqual(lines.slice(7), [
    '    ... and 3 more (--dry-run shows all)',
    '    ~ Deployment/istio-system/istiod: spec.a, spec.b and 1 more setting',
    '    ! Deployment/istio-system/istiod: overwrites spec.a (set by kubectl-edit)',
    '    ! ClusterRole/istio-system/no: forbidden',
    '  Egress gateways   1 to remove',
    '    - Deployment/istio-system/istio-egressgateway',
  ]);
});

test('who made conflicting settings is read from the answer; what istiod writes into its webhooks is its own', () => {
  const conflict = new KubeApiError(409, 'Conflict', 'Apply failed with 2 conflicts', {
    causes: [
      {
        reason: 'FieldManagerConflict',
        message: 'conflict with "kubectl-edit" using apps/v1',
        field: '.spec.replicas',
      },
      { reason: 'FieldManagerConflict', message: 'conflict with "istiod"', field: '.webhooks[0].failurePolicy' },
    ],
  });
  assert.deepEqual(conflictsOf(conflict), ['spec.replicas (set by kubectl-edit)']);
  assert.equal(conflictsOf(new KubeApiError(403, 'Forbidden', 'no')), undefined);
});

test('validation that istiod has made fail closed stays so', () => {
  const validator = (failurePolicy: string): KubeObject => ({
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingWebhookConfiguration',
    metadata: { name: 'v' },
    webhooks: [{ name: 'rev.validation.istio.io', failurePolicy }],
  });
  assert.deepEqual(withPolicyOfIstiod(validator('Ignore'), validator('Fail')).webhooks, validator('Fail').webhooks);
  assert.deepEqual(withPolicyOfIstiod(validator('Ignore'), validator('Ignore')).webhooks, validator('Ignore').webhooks);
});
