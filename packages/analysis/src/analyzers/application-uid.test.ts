import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findings } from '../analysis.test-support.ts';
import { applicationUid } from './application-uid.ts';

const deployment = (spec: string) =>
  `apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: app}\nspec: {template: {spec: ${spec}}}\n`;

test('the user ID of the sidecar, at the pod or at a container', () => {
  assert.deepEqual(
    findings(applicationUid, deployment('{securityContext: {runAsUser: 1337}, containers: [{name: a}]}')),
    ['IST0144 Deployment default/app spec.template.spec.securityContext.runAsUser'],
  );
  assert.deepEqual(
    findings(applicationUid, deployment('{containers: [{name: a}, {name: b, securityContext: {runAsUser: 1337}}]}')),
    ['IST0144 Deployment default/app spec.template.spec.containers[1].securityContext.runAsUser'],
  );
});

test('other IDs, the proxy itself, and a container that overrides the pod', () => {
  const fine = [
    '{securityContext: {runAsUser: 1000}, containers: [{name: a}]}',
    '{containers: [{name: istio-proxy, securityContext: {runAsUser: 1337}}]}',
    '{securityContext: {runAsUser: 1337}, containers: [{name: a, securityContext: {runAsUser: 1}}]}',
  ];
  for (const spec of fine) assert.deepEqual(findings(applicationUid, deployment(spec)), []);
});
