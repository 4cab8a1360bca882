import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { decodeMeshConfig } from '@istio-ts/api';
import { proves } from '../field-proof.ts';
import { eventually } from '../testing/envoy.ts';
import { type Answer, type Call, call } from '../testing/http-call.ts';
import { istioObject, nodeObject } from '../testing/objects.ts';
import {
  loopbackApp,
  LoopbackNet,
  type OfflineEnvoy,
  ORIGIN_PORT,
  startOfflineEnvoy,
} from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';

/** How a DestinationRule spreads requests over endpoints and avoids those that fail, as a client of one real Envoy sees it. */

const net = new LoopbackNet();
const PORT = 9000;
const host = (name: string): string => `${name}.default.svc.cluster.local`;
const clusterName = (name: string, subset = ''): string => `outbound|${PORT}|${subset}|${host(name)}`;

/** Names of the origins and the last byte of their addresses. Those on one node share its place. */
const places = { a1: 1, a2: 2, b1: 3, c1: 4 } as const;
const nodes = { a1: 'node-a1', a2: 'node-a2', b1: 'node-b', c1: 'node-c' } as const;
type Place = keyof typeof places;

let last = 20;
const app = (name: string, pods: readonly Place[] = ['a1', 'a2', 'b1', 'c1'], node?: string) => {
  last++;
  return loopbackApp(
    net,
    name,
    { last, port: PORT, protocol: 'http' },
    pods.map((place) => ({ last: places[place], labels: { place }, node: node ?? nodes[place] })),
  );
};
const rule = (name: string, trafficPolicy: object, more: object = {}) =>
  istioObject('DestinationRule', { name }, { host: name, trafficPolicy, ...more });
const quick = { interval: '0.1s', baseEjectionTime: '60s', maxEjectionPercent: 100 };

const WARMUP_MS = 4000;
const warming = (settings: object) => ({
  loadBalancer: { simple: 'ROUND_ROBIN', localityLbSetting: { enabled: false }, ...settings },
});

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
  distribute: {
    loadBalancer: {
      localityLbSetting: { distribute: [{ from: 'a/1/*', to: { 'a/1/*': 1, 'c/*': 99 } }] },
    },
  },
  failover: {
    outlierDetection: { consecutive5xxErrors: 1, ...quick },
    loadBalancer: { localityLbSetting: { failover: [{ from: 'a', to: 'c' }] } },
  },
  labels: {
    outlierDetection: { consecutive5xxErrors: 1, ...quick },
    loadBalancer: { localityLbSetting: { failoverPriority: ['place', 'topology.kubernetes.io/region'] } },
  },
  spread: {
    outlierDetection: { consecutive5xxErrors: 1, ...quick },
    loadBalancer: { simple: 'ROUND_ROBIN', localityLbSetting: { enabled: false } },
  },
  fivexx: {
    outlierDetection: { consecutive5xxErrors: 3, ...quick },
    loadBalancer: { simple: 'ROUND_ROBIN', localityLbSetting: { enabled: false } },
  },
  gateway: {
    outlierDetection: { consecutive5xxErrors: 0, consecutiveGatewayErrors: 2, ...quick },
    loadBalancer: { simple: 'ROUND_ROBIN', localityLbSetting: { enabled: false } },
  },
  old5xx: {
    outlierDetection: { consecutiveErrors: 2, ...quick },
    loadBalancer: { simple: 'ROUND_ROBIN', localityLbSetting: { enabled: false } },
  },
  ported: {
    outlierDetection: { consecutive5xxErrors: 0, ...quick },
    loadBalancer: { simple: 'ROUND_ROBIN', localityLbSetting: { enabled: false } },
    portLevelSettings: [
      {
        port: { number: PORT },
        outlierDetection: { consecutive5xxErrors: 1, ...quick },
        loadBalancer: { consistentHash: { httpHeaderName: 'x-user' } },
      },
    ],
  },
  codes: {
    outlierDetection: { consecutive5xxErrors: 2, outlierDetectionHttpErrorCodes: [429], ...quick },
    loadBalancer: { simple: 'ROUND_ROBIN', localityLbSetting: { enabled: false } },
  },
  back: {
    outlierDetection: { consecutive5xxErrors: 1, interval: '0.1s', baseEjectionTime: '0.5s', maxEjectionPercent: 100 },
    loadBalancer: { simple: 'ROUND_ROBIN', localityLbSetting: { enabled: false } },
  },
  half: {
    outlierDetection: { consecutive5xxErrors: 1, interval: '0.1s', baseEjectionTime: '60s', maxEjectionPercent: 50 },
    loadBalancer: { simple: 'ROUND_ROBIN', localityLbSetting: { enabled: false } },
  },
  panic: {
    outlierDetection: { consecutive5xxErrors: 1, ...quick, minHealthPercent: 60 },
    loadBalancer: { simple: 'ROUND_ROBIN', localityLbSetting: { enabled: false } },
  },
  local: {
    outlierDetection: { splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 2, ...quick },
    loadBalancer: { simple: 'ROUND_ROBIN', localityLbSetting: { enabled: false } },
  },
  warm: warming({ warmup: { duration: '4s', minimumPercent: 1, aggression: 1 } }),
  eager: warming({ warmup: { duration: '4s', minimumPercent: 1, aggression: 10 } }),
  floor: warming({ warmup: { duration: '4s', minimumPercent: 90, aggression: 1 } }),
  old: warming({ warmupDurationSecs: '4s' }),
};

const objects = [
  ...Object.entries({ a1: ['a', '1'], a2: ['a', '2'], b: ['b', '1'], c: ['c', '1'] }).map(([name, [region, zone]]) =>
    nodeObject(`node-${name}`, region ?? '', zone ?? ''),
  ),
  ...Object.keys(policies).flatMap((name) =>
    ['fivexx', 'old5xx', 'gateway', 'codes', 'back', 'panic', 'warm', 'eager', 'floor', 'old'].includes(name)
      ? app(name, ['a1', 'a2'])
      : name === 'local'
        ? loopbackApp(net, name, { last: 90, port: PORT, protocol: 'http' }, [{ last: places.a1 }, { last: 99 }])
        : app(name),
  ),
  ...app('least', ['a1', 'a2'], 'node-b'),
  ...app('parts'),
  // Two attempts fail near the client; where the next ones go is for the route to say.
  ...['remote', 'near'].flatMap((name) => [
    ...app(name, ['a1', 'c1']),
    rule(name, { outlierDetection: { consecutive5xxErrors: 100 } }),
    istioObject(
      'VirtualService',
      { name },
      {
        hosts: [name],
        http: [
          {
            retries: {
              attempts: 3,
              retryOn: '5xx',
              backoff: '1ms',
              retryIgnorePreviousHosts: false,
              retryRemoteLocalities: name === 'remote',
            },
            route: [{ destination: { host: name } }],
          },
        ],
      },
    ),
  ]),
  ...Object.entries(policies).map(([name, policy]) => rule(name, policy)),
  rule(
    'parts',
    {
      loadBalancer: { simple: 'ROUND_ROBIN', localityLbSetting: { enabled: false } },
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
  // What happens to an endpoint must not be hidden by another attempt.
  ...[...Object.keys(policies), 'least'].map((name) =>
    istioObject(
      'VirtualService',
      { name },
      { hosts: [name], http: [{ retries: { attempts: 0 }, route: [{ destination: { host: name } }] }] },
    ),
  ),
];

let envoy: OfflineEnvoy;
let started = 0;
const origins = {} as Record<Place, Origin>;

const get = (to: string, path = '/', more: Partial<Call> = {}): Promise<Answer> =>
  call(path, { address: net.everywhere, port: PORT, host: to, ...more });
const place = async (to: string, path = '/', more: Partial<Call> = {}): Promise<string> =>
  (await get(to, path, more)).seen?.origin ?? '';
const places_ = async (
  to: string,
  count: number,
  path = '/',
  more: Partial<Call> = {},
): Promise<Record<string, number>> => {
  const counts: Record<string, number> = {};
  for (let i = 0; i < count; i++) {
    const { status, headers } = await get(to, path, more);
    const key = status === 503 ? '503' : String(headers['x-origin']);
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
};
const stat = async (cluster: string, name: string): Promise<number> => {
  const text = await envoy.admin(`/stats?filter=${encodeURIComponent(name)}`);
  const line = text.split('\n').find((one) => one.includes(cluster) && one.includes(`.${name}: `));
  return Number(line?.split(': ')[1] ?? Number.NaN);
};

before(async () => {
  for (const [name, byte] of Object.entries(places))
    origins[name as Place] = await startOrigin(name, net.ip(byte), ORIGIN_PORT);
  envoy = await startOfflineEnvoy({
    net,
    objects,
    proxy: {
      name: 'client',
      namespace: 'default',
      labels: { app: 'client', place: 'b1' },
      locality: { region: 'a', zone: '1', subzone: '' },
      ipAddress: net.ip(9),
    },
    meshConfig: decodeMeshConfig({}).value,
    changing: ['warm', 'eager', 'floor', 'old'].map((name) => clusterName(name)),
  });
  started = performance.now();
});

after(async () => {
  await envoy?.stop();
  await Promise.all(Object.values(origins).map((origin) => origin.close()));
});

test('each algorithm chooses in its way', async () => {
  proves('DestinationRule.spec.trafficPolicy.loadBalancer.simple', 'DestinationRule.spec.host');
  assert.deepEqual(await places_('robin', 40), { a1: 10, a2: 10, b1: 10, c1: 10 });
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
  for (let i = 0; i < 200; i++) {
    const one = get('least');
    open.push(one);
    await Promise.race([one, wait(10)]);
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

test('localities: a split by weight, regions and labels that take over, and none of it', async () => {
  proves(
    'DestinationRule.spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[].from',
    'DestinationRule.spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[].to',
    'DestinationRule.spec.trafficPolicy.loadBalancer.localityLbSetting.failover[].from',
    'DestinationRule.spec.trafficPolicy.loadBalancer.localityLbSetting.failover[].to',
    'DestinationRule.spec.trafficPolicy.loadBalancer.localityLbSetting.failoverPriority',
    'DestinationRule.spec.trafficPolicy.loadBalancer.localityLbSetting.enabled',
  );
  const split = await places_('distribute', 100);
  assert.ok((split.c1 ?? 0) > 85 && (split.c1 ?? 0) + (split.a1 ?? 0) === 100, JSON.stringify(split));
  assert.equal(Object.keys(await places_('spread', 8)).length, 4);

  const down = async (to: string, bad: Place, next: string): Promise<void> => {
    origins[bad].status = 500;
    await eventually(async () => ((await place(to)) === next ? true : undefined), `${to}: ${next} instead of ${bad}`);
    assert.deepEqual(await places_(to, 10), { [next]: 10 });
  };
  assert.deepEqual(await places_('failover', 10), { a1: 10 });
  await down('failover', 'a1', 'a2');
  await down('failover', 'a2', 'c1');
  await down('failover', 'c1', 'b1');
  for (const origin of Object.values(origins)) origin.status = undefined;

  assert.deepEqual(await places_('labels', 10), { b1: 10 }, 'the label of the client itself');
  origins.b1.status = 500;
  await eventually(async () => ((await place('labels')) !== 'b1' ? true : undefined), 'another one than b1');
  // Nobody else has the first label, so the second one does not count.
  assert.equal(Object.keys(await places_('labels', 30)).length, 3);
  origins.b1.status = undefined;
});

test('attempts go to other localities where the route says so', async () => {
  proves('VirtualService.spec.http[].retries.retryRemoteLocalities');
  for (const name of ['remote', 'near']) assert.deepEqual(await places_(name, 5), { a1: 5 });
  origins.a1.status = 500;
  assert.deepEqual(await places_('remote', 5), { c1: 5 });
  assert.deepEqual(await places_('near', 5), { a1: 5 });
  origins.a1.status = undefined;
});

test('endpoints that fail are left out for a while', async () => {
  proves(
    'DestinationRule.spec.trafficPolicy.outlierDetection.consecutive5xxErrors',
    'DestinationRule.spec.trafficPolicy.outlierDetection.consecutiveErrors',
    'DestinationRule.spec.trafficPolicy.outlierDetection.consecutiveGatewayErrors',
    'DestinationRule.spec.trafficPolicy.outlierDetection.outlierDetectionHttpErrorCodes',
    'DestinationRule.spec.trafficPolicy.outlierDetection.splitExternalLocalOriginErrors',
    'DestinationRule.spec.trafficPolicy.outlierDetection.consecutiveLocalOriginFailures',
    'DestinationRule.spec.trafficPolicy.outlierDetection.baseEjectionTime',
    'DestinationRule.spec.trafficPolicy.outlierDetection.interval',
    'DestinationRule.spec.trafficPolicy.outlierDetection.maxEjectionPercent',
    'DestinationRule.spec.trafficPolicy.outlierDetection.minHealthPercent',
  );
  const statuses = async (to: string, count: number): Promise<Record<string, number>> => {
    const counts: Record<string, number> = {};
    for (let i = 0; i < count; i++) {
      const { status } = await get(to);
      counts[status] = (counts[status] ?? 0) + 1;
    }
    return counts;
  };
  /** Failed answers until an endpoint was left out. Workers hear of that a little later: from then on no answer fails. */
  const failuresUntilEjection = async (to: string): Promise<number> => {
    let failures = 0;
    await eventually(async () => {
      const { status } = await get(to);
      if (status !== 200) failures++;
      return (await stat(host(to), 'outlier_detection.ejections_active')) === 1 ? true : undefined;
    }, `an endpoint of ${to} is left out`);
    await eventually(
      async () => ((await statuses(to, 8))[200] === 8 ? true : undefined),
      `${to} answers without that endpoint`,
    );
    return failures;
  };
  /** What is left out after so many failures. Some more arrive while workers have not heard of it. */
  const leftOutAfter = async (to: string, failures: number): Promise<void> => {
    const seen = await failuresUntilEjection(to);
    assert.ok(seen >= failures, `${to}: left out after ${seen} failures instead of ${failures}`);
  };
  origins.a1.status = 500;
  await leftOutAfter('fivexx', 3);
  await leftOutAfter('old5xx', 2);
  // 500 is no error of a gateway.
  assert.deepEqual(await statuses('gateway', 10), { 200: 5, 500: 5 });
  origins.a1.status = 502;
  await leftOutAfter('gateway', 2);
  // Only the listed status counts.
  assert.deepEqual(await statuses('codes', 10), { 200: 5, 502: 5 });
  origins.a1.status = 429;
  await leftOutAfter('codes', 2);
  assert.deepEqual(await statuses('local', 2), { 429: 1, 503: 1 });
  await eventually(async () => {
    await get('local');
    const ejected = await stat(host('local'), 'outlier_detection.ejections_enforced_consecutive_local_origin_failure');
    return ejected === 1 ? true : undefined;
  }, 'an endpoint where nobody listens is left out');
  await eventually(
    async () => ((await statuses('local', 8))[429] === 8 ? true : undefined),
    'the other endpoint answers everything',
  );
  origins.a1.status = 500;
  await eventually(async () => {
    await get('back');
    const ejected = await stat(host('back'), 'outlier_detection.ejections_enforced_consecutive_5xx');
    return (ejected ?? 0) > 0 ? true : undefined;
  }, 'an endpoint is left out for a short time');
  origins.a1.status = undefined;
  await eventually(async () => ((await place('back')) === 'a1' ? true : undefined), 'its return');

  origins.a1.status = 500;
  const panicked = await statuses('panic', 20);
  assert.ok((panicked[500] ?? 0) > 5, 'with too few healthy endpoints all are used');
  for (const origin of Object.values(origins)) origin.status = 500;
  await statuses('half', 20);
  await eventually(
    async () => ((await stat(host('half'), 'outlier_detection.ejections_active')) === 2 ? true : undefined),
    'half of the endpoints are left out',
  );
  for (const origin of Object.values(origins)) origin.status = undefined;
});

test('new endpoints get their share slowly', async () => {
  proves(
    'DestinationRule.spec.trafficPolicy.loadBalancer.warmup.duration',
    'DestinationRule.spec.trafficPolicy.loadBalancer.warmup.minimumPercent',
    'DestinationRule.spec.trafficPolicy.loadBalancer.warmup.aggression',
    'DestinationRule.spec.trafficPolicy.loadBalancer.warmupDurationSecs',
  );
  const share = async (name: string): Promise<number> => {
    const cluster = clusterName(name);
    const whole = envoy.endpoints(cluster);
    const [group] = whole.endpoints ?? [];
    const [first, second] = (whole.endpoints ?? []).flatMap((one) => one.lbEndpoints ?? []);
    assert.ok(first && second);
    const members = (count: number) =>
      eventually(async () => ((await stat(host(name), 'membership_total')) === count ? true : undefined), `${count}`);
    await envoy.setEndpoints(cluster, { ...whole, endpoints: [{ ...group, lbEndpoints: [first] }] });
    await members(1);
    await envoy.setEndpoints(cluster, { ...whole, endpoints: [{ ...group, lbEndpoints: [first, second] }] });
    await members(2);
    return (await places_(name, 100)).a2 ?? 0;
  };
  // The other endpoint is as old as Envoy: its own warm-up has to be over.
  await eventually(() => (performance.now() > started + WARMUP_MS + 500 ? true : undefined), 'the end of the warm-up');
  const [warm, eager, floor, old] = [
    await share('warm'),
    await share('eager'),
    await share('floor'),
    await share('old'),
  ];
  const shares = JSON.stringify({ warm, eager, floor, old });
  assert.ok(warm < 30 && old < 35, shares);
  assert.ok(eager > 32 && floor > 40, shares);
});

test('subsets: their endpoints, and policies instead of those of the host, group by group', async () => {
  proves(
    'DestinationRule.spec.subsets[].name',
    'DestinationRule.spec.subsets[].labels',
    'DestinationRule.spec.subsets[].trafficPolicy',
    'DestinationRule.spec.subsets[].trafficPolicy.portLevelSettings[].loadBalancer',
  );
  assert.deepEqual(await places_('parts', 5, '/near'), { a1: 5 });
  const hashed = await places_('parts', 10, '/hashed', { headers: { 'x-user': 'me' } });
  assert.equal(Object.keys(hashed).length, 1);
  const ports = await places_('parts', 10, '/ports', { headers: { 'x-port': 'me' } });
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
  assert.deepEqual(await places_('ported', 8, '/', mine), { [only]: 8 });
  origins[only as Place].status = 500;
  const next = await eventually(async () => {
    const now = await place('ported', '/', mine);
    return now !== only && now !== '' ? now : undefined;
  }, 'another endpoint');
  assert.deepEqual(await places_('ported', 5, '/', mine), { [next]: 5 });
  origins[only as Place].status = undefined;
});
