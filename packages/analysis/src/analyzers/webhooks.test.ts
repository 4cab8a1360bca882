import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { type JsonObject, loadChart, renderChart } from '@istio-ts/charts';
import { clusterObjects, findings } from '../analysis.test-support.ts';
import { webhooks } from './webhooks.ts';

const service = 'apiVersion: v1\nkind: Service\nmetadata: {name: istiod, namespace: istio-system}\nspec: {}\n---\n';
const injector = (name: string, rev: string, client = '{service: {name: istiod, namespace: istio-system}}') => `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: ${name}, labels: {app: sidecar-injector}}
webhooks:
- name: rev.namespace.sidecar-injector.istio.io
  clientConfig: ${client}
  namespaceSelector: {matchExpressions: [{key: istio.io/rev, operator: In, values: [${rev}]}, {key: istio-injection, operator: DoesNotExist}]}
  objectSelector: {matchExpressions: [{key: sidecar.istio.io/inject, operator: NotIn, values: ["false"]}]}
---
`;
const inCluster = (yaml: string) =>
  findings(webhooks, '', { clusters: [{ cluster: 'Kubernetes', objects: clusterObjects(yaml) }] });

test('a service that is not there', () => {
  assert.deepEqual(inCluster(service + injector('istio-sidecar-injector', 'default')), []);
  assert.deepEqual(inCluster(injector('istio-sidecar-injector', 'default')), [
    'IST0139 MutatingWebhookConfiguration istio-sidecar-injector webhooks[0].clientConfig.service',
  ]);
});

test('two injectors of the same pods', () => {
  const two = injector('istio-revision-tag-prod', 'prod') + injector('istio-sidecar-injector-b', 'b');
  assert.deepEqual(inCluster(service + two), []);
  const same = injector('istio-revision-tag-prod', 'prod') + injector('istio-sidecar-injector-b', 'b, prod');
  assert.deepEqual(inCluster(service + same), [
    'IST0139 MutatingWebhookConfiguration istio-sidecar-injector-b webhooks[0]',
  ]);
});

test('an external control plane', () => {
  const at = (url: string) => inCluster(injector('istio-sidecar-injector', 'default', `{url: "${url}"}`));
  const line = (code: string) => [
    `${code} MutatingWebhookConfiguration istio-sidecar-injector webhooks[0].clientConfig.url`,
  ];
  assert.deepEqual(at('https://istiod.example.com/inject'), []);
  assert.deepEqual(at('https://192.0.2.1/inject'), line('IST0164'));
  assert.deepEqual(at('http://istiod.example.com/inject'), line('IST0163'));
  assert.deepEqual(at('https://localhost/inject'), line('IST0163'));
});

test('the webhooks that the chart renders do not meet, also with a second revision', () => {
  const chart = loadChart(join(import.meta.dirname, '..', '..', '..', 'charts', 'manifests', 'istiod'));
  const revisions: readonly JsonObject[] = [{}, { revision: 'canary' }];
  const objects = revisions.flatMap((values) =>
    renderChart(chart, { values, release: { name: 'istiod', namespace: 'istio-system' } }).manifests.map(
      ({ object }) => object,
    ),
  );
  assert.deepEqual(findings(webhooks, '', { clusters: [{ cluster: 'Kubernetes', objects }] }), []);
});
