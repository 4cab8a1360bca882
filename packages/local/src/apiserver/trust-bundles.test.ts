import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createRootCertificate } from '@istio-ts/security';
import { startTestServer, type TestServer } from './test-support.ts';

const BUNDLES = '/apis/certificates.k8s.io/v1beta1/clustertrustbundles';
const anchor = (organization: string): string => createRootCertificate({ organization, now: new Date() }).root;
const bundle = (name: string, spec: object) => ({
  apiVersion: 'certificates.k8s.io/v1beta1',
  kind: 'ClusterTrustBundle',
  metadata: { name },
  spec,
});

describe('ClusterTrustBundles', () => {
  let server: TestServer;
  const [one, two] = [anchor('one'), anchor('two')];
  before(async () => {
    server = await startTestServer();
  });
  after(() => server.close());
  const create = (name: string, spec: object, token?: string) =>
    server.call('POST', BUNDLES, bundle(name, spec), token === undefined ? {} : { authorization: `Bearer ${token}` });

  it('are served in both versions, and found by their signer', async () => {
    assert.equal((await create('anybody', { trustBundle: one })).status, 201);
    const spec = { signerName: 'example.com/ca', trustBundle: one + two };
    assert.equal((await create('example.com:ca:roots', spec)).status, 201);
    const older = await server.call('GET', `${BUNDLES.replace('v1beta1', 'v1alpha1')}/example.com:ca:roots`);
    assert.equal(older.body.apiVersion, 'certificates.k8s.io/v1alpha1');
    assert.deepEqual(older.body.spec, spec);
    const found = await server.call('GET', `${BUNDLES}?fieldSelector=spec.signerName%3Dexample.com/ca`);
    assert.deepEqual(
      found.body.items.map((item: { metadata: { name: string } }) => item.metadata.name),
      ['example.com:ca:roots'],
    );
    const { stdout } = await server.kubectl(['get', 'clustertrustbundles']);
    assert.match(stdout, /NAME +SIGNERNAME +AGE\n/);
    assert.match(stdout, /example\.com:ca:roots +example\.com\/ca/);
  });

  it('need a name under their signer, and certificates', async () => {
    for (const [name, spec, reason] of [
      ['a:b', { trustBundle: one }, /must not have \\?":\\?"/],
      ['roots', { signerName: 'example.com/ca', trustBundle: one }, /must be named with prefix example\.com:ca:/],
      ['none', { trustBundle: '' }, /at least one trust anchor/],
      ['twice', { trustBundle: one + one }, /duplicate/],
      ['key', { trustBundle: one.replaceAll('CERTIFICATE', 'PRIVATE KEY') }, /bad block type/],
      ['text', { trustBundle: one.replace(/\nMII./, '\nAAAA') }, /does not parse/],
    ] as const) {
      const { status, body } = await create(name, spec);
      assert.equal(status, 422, name);
      assert.match(JSON.stringify(body), reason, name);
    }
    const changed = bundle('anybody', { signerName: 'example.com/ca', trustBundle: one });
    assert.equal((await server.call('PUT', `${BUNDLES}/anybody`, changed)).status, 422);
  });

  it('of a signer are written by whom the signer may be attested by', async () => {
    const rbac = 'rbac.authorization.k8s.io';
    const token = (
      await server.call('POST', '/api/v1/namespaces/default/serviceaccounts/default/token', {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: {},
      })
    ).body.status.token as string;
    const role = (rules: readonly object[]) => ({
      apiVersion: `${rbac}/v1`,
      kind: 'ClusterRole',
      metadata: { name: 'writer' },
      rules,
    });
    const writing = { apiGroups: ['certificates.k8s.io'], resources: ['clustertrustbundles'], verbs: ['create'] };
    await server.call('POST', `/apis/${rbac}/v1/clusterroles`, role([writing]));
    await server.call('POST', `/apis/${rbac}/v1/clusterrolebindings`, {
      apiVersion: `${rbac}/v1`,
      kind: 'ClusterRoleBinding',
      metadata: { name: 'writer' },
      roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: 'writer' },
      subjects: [{ kind: 'ServiceAccount', name: 'default', namespace: 'default' }],
    });
    const spec = { signerName: 'mesh.example/ca', trustBundle: two };
    const refused = await create('mesh.example:ca:roots', spec, token);
    assert.equal(refused.status, 403);
    assert.match(refused.body.message, /attest/);
    const attesting = {
      apiGroups: ['certificates.k8s.io'],
      resources: ['signers'],
      resourceNames: ['mesh.example/ca'],
      verbs: ['attest'],
    };
    await server.call('PUT', `/apis/${rbac}/v1/clusterroles/writer`, role([writing, attesting]));
    assert.equal((await create('mesh.example:ca:roots', spec, token)).status, 201);
    assert.equal((await create('unsigned', { trustBundle: two }, token)).status, 201);
  });
});
