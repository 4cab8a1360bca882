// Signers of the cluster as CA, on Kubernetes' own API server: it, and not ours, says what requests, approvals and certificates have to look like.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { TRUST_BUNDLE_NAME } from '@istio-ts/injector';
import { createKubernetesSigner } from '@istio-ts/istiod/ca/kubernetes-signer';
import { keepClusterTrustBundle } from '@istio-ts/istiod/controllers/cluster-trust-bundle';
import { createKubeClient, type KubeObject, loadKubeConfig } from '@istio-ts/kube';
import {
  createCsr,
  createRootCertificate,
  generatePrivateKey,
  loadAuthority,
  parseCsr,
  parseSpiffe,
} from '@istio-ts/security';
import { customAuthority } from './security/custom-ca.ts';
import { obstacle } from './support/cluster.ts';
import { ownCluster } from './support/own-cluster.ts';
import { obstacleToRealApiServer, startRealApiServer } from './support/real-api-server.ts';
import { until } from './support/shell.ts';

const TYPE = kubernetesTypes.CertificateSigningRequest;
const TRUST_BUNDLES = {
  group: 'certificates.k8s.io',
  resource: 'clustertrustbundles',
  kind: 'ClusterTrustBundle',
  namespaced: false,
} as const;
const identity = { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'cart' };
const uri = 'spiffe://cluster.local/ns/shop/sa/cart';

test('a signer of the cluster gives certificates', { skip: obstacleToRealApiServer() }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'external-ca-'));
  const api = await startRealApiServer(directory);
  const client = createKubeClient(loadKubeConfig({ env: {}, kubeconfig: api.kubeconfig }));
  const root = createRootCertificate({ organization: 'outside', now: new Date() });
  const sign = async (object: KubeObject): Promise<void> => {
    const { request } = object.spec as { readonly request: string };
    const status = (object.status ?? {}) as { conditions?: { type: string }[]; certificate?: string };
    if (status.certificate || !status.conditions?.some(({ type }) => type === 'Approved')) return;
    const csr = Buffer.from(request, 'base64').toString();
    const wanted = parseSpiffe(parseCsr(csr).altNames[0]?.value ?? '');
    const { chain } = loadAuthority(root).sign({ csr, identity: wanted, ttl: 3_600_000, now: new Date() });
    const certificate = Buffer.from(chain).toString('base64');
    await client.update(TYPE, { ...object, status: { ...status, certificate } }, { subresource: 'status' });
  };
  let isAway = false;
  const watch = client.watch(TYPE, {}, (event) => {
    if (!isAway && (event.type === 'ADDED' || event.type === 'MODIFIED')) sign(event.object).catch(() => undefined);
  });
  try {
    const signerThatWaits = (timeoutMs: number) =>
      createKubernetesSigner({
        client,
        defaultSigner: 'example.com/mesh',
        signerDomain: '',
        defaultTtlMs: 24 * 3_600_000,
        maxTtlMs: 90 * 24 * 3_600_000,
        roots: () => root.root,
        mountedRoot: () => undefined,
        sleep,
        now: () => new Date(),
        timeoutMs,
        log: { debug() {}, info() {}, warn() {}, error() {} },
      });
    // Shorter than Kubernetes takes: it is asked for the shortest that it does.
    for (const ttl of [60_000, undefined]) {
      const csr = createCsr(generatePrivateKey(), [{ kind: 'uri', value: uri }]);
      const issued = await signerThatWaits(60_000).sign({ csr, identity, ttl, now: new Date() });
      assert.equal(new X509Certificate(issued.certificate).subjectAltName, `URI:${uri}`);
      assert.equal(issued.root, root.root);
    }
    isAway = true;
    const csr = createCsr(generatePrivateKey(), [{ kind: 'uri', value: uri }]);
    await assert.rejects(async () => signerThatWaits(2000).sign({ csr, identity, now: new Date() }), {
      status: 'DEADLINE_EXCEEDED',
    });
    await until('the requests to be removed', async () => (await client.list(TYPE)).items.length === 0 || undefined);
  } finally {
    watch.close();
    client.close();
    await api.close();
    rmSync(directory, { recursive: true, force: true });
  }
});

test('ClusterTrustBundles are as Kubernetes wants them', { skip: obstacleToRealApiServer() }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'trust-bundles-'));
  const api = await startRealApiServer(directory, [
    '--feature-gates=ClusterTrustBundle=true',
    '--runtime-config=certificates.k8s.io/v1beta1/clustertrustbundles=true,certificates.k8s.io/v1alpha1/clustertrustbundles=true',
  ]);
  const client = createKubeClient(loadKubeConfig({ env: {}, kubeconfig: api.kubeconfig }));
  const [first = '', second = ''] = ['first', 'second'].map(
    (organization) => createRootCertificate({ organization, now: new Date() }).root,
  );
  let roots = first + first;
  const complaints: string[] = [];
  const log = { debug() {}, info() {}, warn: (text: string) => void complaints.push(text), error() {} };
  const keeper = keepClusterTrustBundle(client, () => roots, log);
  const written = (version: string, wanted: string) =>
    until(`the bundle in ${version}`, async () => {
      const type = { ...TRUST_BUNDLES, version };
      const { spec } = await client.get(type, TRUST_BUNDLE_NAME);
      const { signerName, trustBundle } = spec as { readonly signerName: string; readonly trustBundle: string };
      return (signerName === 'istio.io/istiod-ca' && trustBundle === wanted) || undefined;
    });
  try {
    await written('v1beta1', first);
    roots = `${first}${second}`;
    keeper.refresh();
    await written('v1beta1', first + second);
    await written('v1alpha1', first + second);
    assert.deepEqual(complaints, []);
  } finally {
    keeper.close();
    client.close();
    await api.close();
    rmSync(directory, { recursive: true, force: true });
  }
});

describe('certificates from signers of the cluster', { skip: obstacle() ?? false }, () => {
  customAuthority(ownCluster());
});
