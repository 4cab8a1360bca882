import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findings } from '../analysis.test-support.ts';
import { releaseChanges } from './release-changes.ts';

const istiod = (env: string) =>
  `apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: istiod, namespace: istio-system, labels: {app: istiod}}\nspec: {template: {spec: {containers: [{name: discovery, env: [${env}]}]}}}\n`;

test('what changes on the way from an older version, unless the installation decides itself', () => {
  assert.deepEqual(findings(releaseChanges('1.26.1'), istiod('')), ['IST0169 Deployment istio-system/istiod']);
  assert.deepEqual(findings(releaseChanges('1.29.0'), istiod('')), []);
  assert.deepEqual(findings(releaseChanges('1.26.1'), istiod('{name: ENABLE_NATIVE_SIDECARS, value: "true"}')), []);
  assert.deepEqual(findings(releaseChanges('1.9'), ''), ['IST0168']);
});
