import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clusterObjects, findings } from '../analysis.test-support.ts';
import { conditions } from './conditions.ts';

const virtualService = (type: string, status: string) => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: v}
spec: {}
status: {conditions: [{type: ${type}, status: "${status}", reason: R, message: m}]}
`;
const inCluster = (yaml: string) =>
  findings(conditions, '', { clusters: [{ cluster: 'Kubernetes', objects: clusterObjects(yaml) }] });

test('what a status says', () => {
  assert.deepEqual(inCluster(virtualService('Reconciled', 'False')), [
    'IST0171 VirtualService default/v status.conditions[0]',
  ]);
  assert.deepEqual(inCluster(virtualService('Reconciled', 'True')), []);
  assert.deepEqual(inCluster(virtualService('Conflicted', 'False')), []);
  assert.deepEqual(findings(conditions, virtualService('Reconciled', 'False')), []);
});

test('a route that its gateway does not accept', () => {
  const route = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
status: {parents: [{conditions: [{type: Accepted, status: "True"}, {type: ResolvedRefs, status: "False", message: no such service}]}]}
`;
  assert.deepEqual(inCluster(route), ['IST0171 HTTPRoute default/r status.parents[0].conditions[1]']);
});
