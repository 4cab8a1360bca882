import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findings } from '../analysis.test-support.ts';
import { meshNetworks } from './mesh-networks.ts';

const config = (registry: string) => `
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: '{}'
  meshNetworks: '{networks: {one: {endpoints: [{fromRegistry: ${registry}}]}}}'
---
`;
const secret = `
apiVersion: v1
kind: Secret
metadata: {name: remote, namespace: istio-system, labels: {istio/multiCluster: "true"}}
data: {west: eA==}
`;

test('registries of known clusters, and of others', () => {
  assert.deepEqual(findings(meshNetworks, config('Kubernetes')), []);
  assert.deepEqual(findings(meshNetworks, config('west') + secret), []);
  assert.deepEqual(findings(meshNetworks, config('east') + secret), ['IST0126 ConfigMap istio-system/istio']);
});
