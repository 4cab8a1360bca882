import assert from 'node:assert/strict';
import { createSign, generateKeyPairSync } from 'node:crypto';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { decodeMeshConfig } from '@istio-ts/api';
import type { CheckResponse } from '@istio-ts/envoy';
import { proves } from '../field-proof.ts';
import {
  type GrpcAuthorizer,
  type HttpAuthorizer,
  type HttpCheck,
  type HttpVerdict,
  startGrpcAuthorizer,
  startHttpAuthorizer,
} from '../testing/authorizers.ts';
import { eventually, freePort } from '../testing/envoy.ts';
import { call } from '../testing/http-call.ts';
import { istioObject, podObject } from '../testing/objects.ts';
import { LoopbackNet, loopbackApp, ORIGIN_PORT, startOfflineEnvoy } from '../testing/offline-envoy.ts';
import { type Arrival, type Origin, startOrigin } from '../testing/origin.ts';
import { type PolicyAnswer, startWorkloads, type Workload, type Workloads } from '../testing/workloads-envoy.ts';

/** CUSTOM policies and the extension providers that they name, with small authorisers over HTTP and gRPC that real Envoys ask. */

const net = new LoopbackNet();
const HTTP = 'http-authz.default.svc.cluster.local';
const GRPC = 'grpc-authz.default.svc.cluster.local';
const DOWN = 'down-authz.default.svc.cluster.local';
const DOWN_GRPC = 'down-grpc.default.svc.cluster.local';
const CALLER = 'cluster.local/ns/shop/sa/caller';

const http = (name: string, more: object = {}) => ({ name, envoyExtAuthzHttp: { service: HTTP, port: 8000, ...more } });
const grpc = (name: string, more: object = {}) => ({ name, envoyExtAuthzGrpc: { service: GRPC, port: 9000, ...more } });

const providers = [
  http('http', {
    pathPrefix: '/check',
    includeRequestHeadersInCheck: ['x-exact', 'x-pre*', '*-token'],
    includeAdditionalHeadersInCheck: { 'x-added': 'by the mesh', 'x-exact': 'wins' },
    headersToUpstreamOnAllow: ['x-user', 'x-up-*'],
    headersToDownstreamOnDeny: ['x-why', '*-cookie'],
    headersToDownstreamOnAllow: ['x-seen'],
  }),
  http('http-plain'),
  http('http-old', { service: `default/${HTTP}`, includeHeadersInCheck: ['x-exact'] }),
  http('http-body', { includeRequestBodyInCheck: { maxRequestBytes: 8, allowPartialMessage: true } }),
  http('http-bytes', { includeRequestBodyInCheck: { maxRequestBytes: 64, packAsBytes: true } }),
  http('http-whole-body', { includeRequestBodyInCheck: { maxRequestBytes: 8 } }),
  http('http-slow', { timeout: '0.2s' }),
  http('http-token', { headersToUpstreamOnAllow: ['authorization'] }),
  http('http-down', { service: DOWN }),
  http('http-down-open', { service: DOWN, failOpen: true }),
  http('http-down-503', { service: DOWN, statusOnError: '503' }),
  http('http-elsewhere', { service: `other/${HTTP}` }),
  http('http-no-port', { port: 8001 }),
  http('http-no-service', { service: 'nobody.default.svc.cluster.local' }),
  grpc('grpc'),
  grpc('grpc-body', { includeRequestBodyInCheck: { maxRequestBytes: 8, allowPartialMessage: true } }),
  grpc('grpc-bytes', { includeRequestBodyInCheck: { maxRequestBytes: 64, packAsBytes: true } }),
  grpc('grpc-slow', { timeout: '0.2s', statusOnError: '504' }),
  grpc('grpc-down', { service: DOWN_GRPC }),
  grpc('grpc-down-open', { service: DOWN_GRPC, failOpen: true }),
  grpc('grpc-down-502', { service: DOWN_GRPC, statusOnError: '502' }),
];
const { value: meshConfig } = decodeMeshConfig({ extensionProviders: providers });

type Spec = Readonly<Record<string, unknown>>;
const ask = (provider: string, ...paths: readonly string[]): Spec => ({
  action: 'CUSTOM',
  provider: { name: provider },
  rules: [paths.length === 0 ? {} : { to: [{ operation: { paths } }] }],
});
const plain = (action: string, ...paths: readonly string[]): Spec => ({
  action,
  rules: [{ to: [{ operation: { paths } }] }],
});

const keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
function token(claims: object): string {
  const text = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${text({ alg: 'RS256', kid: 'k' })}.${text(claims)}`;
  return `${signed}.${createSign('RSA-SHA256').update(signed).sign(keys.privateKey, 'base64url')}`;
}
const TOKEN = token({ iss: 'idp', sub: 'alice', exp: 4_000_000_000 });

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
          jwtRules: [
            {
              issuer: 'idp',
              jwks: JSON.stringify({ keys: [{ ...keys.publicKey.export({ format: 'jwk' }), kid: 'k' }] }),
            },
          ],
        },
      ),
    ],
  },
  {
    name: 'identity',
    policies: [
      {
        action: 'CUSTOM',
        provider: { name: 'grpc' },
        rules: [{ from: [{ source: { principals: [CALLER], notIpBlocks: ['192.0.2.0/24'] } }] }],
      },
    ],
  },
  { name: 'bytes', protocol: 'TCP', policies: [ask('grpc')] },
  { name: 'bytes-down', protocol: 'TCP', policies: [ask('grpc-down')] },
  { name: 'bytes-open', protocol: 'TCP', policies: [ask('grpc-down-open')] },
  { name: 'bytes-missing', protocol: 'TCP', policies: [ask('nobody')] },
  { name: 'bytes-http', protocol: 'TCP', policies: [ask('http-plain')] },
];

let app: Origin;
let envoy: Workloads;
let overHttp: HttpAuthorizer;
let overGrpc: GrpcAuthorizer;

function httpVerdict({ path }: HttpCheck): HttpVerdict {
  if (path.includes('deny'))
    return { status: 401, headers: { 'x-why': 'no', 'set-cookie': 'a=b', 'x-private': 'secret' }, body: 'not you' };
  if (path.includes('error')) return { status: 500 };
  return {
    status: 200,
    delay: path.includes('slow') ? 3000 : 0,
    headers: {
      'x-user': 'alice',
      'x-up-1': 'one',
      'x-seen': 'yes',
      'x-private': 'secret',
      authorization: `Bearer ${TOKEN}`,
    },
  };
}

const header = (key: string, value: string) => ({ header: { key, value } });
const objects = [
  ...loopbackApp(net, 'http-authz', { last: 11, port: 8000, protocol: 'http' }, [{ last: 12 }]),
  ...loopbackApp(net, 'grpc-authz', { last: 13, port: 9000, protocol: 'grpc' }, [{ last: 14 }]),
  ...loopbackApp(net, 'down-authz', { last: 15, port: 8000, protocol: 'http' }, [{ last: 16 }]),
  ...loopbackApp(net, 'down-grpc', { last: 21, port: 9000, protocol: 'grpc' }, [{ last: 22 }]),
  ...loopbackApp(net, 'web', { last: 17, port: 80, protocol: 'http' }, [{ last: 18 }]),
  ...loopbackApp(net, 'special', { last: 19, port: 80, protocol: 'http' }, [{ last: 20 }]),
];

before(async () => {
  app = await startOrigin('app', '127.0.0.1', await freePort());
  overHttp = await startHttpAuthorizer(net.ip(12), ORIGIN_PORT, httpVerdict);
  overGrpc = await startGrpcAuthorizer(net.ip(14), ORIGIN_PORT, async ({ attributes }): Promise<CheckResponse> => {
    const path = attributes?.request?.http?.path ?? '';
    if (path.includes('slow')) await wait(3000);
    if (path.includes('deny') || attributes?.source?.address?.socketAddress?.address === net.ip(3))
      return {
        status: { code: 7 },
        deniedResponse: { status: { code: 'Unauthorized' }, headers: [header('x-why', 'grpc')], body: 'not by gRPC' },
      };
    return {
      status: { code: 0 },
      okResponse: {
        headers: [header('x-user', 'bob')],
        headersToRemove: ['x-internal'],
        responseHeadersToAdd: [header('x-seen', 'grpc')],
      },
    };
  });
  envoy = await startWorkloads({ net, workloads, app: app.port, objects, meshConfig });
});

after(async () => {
  await envoy?.stop();
  await Promise.all([app?.close(), overHttp?.close(), overGrpc?.close()]);
});

beforeEach(() => {
  overHttp.checks.length = 0;
  overGrpc.checks.length = 0;
});

const seen = ({ text }: PolicyAnswer): Arrival => JSON.parse(text) as Arrival;
const status = async (name: string, path: string): Promise<number> => (await envoy.ask(name, { path })).status;

describe('over HTTP', () => {
  test('what is asked, and what goes on to the application when the answer is yes', async () => {
    proves(
      'AuthorizationPolicy.spec.action',
      'AuthorizationPolicy.spec.provider.name',
      'MeshConfig.extensionProviders[].name',
      'MeshConfig.extensionProviders[].envoyExtAuthzHttp.service',
      'MeshConfig.extensionProviders[].envoyExtAuthzHttp.port',
      'MeshConfig.extensionProviders[].envoyExtAuthzHttp.pathPrefix',
      'MeshConfig.extensionProviders[].envoyExtAuthzHttp.includeRequestHeadersInCheck[]',
      'MeshConfig.extensionProviders[].envoyExtAuthzHttp.includeAdditionalHeadersInCheck[]',
      'MeshConfig.extensionProviders[].envoyExtAuthzHttp.headersToUpstreamOnAllow[]',
      'MeshConfig.extensionProviders[].envoyExtAuthzHttp.headersToDownstreamOnAllow[]',
    );
    const answer = await envoy.ask('http', {
      path: '/asked?q=1',
      method: 'POST',
      body: 'hello',
      headers: { 'x-exact': 'a', 'x-prefix': 'b', 'my-token': 'c', 'x-other': 'd', 'x-user': 'forged', 'x-up-1': 'f' },
    });
    assert.equal(answer.status, 200);
    const [check] = overHttp.checks;
    assert.deepEqual([check?.method, check?.path, check?.body], ['POST', '/check/asked?q=1', '']);
    const { headers = {} } = check ?? {};
    assert.deepEqual(
      ['x-exact', 'x-prefix', 'my-token', 'x-other', 'x-added'].map((name) => headers[name]),
      ['wins', 'b', 'c', undefined, 'by the mesh'],
    );
    assert.equal(headers.host, 'http');
    const upstream = seen(answer).headers;
    // What the authoriser says replaces what the client claimed.
    assert.deepEqual([upstream['x-user'], upstream['x-up-1'], upstream['x-private']], ['alice', 'one', undefined]);
    assert.deepEqual([answer.headers['x-seen'], answer.headers['x-private']], ['yes', undefined]);
  });

  test('when the answer is no, its status, its body and the named headers go back', async () => {
    proves('MeshConfig.extensionProviders[].envoyExtAuthzHttp.headersToDownstreamOnDeny[]');
    const arrivals = app.arrivals.length;
    const { status: code, headers, text } = await envoy.ask('http', { path: '/asked/deny' });
    assert.deepEqual([code, headers['x-why'], headers['set-cookie'], text], [401, 'no', ['a=b'], 'not you']);
    assert.equal(headers['x-private'], undefined);
    assert.equal(app.arrivals.length, arrivals);
  });

  test('only what the rules select is asked about', async () => {
    proves('AuthorizationPolicy.spec.rules[].to[].operation.paths[]');
    assert.equal(await status('http', '/free'), 200);
    assert.equal(overHttp.checks.length, 0);
    assert.equal(await status('http', '/asked'), 200);
    assert.equal(overHttp.checks.length, 1);
  });

  test('nothing of the request but method, path, host, length and credentials goes along unasked; an older field names headers too', async () => {
    proves('MeshConfig.extensionProviders[].envoyExtAuthzHttp.includeHeadersInCheck[]');
    const headers = { 'x-exact': 'a', authorization: 'Basic x', cookie: 'c=d' };
    await envoy.ask('http-plain', { path: '/asked', headers });
    await envoy.ask('http-old', { path: '/asked', headers });
    const [bare, old] = overHttp.checks.map((check) => check.headers);
    assert.deepEqual([bare?.['x-exact'], bare?.authorization, bare?.cookie], [undefined, 'Basic x', undefined]);
    assert.deepEqual([old?.['x-exact'], old?.authorization, old?.cookie], ['a', 'Basic x', undefined]);
  });

  test('the body: its first bytes, or a refusal of what is longer', async () => {
    proves(
      'MeshConfig.extensionProviders[].envoyExtAuthzHttp.includeRequestBodyInCheck.maxRequestBytes',
      'MeshConfig.extensionProviders[].envoyExtAuthzHttp.includeRequestBodyInCheck.allowPartialMessage',
    );
    const post = (name: string, body: string) => envoy.ask(name, { path: '/asked', method: 'POST', body });
    assert.equal((await post('http-body', 'longer than eight')).status, 200);
    assert.equal((await post('http-body', 'short')).status, 200);
    assert.equal((await post('http-whole-body', 'eight...')).status, 200);
    assert.deepEqual(
      overHttp.checks.map(({ body }) => body),
      ['longer t', 'short', 'eight...'],
    );
    assert.equal((await post('http-whole-body', 'nine.....')).status, 413);
    assert.equal(overHttp.checks.length, 3);
  });

  test('the body as bytes is the same body: over HTTP there is no text of it beside', async () => {
    proves('MeshConfig.extensionProviders[].envoyExtAuthzHttp.includeRequestBodyInCheck.packAsBytes');
    const body = 'b\u0001\u0000 ü as bytes';
    assert.equal((await envoy.ask('http-bytes', { path: '/asked', method: 'POST', body })).status, 200);
    assert.deepEqual(
      overHttp.checks.map((check) => check.body),
      [body],
    );
  });

  test('an authoriser that fails or takes too long refuses, unless it may not', async () => {
    proves(
      'MeshConfig.extensionProviders[].envoyExtAuthzHttp.timeout',
      'MeshConfig.extensionProviders[].envoyExtAuthzHttp.failOpen',
      'MeshConfig.extensionProviders[].envoyExtAuthzHttp.statusOnError',
    );
    // A busy machine does not always answer in time.
    await eventually(
      async () => ((await status('http-slow', '/asked')) === 200 ? true : undefined),
      'an answer in time',
    );
    assert.equal(await status('http-slow', '/asked/slow'), 403);
    assert.equal(await status('http-plain', '/asked/slow'), 200);
    assert.equal(await status('http-plain', '/asked/error'), 403);
    assert.equal(await status('http-down', '/asked'), 403);
    assert.equal(await status('http-down-open', '/asked'), 200);
    assert.equal(await status('http-down-503', '/asked'), 503);
    assert.equal(await status('http-down', '/free'), 200);
  });
});

describe('over gRPC', () => {
  test('the whole request is asked about; the answer changes headers', async () => {
    proves(
      'AuthorizationPolicy.spec.provider.name',
      'MeshConfig.extensionProviders[].envoyExtAuthzGrpc.service',
      'MeshConfig.extensionProviders[].envoyExtAuthzGrpc.port',
    );
    const answer = await envoy.ask('grpc', {
      path: '/asked?q',
      as: CALLER,
      headers: { 'x-any': 'thing', 'x-internal': 'x', 'x-user': 'forged' },
    });
    const [check] = overGrpc.checks;
    assert.equal(check?.authority, GRPC);
    const { request, source } = check?.request.attributes ?? {};
    assert.deepEqual([request?.http?.path, request?.http?.headers?.['x-any']], ['/asked?q', 'thing']);
    assert.equal(source?.principal, `spiffe://${CALLER}`);
    const { headers } = seen(answer);
    assert.deepEqual([headers['x-user'], headers['x-internal'], answer.headers['x-seen']], ['bob', undefined, 'grpc']);
    const refused = await envoy.ask('grpc', { path: '/asked/deny' });
    assert.deepEqual([refused.status, refused.headers['x-why'], refused.text], [401, 'grpc', 'not by gRPC']);
    assert.equal(await status('grpc', '/free'), 200);
    assert.equal(overGrpc.checks.length, 2);
  });

  test('the body, as text or as bytes', async () => {
    proves(
      'MeshConfig.extensionProviders[].envoyExtAuthzGrpc.includeRequestBodyInCheck.maxRequestBytes',
      'MeshConfig.extensionProviders[].envoyExtAuthzGrpc.includeRequestBodyInCheck.allowPartialMessage',
      'MeshConfig.extensionProviders[].envoyExtAuthzGrpc.includeRequestBodyInCheck.packAsBytes',
    );
    await envoy.ask('grpc-body', { path: '/asked', method: 'POST', body: 'longer than eight' });
    await envoy.ask('grpc-bytes', { path: '/asked', method: 'POST', body: 'as bytes' });
    const [text, bytes] = overGrpc.checks.map(({ request }) => request.attributes?.request?.http);
    assert.deepEqual([text?.body, text?.rawBody ?? ''], ['longer t', '']);
    assert.deepEqual([bytes?.body ?? '', Buffer.from(bytes?.rawBody ?? '', 'base64').toString()], ['', 'as bytes']);
  });

  test('an authoriser that fails or takes too long refuses, unless it may not', async () => {
    proves(
      'MeshConfig.extensionProviders[].envoyExtAuthzGrpc.timeout',
      'MeshConfig.extensionProviders[].envoyExtAuthzGrpc.failOpen',
      'MeshConfig.extensionProviders[].envoyExtAuthzGrpc.statusOnError',
    );
    assert.equal(await status('grpc-slow', '/asked/slow'), 504);
    await eventually(
      async () => ((await status('grpc-slow', '/asked')) === 200 ? true : undefined),
      'an answer in time',
    );
    assert.equal(await status('grpc-down', '/asked'), 403);
    assert.equal(await status('grpc-down-open', '/asked'), 200);
    assert.equal(await status('grpc-down-502', '/asked'), 502);
  });

  test('rules of CUSTOM policies know who the peer is', async () => {
    proves('AuthorizationPolicy.spec.rules[].from[].source.principals[]');
    assert.equal((await envoy.ask('identity', { path: '/deny', as: CALLER })).status, 401);
    assert.equal((await envoy.ask('identity', { path: '/deny', as: 'cluster.local/ns/x/sa/y' })).status, 200);
    assert.equal((await envoy.ask('identity', { path: '/deny' })).status, 200);
  });

  test('connections are asked about as well, by gRPC', async () => {
    proves('MeshConfig.extensionProviders[].envoyExtAuthzGrpc.failOpen');
    const passes = async (name: string, from = net.ip(2)): Promise<boolean> =>
      (await envoy.exchange(name, 'hello', { from })).startsWith('app#');
    assert.equal(await passes('bytes'), true);
    assert.equal(overGrpc.checks[0]?.request.attributes?.source?.address?.socketAddress?.address, net.ip(2));
    assert.equal(await passes('bytes', net.ip(3)), false);
    assert.equal(await passes('bytes-down'), false);
    assert.equal(await passes('bytes-open'), true);
    assert.equal(await passes('bytes-missing'), false);
    // An authoriser that speaks HTTP is asked about requests only.
    assert.equal(await passes('bytes-http'), true);
  });
});

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
      ...objects,
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
