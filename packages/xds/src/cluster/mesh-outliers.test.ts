import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { decodeMeshConfig } from '@istio-ts/api';
import { proves } from '../field-proof.ts';
import { eventually } from '../testing/envoy.ts';
import { call } from '../testing/http-call.ts';
import { istioObject, nodeObject } from '../testing/objects.ts';
import {
  loopbackApp,
  LoopbackNet,
  type OfflineEnvoy,
  ORIGIN_PORT,
  startOfflineEnvoy,
} from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';

/** Endpoints that fail and endpoints that are far, for a mesh whose configuration says for all services what becomes of them. */

const net = new LoopbackNet();
const PORT = 9650;
const places = { a: 1, b: 2, c: 3 } as const;
const origins: Partial<Record<keyof typeof places, Origin>> = {};
const opened: OfflineEnvoy[] = [];
/** The Envoy that is asked now. */
let current: OfflineEnvoy | undefined;
const quick = { interval: '0.1s', baseEjectionTime: '60s', maxEjectionPercent: 100 };
const everywhere = { enabled: false };

const objects = [
  ...Object.keys(places).map((region) => nodeObject(`node-${region}`, region, '1')),
  ...loopbackApp(
    net,
    'shop',
    { last: 20, port: PORT, protocol: 'http' },
    Object.entries(places).map(([region, last]) => ({
      last,
      node: `node-${region}`,
      labels: { side: region === 'c' ? 'left' : 'right' },
    })),
  ),
  // In turn, so that requests can be counted.
  ...['shop', 'half'].map((name) =>
    istioObject(
      'DestinationRule',
      { name },
      { host: name, trafficPolicy: { loadBalancer: { simple: 'ROUND_ROBIN' } } },
    ),
  ),
  // The second pod of it is not there.
  ...loopbackApp(net, 'half', { last: 21, port: PORT, protocol: 'http' }, [{ last: 1 }, { last: 9 }]),
];

async function withMesh(meshConfig: object, work: (envoy: OfflineEnvoy) => Promise<void>): Promise<void> {
  const envoy = await startOfflineEnvoy({
    net,
    objects,
    proxy: {
      name: 'client',
      namespace: 'default',
      labels: { side: 'left' },
      locality: { region: 'a', zone: '1', subzone: '' },
    },
    meshConfig: decodeMeshConfig({ defaultHttpRetryPolicy: { attempts: 0 }, ...meshConfig }).value,
  });
  opened.push(envoy);
  current = envoy;
  // Two on one port would share its connections.
  try {
    await work(envoy);
  } finally {
    await envoy.stop();
  }
}

const get = (host: string) => call('/', { address: net.everywhere, port: PORT, host });

/** How often each answer came: `PLACE STATUS`. */
async function answers(host: string, count: number): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let i = 0; i < count; i++) {
    const { status, headers } = await get(host);
    const key = `${String(headers['x-origin'] ?? 'envoy')} ${status}`;
    counts[key] = (counts[key] ?? 0) + 1;
    // Workers tell of failures to the main thread, which takes endpoints out for all: its answer comes after it has done so.
    if (status !== 200) await current?.admin('/stats?filter=ejections_active');
  }
  return counts;
}
const of = async (key: string, count: number, host = 'shop'): Promise<number> => (await answers(host, count))[key] ?? 0;
const fail = (place: keyof typeof places, status: number | undefined): void => {
  const origin = origins[place];
  if (origin) origin.status = status;
};

before(async () => {
  for (const [place, last] of Object.entries(places))
    origins[place as keyof typeof places] = await startOrigin(place, net.ip(last), ORIGIN_PORT);
});
beforeEach(() => {
  for (const place of ['a', 'b', 'c'] as const) fail(place, undefined);
});
after(async () => {
  await Promise.all(opened.map((envoy) => envoy.stop()));
  await Promise.all(Object.values(origins).map((origin) => origin.close()));
});

const outliers = (settings: object, work: (envoy: OfflineEnvoy) => Promise<void>) =>
  withMesh(
    { localityLbSetting: everywhere, defaultTrafficPolicy: { outlierDetection: { ...quick, ...settings } } },
    work,
  );

test('which failures count', async () => {
  proves(
    'MeshConfig.defaultTrafficPolicy.outlierDetection.consecutive5xxErrors',
    'MeshConfig.defaultTrafficPolicy.outlierDetection.consecutiveErrors',
    'MeshConfig.defaultTrafficPolicy.outlierDetection.consecutiveGatewayErrors',
    'MeshConfig.defaultTrafficPolicy.outlierDetection.outlierDetectionHttpErrorCodes',
  );
  fail('a', 500);
  await outliers({ consecutive5xxErrors: 3 }, async () => assert.equal(await of('a 500', 30), 3));
  await outliers({ consecutiveErrors: 2 }, async () => assert.equal(await of('a 500', 30), 2));
  await outliers({ consecutive5xxErrors: 0, consecutiveGatewayErrors: 2 }, async () => {
    assert.equal(await of('a 500', 30), 10, '500 is no error of a gateway');
    fail('a', 502);
    assert.equal(await of('a 502', 30), 2);
  });
  fail('a', 500);
  await outliers({ consecutive5xxErrors: 2, outlierDetectionHttpErrorCodes: [429] }, async () => {
    assert.equal(await of('a 500', 30), 10, 'only what is listed counts');
    fail('a', 429);
    assert.equal(await of('a 429', 30), 2);
  });
});

test('failed connections count apart where the mesh says so', async () => {
  proves(
    'MeshConfig.defaultTrafficPolicy.outlierDetection.splitExternalLocalOriginErrors',
    'MeshConfig.defaultTrafficPolicy.outlierDetection.consecutiveLocalOriginFailures',
  );
  await outliers({ splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 2 }, async () => {
    assert.equal(await of('envoy 503', 20, 'half'), 2);
  });
});

test('how long and how many are left out', async () => {
  proves(
    'MeshConfig.defaultTrafficPolicy.outlierDetection.interval',
    'MeshConfig.defaultTrafficPolicy.outlierDetection.baseEjectionTime',
    'MeshConfig.defaultTrafficPolicy.outlierDetection.maxEjectionPercent',
    'MeshConfig.defaultTrafficPolicy.outlierDetection.minHealthPercent',
  );
  fail('a', 500);
  await outliers({ consecutive5xxErrors: 1, baseEjectionTime: '0.5s' }, async () => {
    assert.equal(await of('a 500', 9), 1);
    fail('a', undefined);
    await eventually(async () => ((await of('a 200', 3)) > 0 ? true : undefined), 'its return');
  });
  // Who comes back is looked at this often only.
  fail('a', 500);
  await outliers({ consecutive5xxErrors: 1, interval: '600s', baseEjectionTime: '0.1s' }, async () => {
    assert.equal(await of('a 500', 9), 1);
    fail('a', undefined);
    const until = Date.now() + 700;
    await eventually(async () => {
      assert.equal(await of('a 200', 3), 0);
      return Date.now() > until ? true : undefined;
    }, 'some time');
  });
  for (const place of ['a', 'b', 'c'] as const) fail(place, 500);
  await outliers({ consecutive5xxErrors: 1, maxEjectionPercent: 70 }, async (envoy) => {
    await answers('shop', 20);
    const stats = await envoy.admin('/stats?filter=shop.*ejections_active');
    assert.match(stats, /: 2\n/);
  });
  for (const place of ['b', 'c'] as const) fail(place, undefined);
  await outliers({ consecutive5xxErrors: 1, minHealthPercent: 80 }, async () => {
    assert.ok((await of('a 500', 30)) > 5, 'with too few healthy endpoints all are used');
  });
});

test('localities: near ones first, and where to go when they fail', async () => {
  proves(
    'MeshConfig.localityLbSetting.failover[].from',
    'MeshConfig.localityLbSetting.failover[].to',
    'MeshConfig.localityLbSetting.failoverPriority',
    'MeshConfig.localityLbSetting.enabled',
  );
  const settings = (localityLbSetting: object) => ({
    localityLbSetting,
    defaultTrafficPolicy: { outlierDetection: { consecutive5xxErrors: 1, ...quick } },
  });
  await withMesh(settings({ failover: [{ from: 'a', to: 'c' }] }), async () => {
    assert.deepEqual(await answers('shop', 6), { 'a 200': 6 });
    fail('a', 500);
    assert.deepEqual(await answers('shop', 6), { 'a 500': 1, 'c 200': 5 });
  });
  fail('a', undefined);
  await withMesh(settings({ failoverPriority: ['side'] }), async () => {
    assert.deepEqual(await answers('shop', 6), { 'c 200': 6 });
  });
  await withMesh(settings({ enabled: false }), async () => {
    assert.deepEqual(Object.keys(await answers('shop', 9)).sort(), ['a 200', 'b 200', 'c 200']);
  });
});
