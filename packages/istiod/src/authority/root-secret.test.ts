import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { createIntermediate, createRootCertificate, loadAuthority } from '@istio-ts/security';
import { FakeCluster } from '../fake-cluster.test-support.ts';
import { loadOrCreateRoot, materialFromSecret, RootSecretError, selfSignedSecretName } from './root-secret.ts';

const now = new Date();
const options = { namespace: 'istio-system', trustDomain: 'cluster.local', now };
const encode = (text: string) => Buffer.from(text).toString('base64');
const secret = (name: string, data: Readonly<Record<string, string>>) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, namespace: 'istio-system' },
  data: Object.fromEntries(Object.entries(data).map(([key, text]) => [key, encode(text)])),
});

test('the first start makes a root, the second one finds it', async () => {
  const cluster = new FakeCluster();
  const first = await loadOrCreateRoot(cluster.client, options);
  const second = await loadOrCreateRoot(cluster.client, options);
  assert.equal(first.source, 'new');
  assert.equal(second.source, 'self-signed');
  assert.equal(second.material.root, first.material.root);
  assert.equal(second.material.key, first.material.key);
  loadAuthority(second.material);
});

test('two replicas that start at once sign with the same root', async () => {
  const cluster = new FakeCluster();
  const [a, b] = await Promise.all([
    loadOrCreateRoot(cluster.client, options),
    loadOrCreateRoot(cluster.client, options),
  ]);
  assert.equal(a.material.root, b.material.root);
  assert.equal(a.material.key, b.material.key);
});

test("the operator's CA is taken before the self-signed one", async () => {
  const cluster = new FakeCluster();
  await loadOrCreateRoot(cluster.client, options);
  const root = createRootCertificate({ organization: 'operator', now });
  const intermediate = createIntermediate(root, { organization: 'operator', commonName: 'cluster one', now });
  cluster.put(
    kubernetesTypes.Secret,
    secret('cacerts', {
      'ca-cert.pem': intermediate.certificate,
      'ca-key.pem': intermediate.key,
      'cert-chain.pem': intermediate.chain,
      'root-cert.pem': intermediate.root,
    }),
  );
  const { source, material } = await loadOrCreateRoot(cluster.client, options);
  assert.equal(source, 'plugged in');
  assert.equal(loadAuthority(material).root, root.certificate);
});

test('a secret of type kubernetes.io/tls', () => {
  const root = createRootCertificate({ organization: 'operator', now });
  const intermediate = createIntermediate(root, { organization: 'operator', commonName: 'cluster one', now });
  const material = materialFromSecret(
    secret('cacerts', { 'tls.crt': intermediate.certificate, 'tls.key': intermediate.key, 'ca.crt': root.certificate }),
  );
  assert.equal(loadAuthority(material).root, root.certificate);
});

test('a secret without a part says which', () => {
  const { certificate } = createRootCertificate({ organization: 'x', now });
  const refuses = (data: Readonly<Record<string, string>>, message: RegExp) =>
    assert.throws(
      () => materialFromSecret(secret(selfSignedSecretName, data)),
      (error: Error) => error instanceof RootSecretError && message.test(error.message),
    );
  refuses({}, /istio-system\/istio-ca-secret has no ca-cert.pem/);
  refuses({ 'ca-cert.pem': certificate }, /has no ca-key.pem/);
});
