import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clusterObjects, findings } from '../analysis.test-support.ts';
import { imageAuto } from './image-auto.ts';

const namespaces = `
apiVersion: v1
kind: Namespace
metadata: {name: meshed, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Namespace
metadata: {name: plain}
---
apiVersion: v1
kind: Namespace
metadata: {name: refused, labels: {istio-injection: disabled}}
---
`;
const gateway = (namespace: string, labels = '') => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: gateway, namespace: ${namespace}}
spec:
  template:
    metadata: {labels: {istio: gateway${labels}}}
    spec: {containers: [{name: istio-proxy, image: auto}]}
---
`;

test('a deployment whose pods are injected may leave the image to the injector', () => {
  assert.deepEqual(findings(imageAuto, namespaces + gateway('meshed')), []);
  assert.deepEqual(findings(imageAuto, namespaces + gateway('plain', ', sidecar.istio.io/inject: "true"')), []);
});

test('a deployment that nobody injects', () => {
  assert.deepEqual(findings(imageAuto, namespaces + gateway('plain')), [
    'IST0146 Deployment plain/gateway spec.template.spec',
  ]);
  assert.deepEqual(findings(imageAuto, namespaces + gateway('refused', ', sidecar.istio.io/inject: "true"')), [
    'IST0146 Deployment refused/gateway spec.template.spec',
  ]);
});

test('a running pod with it cannot start', () => {
  const pod =
    'apiVersion: v1\nkind: Pod\nmetadata: {name: gateway-1, namespace: meshed}\nspec: {containers: [{name: istio-proxy, image: auto}]}\n';
  const clusters = [{ cluster: 'Kubernetes', objects: clusterObjects(namespaces + pod) }];
  assert.deepEqual(findings(imageAuto, '', { clusters }), ['IST0147 Pod meshed/gateway-1 spec']);
});
