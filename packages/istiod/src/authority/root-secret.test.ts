import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createIntermediate, createRootCertificate, loadAuthority, P256 } from '@istio-ts/security';
import { FakeCluster } from '../fake-cluster.test-support.ts';
import { MaterialError } from './material.ts';
import { materialFromSecret, selfSignedSecret, selfSignedSecretName } from './root-secret.ts';

const now = new Date();
const rule = { organization: 'cluster.local', rootTtlMs: 3_600_000, algorithm: P256 };
const options = { namespace: 'istio-system', name: selfSignedSecretName, rule, now };
const encode = (text: string) => Buffer.from(text).toString('base64');
const secret = (name: string, data: Readonly<Record<string, string>>) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, namespace: 'istio-system' },
  data: Object.fromEntries(Object.entries(data).map(([key, text]) => [key, encode(text)])),
});

test('the first start makes a root, the second one finds it', async () => {
  const cluster = new FakeCluster();
  const first = await selfSignedSecret(cluster.client, options);
  const second = await selfSignedSecret(cluster.client, options);
  assert.equal(first.isNew, true);
  assert.equal(second.isNew, false);
  assert.deepEqual(materialFromSecret(second.secret), materialFromSecret(first.secret));
  loadAuthority(materialFromSecret(second.secret));
});

test('two replicas that start at once sign with the same root', async () => {
  const cluster = new FakeCluster();
  const [a, b] = await Promise.all([
    selfSignedSecret(cluster.client, options),
    selfSignedSecret(cluster.client, options),
  ]);
  assert.deepEqual(materialFromSecret(a.secret), materialFromSecret(b.secret));
});

test('a secret of type kubernetes.io/tls, whose certificate is followed by those above it', () => {
  const root = createRootCertificate({ organization: 'operator', now });
  const upper = createIntermediate(root, { organization: 'operator', commonName: 'all clusters', now });
  const lower = createIntermediate(upper, { organization: 'operator', commonName: 'cluster one', now });
  const material = materialFromSecret(
    secret('cacerts', { 'tls.crt': lower.chain, 'tls.key': lower.key, 'ca.crt': root.certificate }),
  );
  assert.equal(loadAuthority(material).root, root.certificate);
});

test('a secret without a part says which', () => {
  const { certificate } = createRootCertificate({ organization: 'x', now });
  const refuses = (data: Readonly<Record<string, string>>, message: RegExp) =>
    assert.throws(
      () => materialFromSecret(secret(selfSignedSecretName, data)),
      (error: Error) => error instanceof MaterialError && message.test(error.message),
    );
  refuses({}, /istio-system\/istio-ca-secret has no ca-cert.pem/);
  refuses({ 'ca-cert.pem': certificate }, /has no ca-key.pem/);
});
