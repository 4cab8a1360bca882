import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { proves } from '../field-proof.ts';
import { eventually } from '../testing/envoy.ts';
import { istioObject } from '../testing/objects.ts';
import {
  anywhere,
  app,
  balanced,
  clientOf,
  host,
  net,
  type Place,
  PORT,
  quick,
  rule,
} from './balance-fields.test-support.ts';

/** How a DestinationRule spreads requests over endpoints, as a client of one real Envoy sees it. */

const policies: Readonly<Record<string, object>> = {
  robin: { loadBalancer: { simple: 'ROUND_ROBIN' } },
  random: { loadBalancer: { simple: 'RANDOM', localityLbSetting: { enabled: false } } },
  header: { loadBalancer: { consistentHash: { httpHeaderName: 'x-user', ringHash: { minimumRingSize: 4096 } } } },
  cookie: {
    loadBalancer: {
      consistentHash: {
        httpCookie: { name: 'who', path: '/here', ttl: '60s', attributes: [{ name: 'SameSite', value: 'Strict' }] },
        minimumRingSize: 2000,
      },
    },
  },
  session: { loadBalancer: { consistentHash: { httpCookie: { name: 'who', ttl: '0s' } } } },
  source: { loadBalancer: { consistentHash: { useSourceIp: true } } },
  query: { loadBalancer: { consistentHash: { httpQueryParameterName: 'user', maglev: { tableSize: 1009 } } } },
  ported: {
    outlierDetection: { consecutive5xxErrors: 0, ...quick },
    loadBalancer: anywhere,
    portLevelSettings: [
      {
        port: { number: PORT },
        outlierDetection: { consecutive5xxErrors: 1, ...quick },
        loadBalancer: { consistentHash: { httpHeaderName: 'x-user' } },
      },
    ],
  },
};

const { get, place, shares, stat, origins } = clientOf([
  ...Object.entries(policies).flatMap(([name, policy]) => [...app(name), ...balanced(name, policy)]),
  ...app('least', ['a1', 'a2'], 'node-b'),
  ...balanced('least'),
  ...app('parts'),
  rule(
    'parts',
    {
      loadBalancer: anywhere,
      outlierDetection: { consecutive5xxErrors: 1, ...quick },
    },
    {
      subsets: [
        { name: 'near', labels: { place: 'a1' } },
        {
          name: 'hashed',
          trafficPolicy: { loadBalancer: { consistentHash: { httpHeaderName: 'x-user' } } },
        },
        {
          name: 'ports',
          trafficPolicy: {
            loadBalancer: { simple: 'RANDOM' },
            portLevelSettings: [
              { port: { number: PORT }, loadBalancer: { consistentHash: { httpHeaderName: 'x-port' } } },
            ],
          },
        },
      ],
    },
  ),
  istioObject(
    'VirtualService',
    { name: 'parts' },
    {
      hosts: ['parts'],
      http: ['near', 'hashed', 'ports'].map((subset) => ({
        match: [{ uri: { prefix: `/${subset}` } }],
        route: [{ destination: { host: 'parts', subset } }],
      })),
    },
  ),
]);

test('each algorithm chooses in its way', async () => {
  proves('DestinationRule.spec.trafficPolicy.loadBalancer.simple', 'DestinationRule.spec.host');
  assert.deepEqual(await shares('robin', 40), { a1: 10, a2: 10, b1: 10, c1: 10 });
  const order: string[] = [];
  for (let i = 0; i < 40; i++) order.push(await place('random'));
  assert.equal(new Set(order).size, 4);
  assert.ok(
    order.some((one, i) => i >= 4 && one !== order[i - 4]),
    'no fixed order',
  );
  // One of two endpoints answers late: the one with fewer open requests gets most of them.
  origins.a1.delay = 3000;
  const before_ = { a1: origins.a1.arrivals.length, a2: origins.a2.arrivals.length };
  const open: Promise<unknown>[] = [];
  const late = () => origins.a1.arrivals.length;
  const quick = () => origins.a2.arrivals.length;
  for (let i = 0; i < 200; i++) {
    const [slow, fast] = [late(), quick()];
    const one = get('least');
    open.push(one);
    // The next one comes when this one is answered, or waits at the slow endpoint.
    for (const end = Date.now() + 60_000; late() === slow && quick() === fast && Date.now() < end; ) await wait(1);
    if (quick() > fast) await one;
  }
  const slow = origins.a1.arrivals.length - before_.a1;
  origins.a1.delay = 0;
  await Promise.all(open);
  assert.ok(slow > 0 && slow < 85, `the slow one got ${slow} of 200`);
});

test('a hash of header, cookie, address or query parameter always leads to the same endpoint', async () => {
  proves(
    'DestinationRule.spec.trafficPolicy.loadBalancer.consistentHash.httpHeaderName',
    'DestinationRule.spec.trafficPolicy.loadBalancer.consistentHash.httpCookie.name',
    'DestinationRule.spec.trafficPolicy.loadBalancer.consistentHash.httpCookie.path',
    'DestinationRule.spec.trafficPolicy.loadBalancer.consistentHash.httpCookie.ttl',
    'DestinationRule.spec.trafficPolicy.loadBalancer.consistentHash.httpCookie.attributes[].name',
    'DestinationRule.spec.trafficPolicy.loadBalancer.consistentHash.httpCookie.attributes[].value',
    'DestinationRule.spec.trafficPolicy.loadBalancer.consistentHash.useSourceIp',
    'DestinationRule.spec.trafficPolicy.loadBalancer.consistentHash.httpQueryParameterName',
    'DestinationRule.spec.trafficPolicy.loadBalancer.consistentHash.ringHash.minimumRingSize',
    'DestinationRule.spec.trafficPolicy.loadBalancer.consistentHash.minimumRingSize',
    'DestinationRule.spec.trafficPolicy.loadBalancer.consistentHash.maglev.tableSize',
  );
  const steady = async (ask: (key: string) => Promise<string>): Promise<void> => {
    const found = new Set<string>();
    for (let key = 0; key < 24; key++) {
      const one = await ask(String(key));
      found.add(one);
      assert.equal(await ask(String(key)), one);
    }
    assert.ok(found.size > 1, 'different keys lead to different endpoints');
  };
  await steady((key) => place('header', '/', { headers: { 'x-user': key } }));
  await steady((key) => place('query', `/?user=${key}`));
  await steady((key) => place('source', '/', { from: net.ip(200 + Number(key)) }));
  await steady((key) => place('cookie', '/', { headers: { cookie: `who=${key}` } }));
  const first = await get('cookie');
  const [cookie = ''] = ([] as string[]).concat(first.headers['set-cookie'] as never);
  assert.match(cookie, /^who="?[^;"]+"?; Max-Age=60; Path=\/here; SameSite=Strict/);
  const pair = cookie.split(';')[0] ?? '';
  for (let i = 0; i < 5; i++)
    assert.equal(await place('cookie', '/', { headers: { cookie: pair } }), first.seen?.origin);
  const [session = ''] = ([] as string[]).concat((await get('session')).headers['set-cookie'] as never);
  assert.match(session, /^who=/);
  assert.doesNotMatch(session, /Max-Age/);
  assert.ok((await stat(host('header'), 'ring_hash_lb.size')) >= 4096);
  const ring = await stat(host('cookie'), 'ring_hash_lb.size');
  assert.ok(ring >= 2000 && ring < 4096, String(ring));
  assert.ok((await stat(host('query'), 'maglev_lb.max_entries_per_host')) <= 1009 / 4 + 2);
});

test('subsets: their endpoints, and policies instead of those of the host, group by group', async () => {
  proves(
    'DestinationRule.spec.subsets[].name',
    'DestinationRule.spec.subsets[].labels',
    'DestinationRule.spec.subsets[].trafficPolicy',
    'DestinationRule.spec.subsets[].trafficPolicy.portLevelSettings[].loadBalancer',
  );
  assert.deepEqual(await shares('parts', 5, '/near'), { a1: 5 });
  const hashed = await shares('parts', 10, '/hashed', { headers: { 'x-user': 'me' } });
  assert.equal(Object.keys(hashed).length, 1);
  const ports = await shares('parts', 10, '/ports', { headers: { 'x-port': 'me' } });
  assert.equal(Object.keys(ports).length, 1);
  // Outlier detection comes from the host: the only endpoint for the key is replaced when it fails.
  const only = Object.keys(hashed)[0] as Place;
  origins[only].status = 500;
  const again = await eventually(async () => {
    const now = await place('parts', '/hashed', { headers: { 'x-user': 'me' } });
    return now !== only && now !== '' ? now : undefined;
  }, 'another endpoint');
  assert.notEqual(again, only);
  origins[only].status = undefined;
});

test('settings of a port', async () => {
  proves(
    'DestinationRule.spec.trafficPolicy.portLevelSettings[].loadBalancer',
    'DestinationRule.spec.trafficPolicy.portLevelSettings[].outlierDetection',
  );
  const mine = { headers: { 'x-user': 'me' } };
  const only = await place('ported', '/', mine);
  assert.deepEqual(await shares('ported', 8, '/', mine), { [only]: 8 });
  origins[only as Place].status = 500;
  const next = await eventually(async () => {
    const now = await place('ported', '/', mine);
    return now !== only && now !== '' ? now : undefined;
  }, 'another endpoint');
  assert.deepEqual(await shares('ported', 5, '/', mine), { [next]: 5 });
  origins[only as Place].status = undefined;
});
