import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { istioTypes, kubernetesTypes } from '@istio-ts/api/resource-types';
import { eventually } from '@istio-ts/envoy/testing/eventually';
import { startIstiod } from './istiod.test-support.ts';

const broken = {
  apiVersion: 'networking.istio.io/v1alpha3',
  kind: 'EnvoyFilter',
  metadata: { name: 'broken', namespace: 'shop' },
  spec: { configPatches: [{ applyTo: 'CLUSTER', patch: { operation: 'MERGE', value: { no_such_field: 1 } } }] },
};

const secret = (namespace: string, name: string) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  type: 'kubernetes.io/tls',
  metadata: { name, namespace },
  data: { 'tls.crt': 'YQ==', 'tls.key': 'Yg==' },
});

describe('istiod with the rights of the chart, on an API server that enforces them', () => {
  for (const [name, values] of [
    ['by default', {}],
    [
      'with Secrets of named namespaces only, taints of nodes, and a revision',
      { revision: 'canary', secretNamespaces: ['edge'], taint: { enabled: true, namespace: 'kube-system' } },
    ],
  ] as const)
    it(`${name}: does its work and is refused nothing`, async () => {
      const istiod = await startIstiod({
        values,
        objects: [broken, secret('edge', 'site'), secret('shop', 'other')],
      });
      try {
        await eventually('root certificates in namespaces', () =>
          istiod.client.get(kubernetesTypes.ConfigMap, 'istio-ca-root-cert', 'shop').then(
            () => true,
            () => false,
          ),
        );
        await eventually('the status of an object that is refused', async () =>
          JSON.stringify(await istiod.client.get(istioTypes.EnvoyFilter, 'broken', 'shop')).includes('"Accepted"'),
        );
        assert.doesNotMatch(istiod.output(), /forbidden/i);
        const authorization = `Bearer ${await istiod.token('istio-system', `istiod${'revision' in values ? '-canary' : ''}`)}`;
        const ask = async (method: string, path: string, body?: unknown): Promise<number> =>
          (await istiod.api.call(method, path, body, { authorization })).status;
        assert.equal(await ask('GET', '/api/v1/namespaces/edge/secrets'), 200);
        assert.equal(await ask('GET', '/api/v1/namespaces/shop/secrets'), 'secretNamespaces' in values ? 403 : 200);
        for (const path of [
          '/apis/apps/v1/deployments',
          '/apis/rbac.authorization.k8s.io/v1/clusterroles',
          '/api/v1/serviceaccounts',
        ])
          assert.equal(await ask('GET', path), 403, path);
        const inShop = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'planted', namespace: 'shop' } };
        assert.equal(await ask('POST', '/api/v1/namespaces/shop/secrets', inShop), 403);
      } finally {
        await istiod.close();
      }
    });
});
