import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rewriteDiscovery, targetGroups } from './rewrite.ts';

const config = `
global: {scrape_interval: 15s}
scrape_configs:
- job_name: own
  static_configs: [{targets: ["localhost:9090"]}]
- job_name: pods
  kubernetes_sd_configs:
  - role: pod
  - role: endpoints
    namespaces: {names: [shop], own_namespace: true}
    selectors: [{role: endpoints, label: app=cart}]
  relabel_configs:
  - {source_labels: [__meta_kubernetes_pod_phase], action: drop, regex: Failed}
`;

test('discovery of Kubernetes becomes discovery over HTTP, everything else stays', () => {
  const { text, discoveries } = rewriteDiscovery(config, (index) => `http://127.0.0.1:1/${index}`);
  const [own, pods] = JSON.parse(text).scrape_configs;
  assert.deepEqual(own, { job_name: 'own', static_configs: [{ targets: ['localhost:9090'] }] });
  assert.equal(pods.kubernetes_sd_configs, undefined);
  assert.deepEqual(
    pods.http_sd_configs.map(({ url }: { url: string }) => url),
    ['http://127.0.0.1:1/0', 'http://127.0.0.1:1/1'],
  );
  assert.equal(pods.relabel_configs[0].regex, 'Failed');
  assert.equal(JSON.parse(text).global.scrape_interval, '15s');
  assert.deepEqual(
    discoveries.map(({ role, namespaces, ownNamespace, labelSelector }) => ({
      role,
      namespaces,
      ownNamespace,
      labelSelector,
    })),
    [
      { role: 'pod', namespaces: [], ownNamespace: false, labelSelector: undefined },
      { role: 'endpoints', namespaces: ['shop'], ownNamespace: true, labelSelector: 'app=cart' },
    ],
  );
});

test('a role that is not known is named with its job', () => {
  const text = 'scrape_configs: [{job_name: edge, kubernetes_sd_configs: [{role: ingress}]}]';
  assert.throws(() => rewriteDiscovery(text, String), /^Error: job edge: .* role "ingress" is not known/);
});

test('targets have their address and the other labels', () => {
  const pod = new Map([
    ['__address__', '10.0.0.1:15020'],
    ['__meta_kubernetes_namespace', 'shop'],
  ]);
  assert.deepEqual(targetGroups([pod, new Map()]), [
    { targets: ['10.0.0.1:15020'], labels: { __meta_kubernetes_namespace: 'shop' } },
  ]);
});
