import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clusterObjects, findings } from '../analysis.test-support.ts';
import { podInjection } from './pod-injection.ts';

const world = `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Namespace
metadata: {name: canary, labels: {istio.io/rev: canary}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio-sidecar-injector, namespace: istio-system}
data:
  values: '{"global":{"hub":"docker.io/istio","tag":"1.30.0","proxy":{"image":"proxyv2"}}}'
---
`;
const pod = (name: string, spec: string, more = '', namespace = 'shop') =>
  `apiVersion: v1\nkind: Pod\nmetadata: {name: ${name}, namespace: ${namespace}${more}}\nspec: ${spec}\n---\n`;
const app = '{name: app, image: app}';
const proxy = (image = 'docker.io/istio/proxyv2:1.30.0') => `{name: istio-proxy, image: "${image}"}`;
const inCluster = (yaml: string) =>
  findings(podInjection, '', { clusters: [{ cluster: 'Kubernetes', objects: clusterObjects(world + yaml) }] });

test('a pod without a proxy where one is asked for', () => {
  assert.deepEqual(inCluster(pod('bare', `{containers: [${app}]}`)), ['IST0103 Pod shop/bare']);
});

test('a proxy beside the application or among its init containers is one', () => {
  assert.deepEqual(inCluster(pod('a', `{containers: [${app}, ${proxy()}]}`)), []);
  assert.deepEqual(inCluster(pod('b', `{initContainers: [${proxy()}], containers: [${app}]}`)), []);
});

test('pods that refuse, that are on the network of their node, that have ended or belong to another revision', () => {
  const yaml =
    pod('refuses', `{containers: [${app}]}`, ', labels: {sidecar.istio.io/inject: "false"}') +
    pod('node', `{hostNetwork: true, containers: [${app}]}`) +
    pod('other', `{containers: [${app}]}`, '', 'canary') +
    `${pod('ended', `{containers: [${app}]}`).replace('---\n', '')}status: {phase: Succeeded}\n---\n`;
  assert.deepEqual(inCluster(yaml), []);
});

test('proxies of another image are listed at their namespace; a pod may choose its own', () => {
  const old = 'docker.io/istio/proxyv2:1.29.0';
  const yaml =
    pod('old', `{containers: [${app}, ${proxy(old)}]}`) +
    pod('own', `{containers: [${app}, ${proxy(old)}]}`, `, annotations: {sidecar.istio.io/proxyImage: "${old}"}`);
  assert.deepEqual(inCluster(yaml), ['IST0158 Namespace shop']);
});

test('a pod of a file is not injected yet', () => {
  assert.deepEqual(findings(podInjection, world + pod('new', `{containers: [${app}]}`)), []);
});
