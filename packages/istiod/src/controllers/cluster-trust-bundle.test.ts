import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TRUST_BUNDLE_NAME } from '@istio-ts/injector';
import { KubeApiError, type ResourceType } from '@istio-ts/kube';
import { createRootCertificate } from '@istio-ts/security';
import { FakeCluster, settle } from '../fake-cluster.test-support.ts';
import { keepClusterTrustBundle } from './cluster-trust-bundle.ts';

const bundles = (version: string): ResourceType => ({
  group: 'certificates.k8s.io',
  version,
  resource: 'clustertrustbundles',
  kind: 'ClusterTrustBundle',
  namespaced: false,
});
const anchor = (organization: string): string => createRootCertificate({ organization, now: new Date() }).root;
const [old, recent] = [anchor('old'), anchor('recent')];
const lines: string[] = [];
const log = { debug() {}, info() {}, warn: (line: string) => void lines.push(line), error() {} };

test('the bundle follows the root, and is left alone while it is right', async () => {
  const cluster = new FakeCluster();
  let root = old;
  const keeper = keepClusterTrustBundle(cluster.client, () => root, log);
  await settle();
  const spec = () => cluster.get(bundles('v1'), undefined, TRUST_BUNDLE_NAME)?.spec;
  assert.deepEqual(spec(), { signerName: 'istio.io/istiod-ca', trustBundle: old });
  keeper.refresh();
  await settle();
  assert.equal(cluster.writes.length, 1);
  // The API server refuses an anchor that stands twice.
  root = old + recent + old;
  keeper.refresh();
  await settle();
  assert.deepEqual(spec(), { signerName: 'istio.io/istiod-ca', trustBundle: old + recent });
  keeper.close();
});

test('an older version is taken where the newest is not served, and without any that is said once', async () => {
  const cluster = new FakeCluster();
  let served: readonly string[] = ['v1beta1'];
  const { client } = cluster;
  const notServed = (type: ResourceType) => {
    if (!served.includes(type.version))
      throw new KubeApiError(404, 'NotFound', 'could not find the requested resource');
  };
  const keeper = keepClusterTrustBundle(
    {
      get: async (type, name, namespace) => {
        notServed(type);
        return client.get(type, name, namespace);
      },
      create: async (type, object) => {
        notServed(type);
        return client.create(type, object);
      },
      update: client.update,
    },
    () => old,
    log,
  );
  await settle();
  assert.equal(keeper.isServed(), true);
  assert.equal(
    cluster.get(bundles('v1beta1'), undefined, TRUST_BUNDLE_NAME)?.apiVersion,
    'certificates.k8s.io/v1beta1',
  );
  served = [];
  for (let i = 0; i < 3; i++) {
    keeper.refresh();
    await settle();
  }
  assert.deepEqual(lines, [
    'this API server serves no ClusterTrustBundle: the root certificates are in the ConfigMaps alone, and pods mount these',
  ]);
  assert.equal(keeper.isServed(), false);
  keeper.close();
});
