import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { decodeMeshConfig } from '@istio-ts/api';
import { proves } from '../field-proof.ts';
import { eventually } from '../testing/envoy.ts';
import { type Answer, type Call, call } from '../testing/http-call.ts';
import { istioObject } from '../testing/objects.ts';
import {
  loopbackApp,
  LoopbackNet,
  type OfflineEnvoy,
  ORIGIN_PORT,
  startOfflineEnvoy,
} from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';

/** VirtualServices from the object to what a client sees, through one real Envoy. */

const net = new LoopbackNet();
const PORT = 8000;
const OTHER_PORT = 8001;
const host = (name: string, namespace = 'default'): string => `${name}.${namespace}.svc.cluster.local`;
const v1 = [{ destination: { host: 'shop', subset: 'v1' } }];
const v2 = [{ destination: { host: 'shop', subset: 'v2' } }];
const answers = (string: string) => ({ directResponse: { status: 200, body: { string } } });

/** A VirtualService; `age` in minutes, so that the older wins. */
const virtualService = (name: string, spec: object, more: { namespace?: string; minute?: number } = {}) =>
  istioObject(
    'VirtualService',
    {
      name,
      ...(more.namespace !== undefined && { namespace: more.namespace }),
      createdAt: `2026-01-01T00:${String(more.minute ?? 1).padStart(2, '0')}:00Z`,
    },
    spec as Record<string, unknown>,
  );

const objects = [
  ...loopbackApp(net, 'shop', { last: 10, port: PORT, protocol: 'http' }, [
    { last: 1, labels: { version: 'v1' } },
    { last: 2, labels: { version: 'v2' } },
  ]),
  ...['match', 'act', 'cors', 'root', 'late', 'hidden', 'other', 'retry', 'named'].flatMap((name, i) =>
    loopbackApp(net, name, { last: 20 + i, port: PORT, protocol: 'http' }, [{ last: 3 }]),
  ),
  ...loopbackApp(net, 'far', { last: 40, port: PORT, protocol: 'http', namespace: 'away' }, [{ last: 4 }]),
  ...loopbackApp(net, 'second', { last: 41, port: OTHER_PORT, protocol: 'http' }, [{ last: 3 }]),
  // Two addresses for one service, one of which fails.
  ...loopbackApp(net, 'pair', { last: 42, port: PORT, protocol: 'http' }, [{ last: 5 }, { last: 6 }]),
  istioObject(
    'DestinationRule',
    { name: 'shop' },
    {
      host: 'shop',
      subsets: [
        { name: 'v1', labels: { version: 'v1' } },
        { name: 'v2', labels: { version: 'v2' } },
      ],
    },
  ),
  virtualService('match', {
    hosts: ['match'],
    http: [
      { match: [{ uri: { exact: '/exact' } }], ...answers('exact') },
      { match: [{ uri: { prefix: '/prefix/' } }], ...answers('prefix') },
      { match: [{ uri: { regex: '/re/\\d+' } }], ...answers('regex') },
      { match: [{ uri: { exact: '/CASE' }, ignoreUriCase: true }], ...answers('case') },
      { match: [{ uri: { prefix: '/plain-text' }, scheme: { exact: 'https' } }], ...answers('https') },
      { match: [{ uri: { prefix: '/plain-text' }, scheme: { exact: 'http' } }], ...answers('http') },
      { match: [{ method: { regex: 'PUT|PATCH' } }], ...answers('method') },
      { match: [{ uri: { prefix: '/authority' }, authority: { prefix: 'match.default' } }], ...answers('authority') },
      {
        match: [{ headers: { 'x-exact': { exact: 'a' }, 'x-prefix': { prefix: 'b' }, 'x-re': { regex: 'c+' } } }],
        ...answers('headers'),
      },
      { match: [{ headers: { 'X-Present': {} } }], ...answers('present') },
      { match: [{ uri: { prefix: '/absent' }, withoutHeaders: { 'x-any': {} } }], ...answers('absent') },
      {
        match: [{ uri: { prefix: '/unlike' }, withoutHeaders: { 'x-kind': { prefix: 'bad' } } }],
        ...answers('unlike'),
      },
      { match: [{ queryParams: { q: { exact: '1' } } }], ...answers('query exact') },
      { match: [{ queryParams: { r: { regex: '[a-z]+' }, s: { prefix: 'x' } } }], ...answers('query regex') },
      { match: [{ queryParams: { any: {} } }], ...answers('query present') },
      { match: [{ uri: { prefix: '/port' }, port: PORT + 7 }], ...answers('wrong port') },
      { match: [{ uri: { prefix: '/port' }, port: PORT }], ...answers('port') },
      { match: [{ uri: { prefix: '/labels' }, sourceLabels: { app: 'stranger' } }], ...answers('stranger') },
      { match: [{ uri: { prefix: '/labels' }, sourceLabels: { app: 'client' } }], ...answers('labels') },
      { match: [{ uri: { prefix: '/namespace' }, sourceNamespace: 'away' }], ...answers('away') },
      { match: [{ uri: { prefix: '/namespace' }, sourceNamespace: 'default' }], ...answers('namespace') },
      { match: [{ uri: { prefix: '/gateways' }, gateways: ['door'] }], ...answers('door') },
      { match: [{ uri: { prefix: '/gateways' }, gateways: ['mesh'] }], ...answers('mesh') },
      { match: [{ uri: { prefix: '/one' } }, { uri: { prefix: '/two' } }], ...answers('either') },
      {
        name: 'counted',
        match: [{ name: 'match', uri: { prefix: '/counted' }, statPrefix: 'tally' }],
        route: [{ destination: { host: 'match' } }],
      },
      answers('rest'),
      { match: [{ uri: { prefix: '/after' } }], ...answers('never') },
    ],
    gateways: ['mesh', 'door'],
  }),
  virtualService('act', {
    hosts: ['act'],
    http: [
      { match: [{ uri: { exact: '/uri' } }], redirect: { uri: '/moved' } },
      { match: [{ uri: { prefix: '/authority' } }], redirect: { authority: 'example.com', redirectCode: 308 } },
      { match: [{ uri: { prefix: '/port' } }], redirect: { port: 9443, scheme: 'https', redirectCode: 302 } },
      { match: [{ uri: { prefix: '/derived' } }], redirect: { derivePort: 'FROM_REQUEST_PORT', authority: 'b' } },
      {
        match: [{ uri: { prefix: '/default' } }],
        redirect: { derivePort: 'FROM_PROTOCOL_DEFAULT', scheme: 'https', redirectCode: 307 },
      },
      { match: [{ uri: { prefix: '/cut/' } }], redirect: { prefixRewrite: '/', redirectCode: 303 } },
      {
        match: [{ uri: { prefix: '/teapot' } }],
        directResponse: { status: 418, body: { string: 'short and stout' } },
        headers: { response: { set: { 'content-type': 'text/x-tea' } } },
      },
      { match: [{ uri: { prefix: '/bytes' } }], directResponse: { status: 203, body: { bytes: 'AAH/' } } },
      { match: [{ uri: { prefix: '/bare' } }], directResponse: { status: 204 } },
      { match: [{ uri: { prefix: '/rw/uri' } }], rewrite: { uri: '/new' }, route: v1 },
      { match: [{ uri: { prefix: '/rw/authority' } }], rewrite: { authority: 'inside.example' }, route: v1 },
      {
        match: [{ uri: { prefix: '/rw/regex/' } }],
        rewrite: { uriRegexRewrite: { match: '^/rw/regex/(\\w+)/(\\w+)', rewrite: '/\\2-\\1' } },
        route: v1,
      },
      { match: [{ uri: { prefix: '/timeout' } }], timeout: '0.2s', route: v1 },
      {
        match: [{ uri: { prefix: '/headers' } }],
        headers: {
          request: { set: { 'x-set': 'r', 'x-share': '100%%' }, add: { 'x-add': 'r' }, remove: ['x-gone'] },
          response: { set: { 'x-origin': 'hidden' }, add: { 'x-more': 'r' }, remove: ['x-note'] },
        },
        route: v1,
      },
      {
        match: [{ uri: { prefix: '/weighted-headers' } }],
        route: [
          {
            ...v1[0],
            weight: 1,
            headers: {
              request: { set: { 'x-set': '1', host: 'first.example' }, add: { 'x-add': '1' }, remove: ['x-gone'] },
              response: { set: { 'x-origin': 'one' }, add: { 'x-more': '1' }, remove: ['x-note'] },
            },
          },
          {
            ...v2[0],
            weight: 1,
            headers: {
              request: { set: { 'x-set': '2', host: 'second.example' }, add: { 'x-add': '2' }, remove: ['x-gone'] },
              response: { set: { 'x-origin': 'two' }, add: { 'x-more': '2' }, remove: ['x-note'] },
            },
          },
        ],
      },
      {
        match: [{ uri: { prefix: '/split' } }],
        route: [
          { ...v1[0], weight: 75 },
          { ...v2[0], weight: 25 },
        ],
      },
      {
        match: [{ uri: { prefix: '/none-for-v1' } }],
        route: [
          { ...v1[0], weight: 0 },
          { ...v2[0], weight: 10 },
        ],
      },
      { match: [{ uri: { prefix: '/alone' } }], route: [{ ...v2[0], weight: 0 }] },
      {
        match: [{ uri: { prefix: '/to-port' } }],
        route: [{ destination: { host: 'second', port: { number: OTHER_PORT } } }],
      },
      { match: [{ uri: { prefix: '/far' } }], route: [{ destination: { host: 'far.away.svc.cluster.local' } }] },
      { match: [{ uri: { prefix: '/nobody' } }], route: [{ destination: { host: 'nobody' } }] },
      { match: [{ uri: { prefix: '/no-subset' } }], route: [{ destination: { host: 'shop', subset: 'v9' } }] },
      { match: [{ uri: { prefix: '/mirror-all' } }], mirror: v2[0]?.destination, route: v1 },
      {
        match: [{ uri: { prefix: '/mirror-none' } }],
        mirror: v2[0]?.destination,
        mirrorPercentage: { value: 0 },
        route: v1,
      },
      { match: [{ uri: { prefix: '/mirror-some' } }], mirror: v2[0]?.destination, mirrorPercent: 50, route: v1 },
      {
        match: [{ uri: { prefix: '/mirrors' } }],
        mirrors: [
          { destination: { host: 'shop', subset: 'v2' } },
          { destination: { host: 'other' }, percentage: { value: 100 } },
        ],
        route: v1,
      },
      {
        match: [{ uri: { prefix: '/abort-some' } }],
        fault: { abort: { httpStatus: 418, percentage: { value: 50 } } },
        route: v1,
      },
      { match: [{ uri: { prefix: '/abort-none' } }], fault: { abort: { httpStatus: 418 } }, route: v1 },
      {
        match: [{ uri: { prefix: '/abort-grpc' } }],
        fault: { abort: { grpcStatus: 'UNAVAILABLE', percentage: { value: 100 } } },
        route: v1,
      },
      {
        match: [{ uri: { prefix: '/delay-all' } }],
        fault: { delay: { fixedDelay: '300ms', percentage: { value: 100 } } },
        route: v1,
      },
      {
        match: [{ uri: { prefix: '/delay-percent' } }],
        fault: { delay: { fixedDelay: '300ms', percent: 100 } },
        route: v1,
      },
      { route: v1 },
    ],
  }),
  virtualService('retry', {
    hosts: ['retry'],
    http: [
      {
        match: [{ uri: { prefix: '/codes' } }],
        retries: { attempts: 2, retryOn: '418,reset', backoff: '1ms' },
        route: v1,
      },
      { match: [{ uri: { prefix: '/never' } }], retries: { attempts: 0 }, route: v1 },
      {
        match: [{ uri: { prefix: '/try' } }],
        retries: { attempts: 2, perTryTimeout: '100ms', retryOn: '5xx', backoff: '1ms' },
        route: v1,
      },
      {
        match: [{ uri: { prefix: '/backoff' } }],
        retries: { attempts: 1, retryOn: '5xx', backoff: '2s' },
        timeout: '600ms',
        route: v1,
      },
      {
        match: [{ uri: { prefix: '/elsewhere' } }],
        retries: { attempts: 1, retryOn: '5xx', backoff: '1ms' },
        route: [{ destination: { host: 'pair' } }],
      },
      {
        match: [{ uri: { prefix: '/anywhere' } }],
        retries: { attempts: 1, retryOn: '5xx', backoff: '1ms', retryIgnorePreviousHosts: false },
        route: [{ destination: { host: 'pair' } }],
      },
      { route: v1 },
    ],
  }),
  virtualService('cors', {
    hosts: ['cors'],
    http: [
      {
        match: [{ uri: { prefix: '/closed' } }],
        corsPolicy: { allowOrigins: [{ exact: 'https://a.example' }], unmatchedPreflights: 'IGNORE' },
        route: v1,
      },
      { match: [{ uri: { prefix: '/old' } }], corsPolicy: { allowOrigin: ['https://old.example'] }, route: v1 },
      { match: [{ uri: { prefix: '/any' } }], corsPolicy: { allowOrigin: ['*'] }, route: v1 },
      {
        corsPolicy: {
          allowOrigins: [{ exact: 'https://a.example' }, { prefix: 'https://b.' }, { regex: 'https://c\\d\\.example' }],
          allowMethods: ['GET', 'PUT'],
          allowHeaders: ['x-a', 'x-b'],
          exposeHeaders: ['x-origin'],
          maxAge: '2h',
          allowCredentials: true,
        },
        route: v1,
      },
    ],
  }),
  virtualService('root', {
    hosts: ['root'],
    http: [
      {
        match: [{ uri: { prefix: '/a' }, headers: { 'x-root': { exact: '1' } } }],
        name: 'outer',
        timeout: '200ms',
        headers: { response: { set: { 'x-by': 'root' } } },
        delegate: { name: 'part' },
      },
      { match: [{ uri: { prefix: '/b' } }], delegate: { name: 'part', namespace: 'away' } },
      { match: [{ uri: { prefix: '/c' } }], delegate: { name: 'secret', namespace: 'away' } },
      answers('rest'),
    ],
  }),
  virtualService('part', {
    http: [
      { match: [{ uri: { prefix: '/a/x' } }], ...answers('a part') },
      { match: [{ uri: { prefix: '/a/own' } }], timeout: '10s', route: v1 },
      { match: [{ uri: { prefix: '/a/slow' } }], route: v1 },
      { match: [{ uri: { prefix: '/outside' } }], ...answers('not of the root') },
      { match: [{ uri: { prefix: '/a/y' } }, { uri: { prefix: '/outside' } }], ...answers('half of the root') },
    ],
  }),
  virtualService(
    'part',
    { http: [{ match: [{ uri: { exact: '/b/1' } }], ...answers('away') }] },
    { namespace: 'away' },
  ),
  virtualService('secret', { exportTo: ['.'], http: [answers('secret')] }, { namespace: 'away' }),
  // The oldest of several for one host; a name before a wildcard.
  virtualService('young', { hosts: ['late'], http: [answers('young')] }, { minute: 9 }),
  virtualService('old', { hosts: ['late'], http: [answers('old')] }, { minute: 3 }),
  virtualService('hidden', { hosts: [host('hidden')], exportTo: ['away'], http: [answers('hidden')] }, { minute: 1 }),
  virtualService('door-only', { hosts: ['other'], gateways: ['door'], http: [answers('door')] }),
  virtualService('wild', { hosts: ['*.wild.example'], http: [answers('wildcard')] }),
  virtualService('tame', { hosts: ['tame.wild.example'], http: [answers('name')] }),
  istioObject(
    'ServiceEntry',
    { name: 'wild' },
    { hosts: ['*.wild.example'], ports: [{ number: PORT, name: 'http', protocol: 'HTTP' }], resolution: 'NONE' },
  ),
];

let envoy: OfflineEnvoy;
const origins: Record<string, Origin> = {};

const get = (path: string, to: string, more: Partial<Call> = {}): Promise<Answer> =>
  call(path, { address: net.everywhere, port: PORT, host: to, ...more });
const text = async (path: string, to: string, more: Partial<Call> = {}): Promise<string> =>
  (await get(path, to, more)).text;

before(async () => {
  for (const [name, last] of Object.entries({ v1: 1, v2: 2, any: 3, far: 4, good: 5, bad: 6 }))
    origins[name] = await startOrigin(name, net.ip(last), ORIGIN_PORT);
  envoy = await startOfflineEnvoy({
    net,
    objects,
    proxy: { name: 'client', namespace: 'default', labels: { app: 'client' }, ipAddress: net.ip(9) },
    meshConfig: decodeMeshConfig({}).value,
  });
});

after(async () => {
  await envoy?.stop();
  await Promise.all(Object.values(origins).map((origin) => origin.close()));
});

test('matches of path, scheme, method and authority', async () => {
  proves(
    'VirtualService.spec.http[].match[].uri.exact',
    'VirtualService.spec.http[].match[].uri.prefix',
    'VirtualService.spec.http[].match[].uri.regex',
    'VirtualService.spec.http[].match[].ignoreUriCase',
    'VirtualService.spec.http[].match[].scheme.exact',
    'VirtualService.spec.http[].match[].method.regex',
    'VirtualService.spec.http[].match[].authority.prefix',
    'VirtualService.spec.http[].match',
  );
  assert.equal(await text('/exact', 'match'), 'exact');
  assert.equal(await text('/exact/not', 'match'), 'rest');
  assert.equal(await text('/prefix/any', 'match'), 'prefix');
  assert.equal(await text('/re/42', 'match'), 'regex');
  assert.equal(await text('/re/42x', 'match'), 'rest');
  assert.equal(await text('/cAsE', 'match'), 'case');
  assert.equal(await text('/EXACT', 'match'), 'rest');
  assert.equal(await text('/plain-text', 'match'), 'http');
  assert.equal(await text('/', 'match', { method: 'PATCH' }), 'method');
  assert.equal(await text('/authority', 'match.default'), 'authority');
  assert.equal(await text('/authority', 'match'), 'rest');
  assert.equal(await text('/one', 'match'), 'either');
  assert.equal(await text('/two', 'match'), 'either');
  assert.equal(await text('/after', 'match'), 'rest');
});

test('matches of headers and query parameters', async () => {
  proves(
    'VirtualService.spec.http[].match[].headers[].exact',
    'VirtualService.spec.http[].match[].headers[].prefix',
    'VirtualService.spec.http[].match[].headers[].regex',
    'VirtualService.spec.http[].match[].headers',
    'VirtualService.spec.http[].match[].withoutHeaders',
    'VirtualService.spec.http[].match[].withoutHeaders[].prefix',
    'VirtualService.spec.http[].match[].queryParams',
    'VirtualService.spec.http[].match[].queryParams[].exact',
    'VirtualService.spec.http[].match[].queryParams[].prefix',
    'VirtualService.spec.http[].match[].queryParams[].regex',
  );
  const headers = { 'x-exact': 'a', 'x-prefix': 'bb', 'x-re': 'ccc' };
  assert.equal(await text('/', 'match', { headers }), 'headers');
  assert.equal(await text('/', 'match', { headers: { ...headers, 'x-re': 'cd' } }), 'rest');
  assert.equal(await text('/', 'match', { headers: { 'x-present': 'y' } }), 'present');
  assert.equal(await text('/absent', 'match'), 'absent');
  assert.equal(await text('/absent', 'match', { headers: { 'x-any': '1' } }), 'rest');
  assert.equal(await text('/unlike', 'match'), 'unlike');
  assert.equal(await text('/unlike', 'match', { headers: { 'x-kind': 'good' } }), 'unlike');
  assert.equal(await text('/unlike', 'match', { headers: { 'x-kind': 'bad one' } }), 'rest');
  assert.equal(await text('/?q=1', 'match'), 'query exact');
  assert.equal(await text('/?q=2', 'match'), 'rest');
  assert.equal(await text('/?r=abc&s=xyz', 'match'), 'query regex');
  assert.equal(await text('/?r=abc1&s=xyz', 'match'), 'rest');
  assert.equal(await text('/?any=', 'match'), 'query present');
});

test('matches of the port, the client and the gateway; statistics of a route', async () => {
  proves(
    'VirtualService.spec.http[].match[].port',
    'VirtualService.spec.http[].match[].sourceLabels',
    'VirtualService.spec.http[].match[].sourceNamespace',
    'VirtualService.spec.http[].match[].gateways',
    'VirtualService.spec.http[].match[].statPrefix',
    'VirtualService.spec.http[].match[].name',
    'VirtualService.spec.http[].name',
    'VirtualService.spec.gateways',
  );
  assert.equal(await text('/port', 'match'), 'port');
  assert.equal(await text('/labels', 'match'), 'labels');
  assert.equal(await text('/namespace', 'match'), 'namespace');
  assert.equal(await text('/gateways', 'match'), 'mesh');
  assert.equal((await get('/counted', 'match')).seen?.origin, 'any');
  const counted = await eventually(async () => {
    const stats = await envoy.admin('/stats?filter=tally.*upstream_rq_200');
    return /route\.tally\.upstream_rq_200: 1/.test(stats) ? stats : undefined;
  }, 'the statistics of the route');
  assert.match(counted, /vhost\.match/);
  assert.equal(
    (await get('/', 'other')).seen?.origin,
    'any',
    'a VirtualService of a gateway only leaves the mesh alone',
  );
  assert.match(envoy.log() + (await envoy.admin('/config_dump')), /counted\.match/);
});

test('redirects', async () => {
  proves(
    'VirtualService.spec.http[].redirect.uri',
    'VirtualService.spec.http[].redirect.authority',
    'VirtualService.spec.http[].redirect.port',
    'VirtualService.spec.http[].redirect.derivePort',
    'VirtualService.spec.http[].redirect.scheme',
    'VirtualService.spec.http[].redirect.redirectCode',
    'VirtualService.spec.http[].redirect.prefixRewrite',
  );
  const redirected = async (path: string, to = 'act'): Promise<string> => {
    const { status, headers } = await get(path, to);
    return `${status} ${String(headers.location)}`;
  };
  assert.equal(await redirected('/uri'), '301 http://act/moved');
  assert.equal(await redirected('/authority/x?y=1'), '308 http://example.com/authority/x?y=1');
  assert.equal(await redirected('/port/x'), '302 https://act:9443/port/x');
  assert.equal(await redirected('/derived'), `301 http://b:${PORT}/derived`);
  assert.equal(await redirected('/default', `act:${PORT}`), '307 https://act:443/default');
  assert.equal(await redirected('/cut/x'), '303 http://act/x');
});

test('direct responses', async () => {
  proves(
    'VirtualService.spec.http[].directResponse.status',
    'VirtualService.spec.http[].directResponse.body.string',
    'VirtualService.spec.http[].directResponse.body.bytes',
  );
  const tea = await get('/teapot', 'act');
  assert.deepEqual([tea.status, tea.text, tea.headers['content-type']], [418, 'short and stout', 'text/x-tea']);
  const bytes = await get('/bytes', 'act');
  assert.deepEqual([bytes.status, bytes.headers['content-length']], [203, '3']);
  assert.equal((await get('/bare', 'act')).status, 204);
});

test('rewrites', async () => {
  proves(
    'VirtualService.spec.http[].rewrite.uri',
    'VirtualService.spec.http[].rewrite.authority',
    'VirtualService.spec.http[].rewrite.uriRegexRewrite.match',
    'VirtualService.spec.http[].rewrite.uriRegexRewrite.rewrite',
  );
  assert.equal((await get('/rw/uri/x?y', 'act')).seen?.path, '/new/x?y');
  assert.equal((await get('/rw/authority', 'act')).seen?.headers.host, 'inside.example');
  assert.equal((await get('/rw/regex/ab/cd', 'act')).seen?.path, '/cd-ab');
});

test('header operations of the route and of a destination', async () => {
  proves(
    'VirtualService.spec.http[].headers.request.set',
    'VirtualService.spec.http[].headers.request.add',
    'VirtualService.spec.http[].headers.request.remove',
    'VirtualService.spec.http[].headers.response.set',
    'VirtualService.spec.http[].headers.response.add',
    'VirtualService.spec.http[].headers.response.remove',
    'VirtualService.spec.http[].route[].headers.request.set',
    'VirtualService.spec.http[].route[].headers.request.add',
    'VirtualService.spec.http[].route[].headers.request.remove',
    'VirtualService.spec.http[].route[].headers.response.set',
    'VirtualService.spec.http[].route[].headers.response.add',
    'VirtualService.spec.http[].route[].headers.response.remove',
  );
  const headers = { 'x-set': 'client', 'x-add': 'client', 'x-gone': 'x' };
  const route = await get('/headers', 'act', { headers });
  assert.equal(route.seen?.headers['x-set'], 'r');
  assert.equal(route.seen?.headers['x-share'], '100%');
  assert.equal(route.seen?.headers['x-add'], 'client, r');
  assert.equal(route.seen?.headers['x-gone'], undefined);
  assert.deepEqual(
    [route.headers['x-origin'], route.headers['x-more'], route.headers['x-note']],
    ['hidden', 'r', undefined],
  );
  const seen = new Set<string>();
  await eventually(async () => {
    const one = await get('/weighted-headers', 'act', { headers });
    const is = one.seen?.origin === 'v1' ? '1' : '2';
    seen.add(is);
    assert.equal(one.seen?.headers['x-set'], is);
    assert.equal(one.seen?.headers.host, is === '1' ? 'first.example' : 'second.example');
    assert.equal(one.seen?.headers['x-add'], `client, ${is}`);
    assert.equal(one.seen?.headers['x-gone'], undefined);
    assert.deepEqual(
      [one.headers['x-origin'], one.headers['x-more'], one.headers['x-note']],
      [is === '1' ? 'one' : 'two', is, undefined],
    );
    return seen.size === 2 || undefined;
  }, 'both destinations');
});

test('destinations: subsets, weights, ports, other namespaces, and those that do not exist', async () => {
  proves(
    'VirtualService.spec.http[].route[].destination.host',
    'VirtualService.spec.http[].route[].destination.subset',
    'VirtualService.spec.http[].route[].destination.port.number',
    'VirtualService.spec.http[].route[].weight',
  );
  const counts: Record<string, number> = { v1: 0, v2: 0 };
  for (let i = 0; i < 200; i++) {
    const origin = (await get('/split', 'act')).seen?.origin ?? '';
    counts[origin] = (counts[origin] ?? 0) + 1;
  }
  // Five standard deviations around a quarter.
  assert.ok((counts.v2 ?? 0) > 18 && (counts.v2 ?? 0) < 82, JSON.stringify(counts));
  for (let i = 0; i < 10; i++) assert.equal((await get('/none-for-v1', 'act')).seen?.origin, 'v2');
  assert.equal((await get('/alone', 'act')).seen?.origin, 'v2');
  assert.equal((await get('/to-port', 'act')).seen?.origin, 'any');
  assert.equal((await get('/far', 'act')).seen?.origin, 'far');
  assert.equal((await get('/nobody', 'act')).status, 503);
  assert.equal((await get('/no-subset', 'act')).status, 503);
});

test('mirrors', async () => {
  proves(
    'VirtualService.spec.http[].mirror.host',
    'VirtualService.spec.http[].mirror.subset',
    'VirtualService.spec.http[].mirrorPercentage.value',
    'VirtualService.spec.http[].mirrorPercent',
    'VirtualService.spec.http[].mirrors[].destination.host',
    'VirtualService.spec.http[].mirrors[].destination.subset',
    'VirtualService.spec.http[].mirrors[].percentage.value',
  );
  const copies = (origin: string, path: string) => origins[origin]?.arrivals.filter((one) => one.path === path) ?? [];
  for (let i = 0; i < 100; i++) assert.equal((await get('/mirror-some', 'act')).seen?.origin, 'v1');
  assert.equal((await get('/mirror-none', 'act')).seen?.origin, 'v1');
  assert.equal((await get('/mirrors', 'act')).seen?.origin, 'v1');
  await eventually(() => copies('v2', '/mirrors')[0] && copies('any', '/mirrors')[0], 'both mirrors');
  assert.equal((await get('/mirror-all', 'act')).seen?.origin, 'v1');
  const copy = await eventually(() => copies('v2', '/mirror-all')[0], 'the mirror');
  assert.equal(copy.headers.host, 'act');
  assert.deepEqual(copies('v2', '/mirror-none'), []);
  const some = copies('v2', '/mirror-some').length;
  assert.ok(some > 25 && some < 75, String(some));
});

test('faults', async () => {
  proves(
    'VirtualService.spec.http[].fault.abort.httpStatus',
    'VirtualService.spec.http[].fault.abort.grpcStatus',
    'VirtualService.spec.http[].fault.abort.percentage.value',
    'VirtualService.spec.http[].fault.delay.fixedDelay',
    'VirtualService.spec.http[].fault.delay.percentage.value',
    'VirtualService.spec.http[].fault.delay.percent',
  );
  let aborted = 0;
  for (let i = 0; i < 100; i++) if ((await get('/abort-some', 'act')).status === 418) aborted++;
  assert.ok(aborted > 25 && aborted < 75, String(aborted));
  assert.equal((await get('/abort-none', 'act')).status, 200);
  const grpc = await get('/abort-grpc', 'act', { headers: { 'content-type': 'application/grpc' } });
  assert.equal(grpc.headers['grpc-status'], '14');
  for (const path of ['/delay-all', '/delay-percent']) {
    const started = performance.now();
    assert.equal((await get(path, 'act')).status, 200);
    assert.ok(performance.now() - started >= 295, path);
  }
});

test('time limits and retries', async () => {
  proves(
    'VirtualService.spec.http[].timeout',
    'VirtualService.spec.http[].retries.attempts',
    'VirtualService.spec.http[].retries.perTryTimeout',
    'VirtualService.spec.http[].retries.retryOn',
    'VirtualService.spec.http[].retries.backoff',
    'VirtualService.spec.http[].retries.retryIgnorePreviousHosts',
  );
  assert.equal((await get('/timeout/delay/5000', 'act')).status, 504);
  const tries = async (path: string): Promise<readonly [number, number]> => {
    const { status } = await get(path, 'retry');
    return [status, origins.v1?.arrivals.filter((one) => one.path === path).length ?? 0];
  };
  assert.deepEqual(await tries('/codes/status/418'), [418, 3]);
  assert.deepEqual(await tries('/codes/status/503'), [503, 1]);
  assert.deepEqual(await tries('/never/status/503'), [503, 1]);
  assert.deepEqual(await tries('/try/delay/3000'), [504, 3]);
  // Up to two seconds lie between the attempts; the time for all of them ends before most second ones.
  const { status } = await get('/backoff/status/500', 'retry');
  assert.ok(status === 504 || status === 500);
  // Of two endpoints one fails always: the other takes the second attempt, unless the same one may be asked again.
  const bad = origins.bad as Origin;
  bad.status = 500;
  // Envoy looks for another endpoint five times and takes what it finds then: one request in a hundred fails, where any endpoint would do one in four.
  let failed = 0;
  for (let i = 0; i < 60; i++) if ((await get('/elsewhere', 'retry')).status !== 200) failed++;
  assert.ok(failed <= 4, `${failed} of 60 failed`);
  const again = await eventually(
    async () => ((await get('/anywhere', 'retry')).status === 500 ? true : undefined),
    'two attempts at the same endpoint',
  );
  assert.ok(again);
  bad.status = undefined;
});

test('CORS', async () => {
  proves(
    'VirtualService.spec.http[].corsPolicy.allowOrigins[].exact',
    'VirtualService.spec.http[].corsPolicy.allowOrigins[].prefix',
    'VirtualService.spec.http[].corsPolicy.allowOrigins[].regex',
    'VirtualService.spec.http[].corsPolicy.allowOrigin',
    'VirtualService.spec.http[].corsPolicy.allowMethods',
    'VirtualService.spec.http[].corsPolicy.allowHeaders',
    'VirtualService.spec.http[].corsPolicy.exposeHeaders',
    'VirtualService.spec.http[].corsPolicy.maxAge',
    'VirtualService.spec.http[].corsPolicy.allowCredentials',
    'VirtualService.spec.http[].corsPolicy.unmatchedPreflights',
  );
  const preflight = (origin: string, path = '/'): Promise<Answer> =>
    get(path, 'cors', { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'PUT' } });
  for (const origin of ['https://a.example', 'https://b.any', 'https://c7.example']) {
    const { seen, headers } = await preflight(origin);
    assert.equal(seen, undefined, 'answered by the proxy');
    assert.equal(headers['access-control-allow-origin'], origin);
    assert.equal(headers['access-control-allow-methods'], 'GET,PUT');
    assert.equal(headers['access-control-allow-headers'], 'x-a,x-b');
    assert.equal(headers['access-control-max-age'], '7200');
    assert.equal(headers['access-control-allow-credentials'], 'true');
  }
  const simple = await get('/', 'cors', { headers: { origin: 'https://a.example' } });
  assert.equal(simple.headers['access-control-expose-headers'], 'x-origin');
  assert.equal((await preflight('https://evil.example')).seen?.method, 'OPTIONS', 'forwarded');
  assert.equal((await preflight('https://evil.example', '/closed')).seen, undefined, 'not forwarded');
  for (const [path, origin, allowed] of [
    ['/old', 'https://old.example', true],
    ['/old', 'https://old.example.evil', false],
    ['/any', 'https://whoever.example', true],
  ] as const) {
    const { headers } = await preflight(origin, path);
    assert.equal(headers['access-control-allow-origin'], allowed ? origin : undefined, `${path} ${origin}`);
  }
});

test('delegates', async () => {
  proves('VirtualService.spec.http[].delegate.name', 'VirtualService.spec.http[].delegate.namespace');
  const headers = { 'x-root': '1' };
  const part = await get('/a/x', 'root', { headers });
  assert.deepEqual([part.text, part.headers['x-by']], ['a part', 'root']);
  assert.equal(await text('/a/x', 'root'), 'rest', 'the conditions of the root hold too');
  assert.equal((await get('/a/own/delay/400', 'root', { headers })).status, 200);
  assert.equal((await get('/a/slow/delay/3000', 'root', { headers })).status, 504, 'what the delegate leaves out');
  assert.equal(await text('/outside', 'root', { headers }), 'rest', 'a delegate cannot widen its root');
  assert.equal(await text('/a/y', 'root', { headers }), 'rest', 'nor one of several conditions of a route');
  assert.equal(await text('/b/1', 'root'), 'away');
  assert.equal(await text('/b/2', 'root'), 'rest');
  assert.equal(await text('/c', 'root'), 'rest', 'not exported to the namespace of the root');
});

test('hosts: short names, wildcards, the oldest of several, visibility', async () => {
  proves('VirtualService.spec.hosts', 'VirtualService.spec.exportTo');
  assert.equal(await text('/', 'late'), 'old');
  for (const name of ['late', 'late.default', 'late.default.svc', host('late'), `late:${PORT}`, net.ip(24)])
    assert.equal(await text('/', name), 'old', name);
  assert.equal((await get('/', 'hidden')).seen?.origin, 'any');
  assert.equal(await text('/', 'any.wild.example'), 'wildcard');
  assert.equal(await text('/', 'tame.wild.example'), 'name');
});
