import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import { decodeMeshConfig } from '@istio-ts/api';
import { proves } from '../field-proof.ts';
import { call } from '../testing/http-call.ts';
import { istioObject, podObject } from '../testing/objects.ts';
import { ORIGIN_PORT, startOfflineEnvoy } from '../testing/offline-envoy.ts';
import { startOrigin } from '../testing/origin.ts';
import { keySet, token, tokenKey } from '../testing/token.ts';
import type { Workload } from '../testing/workloads-envoy.ts';
import { ask, grpc, HTTP, http, net, services, startCheckedWorkloads } from './external-authorization.test-support.ts';

/** CUSTOM policies beside others, which providers they find, and what becomes of tokens and routes. */

const plain = (action: string, ...paths: readonly string[]) => ({
  action,
  rules: [{ to: [{ operation: { paths } }] }],
});

const key = tokenKey('k');

const providers = [
  http('http'),
  grpc('grpc'),
  http('http-plain'),
  http('http-token', { headersToUpstreamOnAllow: ['authorization'] }),
  http('http-elsewhere', { service: `other/${HTTP}` }),
  http('http-no-port', { port: 8001 }),
  http('http-no-service', { service: 'nobody.default.svc.cluster.local' }),
];
const workloads: readonly Workload[] = [
  ...providers.map(({ name }) => ({ name, policies: [ask(name, '/asked*')] })),
  { name: 'missing', policies: [ask('nobody', '/asked*')] },
  { name: 'other-kind', policies: [ask('prometheus', '/asked*')] },
  {
    name: 'two',
    policies: [ask('http', '/http*', '/both*'), ask('grpc', '/grpc*', '/both*'), ask('nobody', '/nobody')],
  },
  {
    name: 'order',
    policies: [ask('http-plain', '/asked*'), plain('DENY', '/asked/denied'), plain('ALLOW', '/asked/ok')],
  },
  {
    name: 'token-rules',
    policies: [
      {
        action: 'CUSTOM',
        provider: { name: 'http-plain' },
        rules: [{ from: [{ source: { requestPrincipals: ['*'] } }], to: [{ operation: { paths: ['/asked*'] } }] }],
      },
    ],
  },
  {
    name: 'brings-token',
    policies: [
      ask('http-token'),
      { action: 'ALLOW', rules: [{ from: [{ source: { requestPrincipals: ['idp/alice'] } }] }] },
    ],
    objects: [
      istioObject(
        'RequestAuthentication',
        { name: 'brings-token' },
        {
          selector: { matchLabels: { app: 'brings-token' } },
          jwtRules: [{ issuer: 'idp', jwks: keySet(key) }],
        },
      ),
    ],
  },
];
const { overHttp, overGrpc, status, clear, stop } = await startCheckedWorkloads({
  providers,
  workloads,
  token: token(key, { iss: 'idp', sub: 'alice' }),
});
after(stop);
beforeEach(clear);

test('without a provider, a service or a port to ask at, what the rules select is refused', async () => {
  proves('AuthorizationPolicy.spec.provider.name');
  for (const name of ['missing', 'other-kind', 'http-elsewhere', 'http-no-port', 'http-no-service'])
    assert.deepEqual([name, await status(name, '/asked'), await status(name, '/free')], [name, 403, 200]);
});

test('several providers for one workload: each is asked about what its own policies select', async () => {
  proves('AuthorizationPolicy.spec.provider.name');
  const asked = async (path: string): Promise<readonly number[]> => {
    const before = [overHttp.checks.length, overGrpc.checks.length] as const;
    const code = await status('two', path);
    return [code, overHttp.checks.length - before[0], overGrpc.checks.length - before[1]];
  };
  assert.deepEqual(await asked('/http'), [200, 1, 0]);
  assert.deepEqual(await asked('/grpc'), [200, 0, 1]);
  assert.deepEqual(await asked('/both'), [200, 1, 1]);
  assert.deepEqual(await asked('/both/deny'), [401, 1, 0]);
  assert.deepEqual(await asked('/grpc/deny'), [401, 0, 1]);
  assert.deepEqual(await asked('/nobody'), [403, 0, 0]);
  assert.deepEqual(await asked('/free'), [200, 0, 0]);
});

test('CUSTOM comes before DENY, DENY before ALLOW, and all must agree', async () => {
  proves('AuthorizationPolicy.spec.action');
  assert.equal(await status('order', '/asked/denied'), 403);
  assert.equal(await status('order', '/asked/ok'), 200);
  assert.equal(await status('order', '/asked/neither'), 403);
  assert.equal(overHttp.checks.length, 3);
  assert.equal(await status('order', '/asked/deny'), 401);
});

test('whom to ask is decided before tokens are checked: rules about them ask more, and the answer may bring the token', async () => {
  proves('AuthorizationPolicy.spec.rules[].from[].source.requestPrincipals[]');
  assert.equal(await status('token-rules', '/asked/deny'), 401);
  assert.equal(await status('token-rules', '/other/deny'), 200);
  assert.equal(await status('brings-token', '/'), 200);
});

test('a route is chosen again after the check where the provider says so', async () => {
  proves(
    'MeshConfig.extensionProviders[].envoyExtAuthzHttp.clearRouteCache',
    'MeshConfig.extensionProviders[].envoyExtAuthzGrpc.clearRouteCache',
  );
  const origins = await Promise.all([
    startOrigin('web', net.ip(18), ORIGIN_PORT),
    startOrigin('special', net.ip(20), ORIGIN_PORT),
  ]);
  const names = ['http-keep', 'http-clear', 'grpc-keep', 'grpc-clear'];
  const gateway = await startOfflineEnvoy({
    net,
    meshConfig: decodeMeshConfig({
      extensionProviders: [
        http('http-keep', { headersToUpstreamOnAllow: ['x-user'] }),
        http('http-clear', { headersToUpstreamOnAllow: ['x-user'], clearRouteCache: true }),
        grpc('grpc-keep'),
        grpc('grpc-clear', { clearRouteCache: true }),
      ],
    }).value,
    objects: [
      ...services,
      podObject({ name: 'gw-0', labels: { app: 'gw' }, ip: net.everywhere }),
      istioObject(
        'Gateway',
        { name: 'gw' },
        {
          selector: { app: 'gw' },
          servers: [{ port: { number: 8088, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }],
        },
      ),
      istioObject(
        'VirtualService',
        { name: 'gw' },
        {
          hosts: ['*'],
          gateways: ['gw'],
          http: [
            {
              match: ['alice', 'bob'].map((exact) => ({ headers: { 'x-user': { exact } } })),
              route: [{ destination: { host: 'special' } }],
            },
            { route: [{ destination: { host: 'web' } }] },
          ],
        },
      ),
      ...names.map((name) =>
        istioObject(
          'AuthorizationPolicy',
          { name },
          { selector: { matchLabels: { app: 'gw' } }, ...ask(name, `/${name}`) },
        ),
      ),
    ],
    proxy: { name: 'gw-0', namespace: 'default', ipAddress: net.everywhere, type: 'router' },
  });
  try {
    const to = { address: net.everywhere, port: 8088, host: 'any.test' };
    const reached = await Promise.all(names.map(async (name) => (await call(`/${name}`, to)).seen?.origin));
    assert.deepEqual(reached, ['web', 'special', 'web', 'special']);
  } finally {
    await gateway.stop();
    await Promise.all(origins.map((origin) => origin.close()));
  }
});
