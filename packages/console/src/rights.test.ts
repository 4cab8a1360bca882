import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { ApiError, ConfigDetail, ConfigList, Rights } from './api.ts';
import { config, deployment, meshed, namespace, service } from './mesh/objects.test-support.ts';
import { ask, startTestCluster, type TestCluster } from './server.test-support.ts';

const rule = (apiGroups: readonly string[], resources: readonly string[], verbs: readonly string[]) => ({
  apiGroups,
  resources,
  verbs,
});
const clusterRole = (name: string, ...rules: readonly unknown[]) =>
  ({ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata: { name }, rules }) as never;

const virtualService = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: api, namespace: shop}
spec:
  hosts: [api]
  http: [{route: [{destination: {host: api}}]}]
`;

describe('rights of callers', () => {
  let cluster: TestCluster;
  let port: number;
  let openPort: number;
  /** May read pods and VirtualServices of shop, and change these. */
  let router: string;
  /** Sees the whole cluster, but VirtualServices in shop only. */
  let seer: string;
  let admin: string;

  before(async () => {
    cluster = await startTestCluster();
    await cluster.create(
      meshed('shop'),
      meshed('bank'),
      namespace('istio-system'),
      ...deployment('shop', 'api', 'v1'),
      ...deployment('bank', 'pay', 'v1'),
      service('shop', 'api'),
      config('VirtualService', 'shop', 'api', {
        hosts: ['api'],
        http: [{ route: [{ destination: { host: 'api' } }] }],
      }),
      config('VirtualService', 'bank', 'pay', {
        hosts: ['pay'],
        http: [{ route: [{ destination: { host: 'pay' } }] }],
      }),
      config('DestinationRule', 'shop', 'api', { host: 'api' }),
      clusterRole(
        'router',
        rule(['', 'apps'], ['pods', 'services', 'deployments'], ['get', 'list']),
        rule(['networking.istio.io'], ['virtualservices'], ['get', 'list', 'update']),
      ),
      clusterRole('seer', rule(['', 'apps'], ['namespaces', 'pods', 'services', 'deployments'], ['get', 'list'])),
      clusterRole('routes', rule(['networking.istio.io'], ['virtualservices'], ['get', 'list'])),
    );
    router = await cluster.token('router', 'router', 'shop');
    seer = await cluster.token('seer', 'seer');
    await cluster.bind('seer', 'routes', 'shop');
    await cluster.create(
      {
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind: 'MutatingWebhookConfiguration',
        metadata: { name: 'istio-sidecar-injector' },
        webhooks: [
          {
            name: 'a.istio.io',
            clientConfig: { service: { namespace: 'istio-system', name: 'istiod', path: '/inject' } },
            sideEffects: 'None',
            admissionReviewVersions: ['v1'],
            failurePolicy: 'Ignore',
            objectSelector: { matchLabels: { none: 'none' } },
          },
        ],
      } as never,
      {
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind: 'ValidatingWebhookConfiguration',
        metadata: { name: 'of-others' },
        webhooks: [],
      } as never,
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'edge', namespace: 'shop' },
        data: { 'tls.key': Buffer.from('private').toString('base64') },
      } as never,
    );
    admin = await cluster.token('admin', 'cluster-admin');
    ({ port } = await cluster.console([]));
    ({ port: openPort } = await cluster.console(['--auth-strategy=anonymous']));
  });
  after(() => cluster?.close());

  const get = async <T>(path: string, token: string, expected = 200): Promise<T> => {
    const { status, text } = await ask(port, path, { headers: { authorization: `Bearer ${token}` } });
    assert.equal(status, expected, text);
    return JSON.parse(text) as T;
  };

  test('a list says which kinds it could not have, and which right was missing', async () => {
    const kinds = 'VirtualService,DestinationRule';
    const { items, unreadable, missing } = await get<ConfigList>(`/api/config?namespaces=shop&kinds=${kinds}`, router);
    assert.deepEqual(
      items.map(({ kind, name }) => `${kind} ${name}`),
      ['VirtualService api'],
    );
    assert.deepEqual(unreadable, ['DestinationRule']);
    assert.deepEqual(missing, [
      {
        verb: 'list',
        group: 'networking.istio.io',
        resource: 'destinationrules',
        namespace: 'shop',
        message: 'You may not list destinationrules of networking.istio.io in namespace shop',
      },
    ]);
    const all = await get<ConfigList>(`/api/config?kinds=${kinds}`, admin);
    assert.equal(all.items.length, 3);
    assert.ok(!('unreadable' in all) && !('missing' in all));
  });

  test('who sees all pods but a kind in one namespace only is shown what there is', async () => {
    const found = await get<ConfigList>('/api/config?kinds=VirtualService', seer);
    assert.deepEqual(
      found.items.map(({ namespace: where, name }) => `${where}/${name}`),
      ['shop/api'],
    );
    assert.deepEqual(found.unreadable, ['VirtualService']);
    assert.ok(found.missing?.some(({ namespace: where }) => where === 'bank'));
    assert.ok(!found.missing?.some(({ namespace: where }) => where === 'shop'));
    const inShop = await get<ConfigList>('/api/config?namespaces=shop&kinds=VirtualService', seer);
    assert.ok(!('missing' in inShop));
  });

  test('what a wizard needs can be asked before it begins', async () => {
    const path = '/api/rights?namespace=shop&kinds=VirtualService,DestinationRule&verbs=list,create,update';
    const { missing } = await get<Rights>(path, router);
    assert.deepEqual(
      missing.map(({ verb, resource }) => `${verb} ${resource}`),
      ['create virtualservices', 'list destinationrules', 'create destinationrules', 'update destinationrules'],
    );
    assert.deepEqual((await get<Rights>(path, admin)).missing, []);
    // The console's own rights, here an administrator's, are not those of who has no token.
    const { json } = await ask<Rights>(openPort, path);
    assert.deepEqual(
      json.missing.map(({ verb, resource }) => `${verb} ${resource}`),
      ['create virtualservices', 'update virtualservices', 'create destinationrules', 'update destinationrules'],
    );
    for (const wrong of ['kinds=Nothing&verbs=get', 'kinds=Sidecar&verbs=watch', 'kinds=Sidecar', 'verbs=get'])
      await get(`/api/rights?${wrong}`, admin, 400);
  });

  test('what is refused names the verb and the resource', async () => {
    const refused = await get<ApiError>('/api/config/DestinationRule/shop/api', router, 403);
    assert.match(refused.message, /^You may not get destinationrules of networking\.istio\.io in namespace shop: /);
    assert.equal(refused.missing?.[0]?.verb, 'get');
    const write = async (method: string, path: string, yaml?: string) => {
      const headers = { authorization: `Bearer ${router}` };
      const { status, text } = await ask(port, path, { method, headers, ...(yaml && { body: { yaml } }) });
      return { status, error: JSON.parse(text) as ApiError };
    };
    const put = await write('PUT', '/api/config/VirtualService/shop/api', virtualService);
    assert.equal(put.status, 200);
    const post = await write('POST', '/api/config', virtualService.replace('name: api', 'name: more'));
    assert.equal(post.status, 403);
    assert.match(
      post.error.message,
      /^You may not create virtualservices of networking\.istio\.io in namespace shop: /,
    );
    const deleted = await write('DELETE', '/api/config/VirtualService/shop/api');
    assert.equal(deleted.error.missing?.[0]?.verb, 'delete');
  });

  test('objects of the cluster, and those of Kubernetes that configuration names', async () => {
    const names = ({ items }: ConfigList) => items.map((each) => `${each.kind} ${each.namespace}/${each.name}`);
    assert.deepEqual(names(await get<ConfigList>('/api/config?namespaces=-', admin)), [
      'MutatingWebhookConfiguration /istio-sidecar-injector',
    ]);
    assert.ok(
      names(await get<ConfigList>('/api/config', admin)).includes(
        'MutatingWebhookConfiguration /istio-sidecar-injector',
      ),
    );
    assert.ok(
      !names(await get<ConfigList>('/api/config?namespaces=shop', admin))
        .join()
        .includes('Webhook'),
    );
    const webhook = await get<ConfigDetail>('/api/config/MutatingWebhookConfiguration/-/istio-sidecar-injector', admin);
    assert.equal(webhook.namespace, '');
    assert.equal(webhook.readOnly, true);
    assert.match(webhook.yaml, /path: \/inject/);
    assert.match((await get<ConfigDetail>('/api/config/Namespace/-/shop', admin)).yaml, /istio-injection: enabled/);
    await get('/api/config/Namespace/-/bank', router, 403);
    assert.match((await get<ConfigDetail>('/api/config/Service/shop/api', router)).yaml, /targetPort: 8080/);
    const secret = await get<ConfigDetail>('/api/config/Secret/shop/edge', admin);
    assert.match(secret.yaml, /tls\.key: 7 bytes, not shown/);
    assert.ok(!secret.yaml.includes(Buffer.from('private').toString('base64')));

    // Kinds and places that do not fit.
    await get('/api/config/Namespace/shop/shop', admin, 400);
    await get('/api/config/VirtualService/-/api', admin, 400);
    await get('/api/config/Namespace/-/no%2Fname', admin, 400);
    await get('/api/config/TokenReview/-/a', admin, 400);
    await get('/api/config/ClusterTrustBundle/-/istio.io:istiod-ca:root-cert', admin, 404);
    // They cannot be changed here.
    const { status } = await ask(port, '/api/config/Namespace/-/shop', {
      method: 'DELETE',
      headers: { authorization: `Bearer ${admin}` },
    });
    assert.equal(status, 400);
  });
});
