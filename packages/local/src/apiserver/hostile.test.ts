import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { configMap, startTestServer, type TestServer } from './test-support.ts';

const MAPS = '/api/v1/namespaces/default/configmaps';
const RBAC = '/apis/rbac.authorization.k8s.io/v1';

describe('requests that want to stop the server', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer();
    await server.call('POST', MAPS, configMap('victim', { a: 'b' }));
  });
  after(() => server.close());

  it('refuses YAML whose aliases grow without bound', async () => {
    const lines = [
      'apiVersion: v1',
      'kind: ConfigMap',
      'metadata: {name: bomb}',
      'l0: &l0 [x, x, x, x, x, x, x, x, x]',
    ];
    for (let level = 1; level < 10; level++) {
      lines.push(`l${level}: &l${level} [${new Array(9).fill(`*l${level - 1}`).join(', ')}]`);
    }
    const answer = await server.call('POST', MAPS, lines.join('\n'), { 'content-type': 'application/yaml' });
    assert.equal(answer.status, 413);
    assert.match(answer.body.message, /aliases/);
  });

  it('takes YAML with ordinary aliases', async () => {
    const yaml = 'metadata: {name: alias}\ndata:\n  a: &text hello\n  b: *text\n';
    const answer = await server.call('POST', MAPS, yaml, { 'content-type': 'application/yaml' });
    assert.deepEqual(answer.body.data, { a: 'hello', b: 'hello' });
  });

  it('refuses deep nesting in every kind of body', async () => {
    const deep = `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`;
    const types = ['application/merge-patch+json', 'application/strategic-merge-patch+json'];
    for (const type of [...types, 'application/apply-patch+yaml']) {
      const answer = await server.call('PATCH', `${MAPS}/victim?fieldManager=x`, deep, { 'content-type': type });
      assert.equal(answer.status, 400, type);
    }
    assert.equal((await server.call('POST', MAPS, deep)).status, 400);
    assert.equal((await server.call('DELETE', `${MAPS}/victim`, deep)).status, 400);
    const review = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
    assert.equal((await server.call('POST', review, deep)).status, 400);
  });

  it('calls broken YAML without a content type a bad request', async () => {
    assert.equal((await server.call('POST', MAPS, 'a: [b\n c: }')).status, 400);
  });

  it('bounds what the copies of a JSON patch add', async () => {
    const operations: object[] = [{ op: 'add', path: '/data/a', value: 'x'.repeat(1000) }];
    for (let index = 0; index < 40; index++) operations.push({ op: 'copy', from: '/data', path: `/data/k${index}` });
    const type = { 'content-type': 'application/json-patch+json' };
    assert.equal((await server.call('PATCH', `${MAPS}/victim`, operations, type)).status, 413);
    const small = [{ op: 'copy', from: '/data/a', path: '/data/c' }];
    assert.deepEqual((await server.call('PATCH', `${MAPS}/victim`, small, type)).body.data, { a: 'b', c: 'b' });
  });

  it('refuses holes in lists, which those who read them would stumble over', async () => {
    const pods = '/api/v1/namespaces/default/pods';
    const pod = (spec: object) => ({ metadata: { name: 'holes' }, spec });
    const container = { name: 'a', image: 'a' };
    for (const spec of [
      { containers: [null] },
      { containers: [container, null] },
      { containers: [{ ...container, args: [null] }] },
      { containers: [container], volumes: [null] },
    ]) {
      assert.equal((await server.call('POST', pods, pod(spec))).status, 400, JSON.stringify(spec));
    }
    const owners = { metadata: { name: 'holes', ownerReferences: [null] } };
    assert.equal((await server.call('POST', MAPS, owners)).status, 400);
  });

  it('has no field that changes a prototype, however it is written', async () => {
    const body = '{"metadata":{"name":"p"},"\\u005f_proto__":{"data":{"a":"b"}}}';
    assert.equal((await server.call('POST', MAPS, body)).status, 400);
  });
});

describe('escalation of rights', () => {
  let server: TestServer;
  const role = (name: string, rules: readonly object[]) => ({ metadata: { name }, rules });
  const binding = (name: string, kind: string, target: string) => ({
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name: target },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'jane' }],
  });
  const jane = { 'impersonate-user': 'jane' };
  const roles = `${RBAC}/namespaces/default/roles`;
  const bindings = `${RBAC}/namespaces/default/rolebindings`;
  before(async () => {
    server = await startTestServer();
    // Like any administrator of one namespace.
    assert.equal((await server.call('POST', bindings, binding('jane', 'ClusterRole', 'admin'))).status, 201);
  });
  after(() => server.close());

  it('refuses roles with rights that their author does not have', async () => {
    const nodes = role('nodes', [{ apiGroups: [''], resources: ['nodes'], verbs: ['get'] }]);
    const all = role('all', [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }]);
    const maps = role('maps', [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list'] }]);
    for (const refused of [nodes, all]) {
      const answer = await server.call('POST', roles, refused, jane);
      assert.equal(answer.status, 403);
      assert.match(answer.body.message, /attempting to grant RBAC permissions not currently held/);
    }
    assert.equal((await server.call('POST', roles, maps, jane)).status, 201);
    const type = { ...jane, 'content-type': 'application/merge-patch+json' };
    assert.equal((await server.call('PATCH', `${roles}/maps`, { rules: all.rules }, type)).status, 403);
    const labels = { metadata: { labels: { a: 'b' } } };
    assert.equal((await server.call('PATCH', `${roles}/maps`, labels, type)).status, 200);
  });

  it('refuses bindings to roles that hold more than their author', async () => {
    assert.equal(
      (await server.call('POST', bindings, binding('b1', 'ClusterRole', 'cluster-admin'), jane)).status,
      403,
    );
    assert.equal((await server.call('POST', bindings, binding('b2', 'ClusterRole', 'nowhere'), jane)).status, 404);
    assert.equal((await server.call('POST', bindings, binding('b3', 'ClusterRole', 'edit'), jane)).status, 201);
  });

  it('lets those with the verbs escalate and bind do it', async () => {
    const rules = [
      { apiGroups: ['rbac.authorization.k8s.io'], resources: ['roles'], verbs: ['escalate'] },
      {
        apiGroups: ['rbac.authorization.k8s.io'],
        resources: ['clusterroles'],
        verbs: ['bind'],
        resourceNames: ['view'],
      },
    ];
    await server.call('POST', roles, role('more', rules));
    await server.call('POST', bindings, binding('more', 'Role', 'more'));
    const nodes = role('nodes', [{ apiGroups: [''], resources: ['nodes'], verbs: ['get'] }]);
    assert.equal((await server.call('POST', roles, nodes, jane)).status, 201);
    assert.equal((await server.call('POST', bindings, binding('v', 'ClusterRole', 'cluster-admin'), jane)).status, 403);
  });

  it('impersonates service accounts by their own right, and never a group without a user', async () => {
    const own = { 'impersonate-user': 'system:serviceaccount:default:default' };
    const review = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
    const whoami = (await server.call('POST', review, {}, own)).body.status.userInfo;
    assert.equal(whoami.username, own['impersonate-user']);
    assert.equal((await server.call('POST', review, {}, { 'impersonate-group': 'x' })).status, 400);
    const extra = { ...own, 'impersonate-uid': '7', 'impersonate-extra-team%2fname': 'a' };
    const rich = (await server.call('POST', review, {}, extra)).body.status.userInfo;
    assert.equal(rich.uid, '7');
    assert.deepEqual(rich.extra, { 'team/name': ['a'] });
  });
});

describe('tokens of what is gone', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer();
  });
  after(() => server.close());

  it('end with the Secret that they are bound to', async () => {
    const secrets = '/api/v1/namespaces/default/secrets';
    await server.call('POST', secrets, { metadata: { name: 'bound' } });
    const spec = { boundObjectRef: { apiVersion: 'v1', kind: 'Secret', name: 'bound' } };
    const path = '/api/v1/namespaces/default/serviceaccounts/default/token';
    const { token } = (await server.call('POST', path, { spec })).body.status;
    const valid = async () =>
      (await server.call('POST', '/apis/authentication.k8s.io/v1/tokenreviews', { spec: { token } })).body.status
        .authenticated;
    assert.equal(await valid(), true);
    await server.call('DELETE', `${secrets}/bound`);
    assert.equal(await valid(), false);
  });
});

describe('memory of watches', () => {
  it('keeps few large events, and says so to a watch that comes back', async () => {
    const server = await startTestServer();
    try {
      const created = (await server.call('POST', MAPS, configMap('large', { a: '' }))).body;
      for (let index = 0; index < 12; index++) {
        await server.call('PUT', `${MAPS}/large`, configMap('large', { a: String(index).padEnd(1_000_000, 'x') }));
      }
      const from = (revision: string) =>
        server.call('GET', `${MAPS}?watch=1&timeoutSeconds=1&resourceVersion=${revision}`);
      const old = (await from(created.metadata.resourceVersion)).body;
      assert.equal(old.object.code, 410);
    } finally {
      await server.close();
    }
  });
});
