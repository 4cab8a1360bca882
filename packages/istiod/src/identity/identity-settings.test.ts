import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Environment } from '../environment.ts';
import { flaggedCertificate, IdentitySettingsError, readIdentitySettings } from './identity-settings.ts';

const read = (env: Environment) => readIdentitySettings(env, ['istio-ca']);

test('nobody but the API server is believed unless it is said', () => {
  assert.deepEqual(read({}), {
    issuers: [],
    nodeAccounts: new Set(),
    externalCa: undefined,
    needsMeshAuthority: false,
    ownCertificate: { kind: 'ca' },
  });
  // Inside Kubernetes the API server judges its own issuer's tokens.
  assert.deepEqual(read({ TOKEN_ISSUER: 'https://k8s.example', KUBERNETES_SERVICE_HOST: '10.0.0.1' }).issuers, []);
});

test('issuers, node proxies and signers', () => {
  const issuer = 'https://issuer.example';
  assert.deepEqual(
    read({ JWT_RULE: JSON.stringify({ issuer, jwksUri: `${issuer}/keys`, audiences: ['a'] }) }).issuers,
    [{ issuer, audiences: ['a'], jwksUri: `${issuer}/keys`, jwks: '' }],
  );
  assert.deepEqual(read({ TOKEN_ISSUER: issuer }).issuers, [
    { issuer, audiences: ['istio-ca'], jwksUri: '', jwks: '' },
  ]);
  assert.deepEqual(read({ TOKEN_ISSUER: issuer, AUDIENCE: 'mesh' }).issuers[0]?.audiences, ['mesh']);
  assert.deepEqual(
    read({ CA_TRUSTED_NODE_ACCOUNTS: 'istio-system/ztunnel, kube-system/ztunnel' }).nodeAccounts,
    new Set(['istio-system/ztunnel', 'kube-system/ztunnel']),
  );
  const provider = 'k8s.io/clusterissuers.example/mesh';
  assert.deepEqual(read({ PILOT_CERT_PROVIDER: provider }).ownCertificate, {
    kind: 'signer',
    signer: 'clusterissuers.example/mesh',
  });
  assert.deepEqual(read({ EXTERNAL_CA: 'ISTIOD_RA_KUBERNETES_API', K8S_SIGNER: 'example.com/a' }).externalCa, {
    defaultSigner: 'example.com/a',
    signerDomain: '',
  });
});

test('what cannot work is refused by the name of the variable', () => {
  const cases: readonly (readonly [Environment, RegExp])[] = [
    [{ PILOT_CERT_PROVIDER: 'kubernetes' }, /PILOT_CERT_PROVIDER: "kubernetes"/],
    [{ JWT_RULE: 'x' }, /JWT_RULE: it is not JSON/],
    [{ JWT_RULE: '{}' }, /JWT_RULE: it has no issuer/],
    [{ JWT_RULE: '{"issuer":"kubernetes/serviceaccount"}' }, /no URL to fetch keys from/],
    [{ JWT_RULE: '{"issuer":"https://a","fromHeaders":[]}' }, /the field fromHeaders/],
    [{ JWT_RULE: '{"issuer":"https://a","audiences":[1]}' }, /audiences is no list/],
    [{ TOKEN_ISSUER: 'file:///a' }, /TOKEN_ISSUER/],
    [{ CA_TRUSTED_NODE_ACCOUNTS: 'ztunnel' }, /CA_TRUSTED_NODE_ACCOUNTS: "ztunnel"/],
    [{ EXTERNAL_CA: 'VAULT' }, /EXTERNAL_CA: "VAULT" is not known/],
    [{ EXTERNAL_CA: 'ISTIOD_RA_KUBERNETES_API' }, /needs a signer/],
    [{ EXTERNAL_CA: 'ISTIOD_RA_KUBERNETES_API', K8S_SIGNER: 'a' }, /K8S_SIGNER: "a"/],
  ];
  for (const [env, message] of cases)
    assert.throws(
      () => read(env),
      (error) => error instanceof IdentitySettingsError && message.test(error.message),
    );
});

test('the CA of the mesh configuration signs with ISTIOD_RA_ISTIO_API, never istiod', () => {
  const { externalCa, needsMeshAuthority } = read({ EXTERNAL_CA: 'ISTIOD_RA_ISTIO_API' });
  assert.deepEqual([externalCa, needsMeshAuthority], [undefined, true]);
});

test('flags name the files of istiod’s own certificate, all that it needs', () => {
  const none = { certificate: undefined, key: undefined, root: undefined };
  assert.equal(flaggedCertificate(none), undefined);
  const at = { certificate: '/tls.crt', key: '/tls.key', root: '/ca.crt' };
  assert.deepEqual(flaggedCertificate(at), { kind: 'files', at });
  assert.throws(() => flaggedCertificate({ ...none, certificate: '/tls.crt' }), /--tlsKeyFile is missing/);
  assert.throws(() => flaggedCertificate({ ...none, root: '/ca.crt' }), /--tlsCertFile is missing/);
});
