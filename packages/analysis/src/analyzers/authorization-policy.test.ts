import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clusterObjects, findings } from '../analysis.test-support.ts';
import { authorizationPolicy } from './authorization-policy.ts';

const namespace = 'apiVersion: v1\nkind: Namespace\nmetadata: {name: team-a}\n---\n';
const policy = (spec: string) =>
  `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p}\nspec: ${spec}\n---\n`;
const inCluster = (yaml: string) =>
  findings(authorizationPolicy, '', {
    clusters: [{ cluster: 'Kubernetes', objects: clusterObjects(namespace + yaml) }],
  });
const from = (names: string) => `{rules: [{from: [{source: {namespaces: [${names}]}}]}]}`;

test('namespaces', () => {
  assert.deepEqual(inCluster(policy(from('team-a, "team-*", "*-a", "*"'))), []);
  assert.deepEqual(inCluster(policy(from('team-a, team-b'))), [
    'IST0101 AuthorizationPolicy default/p spec.rules[0].from[0].source.namespaces[1]',
  ]);
  assert.deepEqual(findings(authorizationPolicy, policy(from('team-b'))), []);
});

test('the provider of a CUSTOM policy', () => {
  const yaml = policy('{action: CUSTOM, provider: {name: opa}, rules: [{}]}');
  assert.deepEqual(findings(authorizationPolicy, yaml), ['IST0101 AuthorizationPolicy default/p spec.provider.name']);
  const mesh =
    'extensionProviders: [{name: opa, envoyExtAuthzGrpc: {service: opa.default.svc.cluster.local, port: 9191}}]';
  assert.deepEqual(findings(authorizationPolicy, yaml, { meshConfigYaml: mesh }), []);
});

test('a provider of another kind, without its service or its port', () => {
  const yaml = policy('{action: CUSTOM, provider: {name: opa}, rules: [{}]}');
  const at = ['IST0101 AuthorizationPolicy default/p spec.provider.name'];
  const service = `apiVersion: v1
kind: Service
metadata: {name: opa, namespace: default}
spec: {clusterIP: 10.0.0.1, ports: [{name: grpc, port: 9191}]}
---
`;
  const seen = (provider: string, more = '') =>
    findings(authorizationPolicy, '', {
      clusters: [{ cluster: 'Kubernetes', objects: clusterObjects(namespace + yaml + more) }],
      meshConfigYaml: `extensionProviders: [{name: opa, ${provider}}]`,
    });
  const grpc = (port: number) => `envoyExtAuthzGrpc: {service: opa.default.svc.cluster.local, port: ${port}}`;
  assert.deepEqual(seen('zipkin: {service: opa.default.svc.cluster.local, port: 9191}', service), at);
  assert.deepEqual(seen(grpc(9191)), at);
  assert.deepEqual(seen(grpc(9192), service), at);
  assert.deepEqual(seen(grpc(9191), service), []);
});
