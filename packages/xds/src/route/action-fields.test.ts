import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proves } from '../field-proof.ts';
import { eventually } from '../testing/envoy.ts';
import { clientOf, OTHER_PORT, PORT, v1, v2, virtualService } from './http-fields.test-support.ts';

/** What routes of a VirtualService do, from the object to what a client sees, through one real Envoy. */

const { get, origins } = clientOf([
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
      { route: v1 },
    ],
  }),
]);

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
