import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { statSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { startTestServer, type TestServer } from './test-support.ts';

const TOKEN = '/api/v1/namespaces/default/serviceaccounts/default/token';
const tokenRequest = (spec: object) => ({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec });
const review = (token: string, audiences: readonly string[] = []) => ({
  apiVersion: 'authentication.k8s.io/v1',
  kind: 'TokenReview',
  spec: { token, audiences },
});

describe('access', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer();
  });
  after(() => server.close());

  const overTls = (path: string, headers: Record<string, string> = {}, credentials = false) =>
    new Promise<{ status: number; body: string }>((resolve, reject) => {
      const { caCertificate, adminCertificate, adminKey } = server.server;
      const call = request(
        {
          host: '127.0.0.1',
          port: server.port,
          path,
          headers,
          ca: caCertificate,
          agent: false,
          ...(credentials ? { cert: adminCertificate, key: adminKey } : {}),
        },
        (response) => {
          let body = '';
          response.on('data', (chunk) => {
            body += String(chunk);
          });
          response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
        },
      );
      call.on('error', reject);
      call.end();
    });

  const token = async (spec: object): Promise<string> =>
    (await server.call('POST', TOKEN, tokenRequest(spec))).body.status.token;

  it('is for nobody without credentials, but for health and version', async () => {
    for (const path of ['/healthz', '/livez', '/readyz', '/version'])
      assert.equal((await overTls(path)).status, 200, path);
    for (const path of ['/api', '/apis', '/api/v1/namespaces', '/openapi/v3', '/metrics', '/'])
      assert.equal((await overTls(path)).status, 401, path);
    assert.equal((await overTls('/api/v1/namespaces', { authorization: 'Bearer nonsense' })).status, 401);
    assert.equal((await overTls('/api/v1/namespaces', {}, true)).status, 200);
  });

  it('has certificates that others can check, and keeps keys to itself', () => {
    const ca = new X509Certificate(server.server.caCertificate);
    const admin = new X509Certificate(server.server.adminCertificate);
    assert.ok(ca.ca && ca.verify(ca.publicKey) && admin.verify(ca.publicKey) && admin.checkIssued(ca));
    assert.match(admin.subject, /O=system:masters\nCN=kubernetes-admin/);
    for (const [file, mode] of [
      ['state', 0o700],
      ['state/ca.key', 0o600],
      ['state/sa.key', 0o600],
      ['api.sock', 0o600],
    ] as const) {
      assert.equal(statSync(join(server.directory, file)).mode & 0o777, mode, file);
    }
  });

  it('issues tokens for audiences and checks them', async () => {
    const istio = await token({ audiences: ['istio-ca'], expirationSeconds: 900 });
    const good = await server.call(
      'POST',
      '/apis/authentication.k8s.io/v1/tokenreviews',
      review(istio, ['istio-ca', 'other']),
    );
    assert.equal(good.body.status.user.username, 'system:serviceaccount:default:default');
    assert.deepEqual(good.body.status.audiences, ['istio-ca']);
    const wrong = await server.call('POST', '/apis/authentication.k8s.io/v1/tokenreviews', review(istio));
    assert.equal(wrong.body.status.authenticated, false);
    const [header, body, signature = ''] = istio.split('.');
    const forged = `${header}.${body}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`;
    assert.equal(
      (await server.call('POST', '/apis/authentication.k8s.io/v1/tokenreviews', review(forged, ['istio-ca']))).body
        .status.authenticated,
      false,
    );
    const none = Buffer.from('{"alg":"none"}').toString('base64url');
    assert.equal(
      (
        await server.call(
          'POST',
          '/apis/authentication.k8s.io/v1/tokenreviews',
          review(`${none}.${body}.`, ['istio-ca']),
        )
      ).body.status.authenticated,
      false,
    );
    assert.equal((await overTls('/api', { authorization: `Bearer ${istio}` })).status, 401);
    assert.equal((await overTls('/api', { authorization: `Bearer ${await token({})}` })).status, 200);
  });

  it('ends a token with the pod it is bound to', async () => {
    const pod = await server.call('POST', '/api/v1/namespaces/default/pods', {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'bound' },
      spec: { containers: [{ name: 'a', image: 'a' }] },
    });
    const bound = await token({
      boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'bound', uid: pod.body.metadata.uid },
    });
    const check = async () =>
      (await server.call('POST', '/apis/authentication.k8s.io/v1/tokenreviews', review(bound))).body.status;
    assert.deepEqual((await check()).user.extra['authentication.kubernetes.io/pod-name'], ['bound']);
    await server.call('DELETE', '/api/v1/namespaces/default/pods/bound');
    assert.equal((await check()).authenticated, false);
  });

  it('follows roles and bindings', async () => {
    const bearer = { authorization: `Bearer ${await token({})}` };
    const secrets = '/api/v1/namespaces/default/secrets';
    const before = await server.call('GET', secrets, undefined, bearer);
    assert.equal(before.status, 403);
    assert.equal(
      before.body.message,
      'secrets is forbidden: User "system:serviceaccount:default:default" cannot list resource "secrets" in API group "" in the namespace "default"',
    );
    const rbac = '/apis/rbac.authorization.k8s.io/v1';
    await server.call('POST', `${rbac}/namespaces/default/roles`, {
      metadata: { name: 'reader' },
      rules: [{ apiGroups: [''], resources: ['secrets'], verbs: ['list'] }],
    });
    await server.call('POST', `${rbac}/namespaces/default/rolebindings`, {
      metadata: { name: 'reader' },
      roleRef: { kind: 'Role', name: 'reader' },
      subjects: [{ kind: 'ServiceAccount', name: 'default', namespace: 'default' }],
    });
    assert.equal((await server.call('GET', secrets, undefined, bearer)).status, 200);
    assert.equal((await server.call('GET', '/api/v1/namespaces/kube-system/secrets', undefined, bearer)).status, 403);
    assert.equal((await server.call('GET', `${secrets}/x`, undefined, bearer)).status, 403);
    const ask = async (verb: string) =>
      (
        await server.call(
          'POST',
          '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
          { spec: { resourceAttributes: { verb, resource: 'secrets', namespace: 'default' } } },
          bearer,
        )
      ).body.status.allowed;
    assert.deepEqual([await ask('list'), await ask('delete')], [true, false]);
  });

  it('aggregates the roles view, edit and admin', async () => {
    const { body } = await server.call('GET', '/apis/rbac.authorization.k8s.io/v1/clusterroles/view');
    assert.ok(body.rules.some((rule: { resources: string[] }) => rule.resources.includes('pods')));
    assert.ok(!body.rules.some((rule: { resources: string[] }) => rule.resources.includes('secrets')));
  });

  it('lets administrators impersonate others, and nobody else', async () => {
    const user = { 'impersonate-user': 'jane' };
    const who = await server.call('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {}, user);
    assert.deepEqual(who.body.status.userInfo, { username: 'jane', groups: ['system:authenticated'] });
    const bearer = { authorization: `Bearer ${await token({})}` };
    assert.equal((await server.call('GET', '/api', undefined, { ...user, ...bearer })).status, 403);
  });
});
