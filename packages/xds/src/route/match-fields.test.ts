import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proves } from '../field-proof.ts';
import { eventually } from '../testing/envoy.ts';
import { answers, clientOf, PORT, virtualService } from './http-fields.test-support.ts';

/** Conditions of routes of a VirtualService, from the object to what a client sees, through one real Envoy. */

const { get, text, envoy } = clientOf([
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
  virtualService('door-only', { hosts: ['other'], gateways: ['door'], http: [answers('door')] }),
]);

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
    const stats = await envoy().admin('/stats?filter=tally.*upstream_rq_200');
    return /route\.tally\.upstream_rq_200: 1/.test(stats) ? stats : undefined;
  }, 'the statistics of the route');
  assert.match(counted, /vhost\.match/);
  assert.equal(
    (await get('/', 'other')).seen?.origin,
    'any',
    'a VirtualService of a gateway only leaves the mesh alone',
  );
  assert.match(envoy().log() + (await envoy().admin('/config_dump')), /counted\.match/);
});
