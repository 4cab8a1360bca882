import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findings } from '../analysis.test-support.ts';
import { ambientPolicy } from './ambient-policy.ts';

const namespace = (labels: string) =>
  `apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {${labels}}}\n---\n`;
const ambient = namespace('istio.io/dataplane-mode: ambient');
const policy = (spec: string) =>
  `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: shop}\nspec: ${spec}\n---\n`;
const http = policy('{rules: [{to: [{operation: {methods: [GET]}}]}]}');

test('rules about HTTP without a waypoint', () => {
  assert.deepEqual(findings(ambientPolicy, ambient + http), ['IST0167 AuthorizationPolicy shop/p spec.rules']);
});

test('rules about connections, a waypoint, sidecars, a target', () => {
  const fine = [
    ambient + policy('{rules: [{from: [{source: {namespaces: [a]}}]}]}'),
    namespace('istio.io/dataplane-mode: ambient, istio.io/use-waypoint: waypoint') + http,
    namespace('istio-injection: enabled') + http,
    ambient + policy('{targetRefs: [{kind: Service, name: a}], rules: [{to: [{operation: {methods: [GET]}}]}]}'),
  ];
  for (const yaml of fine) assert.deepEqual(findings(ambientPolicy, yaml), []);
});
