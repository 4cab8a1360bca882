import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clusterObjects, findings } from '../analysis.test-support.ts';
import { policySelectors } from './policy-selectors.ts';

const pod = (namespace: string) =>
  `apiVersion: v1\nkind: Pod\nmetadata: {name: web-1, namespace: ${namespace}, labels: {app: web}}\nspec: {}\n---\n`;
const policy = (namespace: string, app: string) =>
  `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: ${namespace}}\nspec: {selector: {matchLabels: {app: ${app}}}}\n---\n`;

test('a selector that matches nothing of its namespace', () => {
  assert.deepEqual(findings(policySelectors, pod('a') + policy('a', 'web')), []);
  assert.deepEqual(findings(policySelectors, pod('a') + policy('a', 'wep')), [
    'IST0127 AuthorizationPolicy a/p spec.selector',
  ]);
  const clusters = [{ cluster: 'Kubernetes', objects: clusterObjects(pod('a') + policy('b', 'web')) }];
  assert.deepEqual(findings(policySelectors, '', { clusters }), ['IST0127 AuthorizationPolicy b/p spec.selector']);
});

test('a policy of the root namespace is for all namespaces', () => {
  assert.deepEqual(findings(policySelectors, pod('a') + policy('istio-system', 'web')), []);
});

test('an EnvoyFilter and a WorkloadEntry', () => {
  const filter =
    'apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: f}\nspec: {workloadSelector: {labels: {app: vm}}}\n---\n';
  const entry = (app: string) =>
    `apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: vm}\nspec: {address: 192.0.2.1, labels: {app: ${app}}}\n---\n`;
  assert.deepEqual(findings(policySelectors, filter + entry('vm')), []);
  assert.deepEqual(findings(policySelectors, filter + entry('db')), [
    'IST0127 EnvoyFilter default/f spec.workloadSelector',
  ]);
});
