import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
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

/** Load balancing by zone, where Envoy knows how its own workload is spread: one proxy in each of two zones, and servers in three regions. */

const net = new LoopbackNet();
const PORT = 9000;

/** Servers with the last byte of their addresses, the node that says where they are, and a label. */
const places = {
  near: { last: 1, node: 'a1', disk: 'hdd' },
  zone2: { last: 2, node: 'a2', disk: 'ssd' },
  east: { last: 3, node: 'b1', disk: 'hdd' },
  west: { last: 4, node: 'c1', disk: 'hdd' },
} as const;
type Place = keyof typeof places;
const all = Object.keys(places) as Place[];

let last = 20;
const app = (name: string, pods: readonly Place[] = all) => {
  last++;
  return loopbackApp(
    net,
    name,
    { last, port: PORT, protocol: 'http' },
    pods.map((place) => ({ ...places[place], labels: { disk: places[place].disk } })),
  );
};
const failing = {
  outlierDetection: { consecutive5xxErrors: 1, interval: '0.1s', baseEjectionTime: '60s', maxEjectionPercent: 100 },
};
const zones = (settings: object) => ({
  ...failing,
  loadBalancer: { simple: 'ROUND_ROBIN', zoneAwareLbSetting: settings },
});
const policies: Readonly<Record<string, object>> = {
  zones: zones({ enabled: true, minClusterSize: 2 }),
  small: zones({ enabled: true, minClusterSize: 3 }),
  standard: zones({ enabled: true }),
  off: { loadBalancer: { simple: 'ROUND_ROBIN', zoneAwareLbSetting: { enabled: false } } },
  regions: zones({ enabled: true, minClusterSize: 2, failover: [{ from: 'a', to: 'c' }] }),
  labels: zones({ enabled: true, minClusterSize: 1, failoverPriority: ['disk'] }),
  localities: { loadBalancer: { simple: 'ROUND_ROBIN', localityLbSetting: { enabled: false } } },
};
const objects = [
  ...[
    ['a1', 'a', '1'],
    ['a2', 'a', '2'],
    ['b1', 'b', '1'],
    ['c1', 'c', '1'],
  ].map(([name = '', region = '', zone = '']) => nodeObject(name, region, zone)),
  // The client's own workload, of which Envoy only has to know where it runs.
  ...loopbackApp(net, 'client', { last: 19, port: 9001, protocol: 'http' }, [
    { last: 101, node: 'a1', labels: { disk: 'ssd', 'service.istio.io/workload-name': 'client' } },
    { last: 102, node: 'a2', labels: { disk: 'ssd', 'service.istio.io/workload-name': 'client' } },
  ]),
  ...Object.keys(policies).flatMap((name) => app(name)),
  ...app('mesh'),
  ...[...Object.keys(policies), 'mesh'].flatMap((name) => [
    ...(policies[name]
      ? [istioObject('DestinationRule', { name }, { host: name, trafficPolicy: policies[name] })]
      : []),
    istioObject(
      'VirtualService',
      { name },
      { hosts: [name], http: [{ retries: { attempts: 0 }, route: [{ destination: { host: name } }] }] },
    ),
  ]),
];
const proxy = {
  name: 'client-0',
  namespace: 'default',
  labels: { app: 'client', disk: 'ssd' },
  locality: { region: 'a', zone: '1', subzone: '' },
};

const origins = {} as Record<Place, Origin>;
before(async () => {
  for (const place of all) origins[place] = await startOrigin(place, net.ip(places[place].last), ORIGIN_PORT);
});
after(async () => {
  for (const origin of Object.values(origins)) await origin.close();
});

const start = (meshConfig: object, knowsItself = true): Promise<OfflineEnvoy> =>
  startOfflineEnvoy({
    net,
    objects,
    proxy: { ...proxy, metadata: knowsItself ? { ENABLE_SELF_DISCOVERY: 'true' } : {} },
    meshConfig: decodeMeshConfig(meshConfig).value,
  });
const counts = async (host: string, count = 12): Promise<Record<string, number>> => {
  const result: Record<string, number> = {};
  for (let i = 0; i < count; i++) {
    const { headers } = await call('/', { address: net.everywhere, port: PORT, host });
    const place = String(headers['x-origin']);
    result[place] = (result[place] ?? 0) + 1;
  }
  return result;
};
/** Lets servers fail one after the other, and checks who serves then. */
const failover = async (host: string, steps: readonly (readonly [Place, readonly Place[]])[]): Promise<void> => {
  for (const [bad, next] of steps) {
    origins[bad].status = 500;
    await eventually(async () => {
      const now = Object.keys(await counts(host, 20)).sort();
      return now.join() === [...next].sort().join() ? true : undefined;
    }, `${host}: ${next.join()} without ${bad}`);
  }
  for (const origin of Object.values(origins)) origin.status = undefined;
};

describe('load balancing by zone', () => {
  let envoy: OfflineEnvoy;
  before(async () => {
    envoy = await start({});
  });
  after(() => envoy?.stop());

  test('requests stay in the zone of the client where it has enough servers', async () => {
    proves(
      'DestinationRule.spec.trafficPolicy.loadBalancer.zoneAwareLbSetting.enabled',
      'DestinationRule.spec.trafficPolicy.loadBalancer.zoneAwareLbSetting.minClusterSize',
    );
    assert.deepEqual(await counts('zones'), { near: 12 });
    assert.deepEqual(await counts('small'), { near: 6, zone2: 6 }, 'the region has fewer servers than it takes');
    assert.deepEqual(await counts('standard'), { near: 6, zone2: 6 }, 'six are needed unless told otherwise');
    for (const name of ['off', 'localities']) assert.equal(Object.keys(await counts(name)).length, 4, name);
  });

  test('regions, and labels before them, take over from each other', async () => {
    proves(
      'DestinationRule.spec.trafficPolicy.loadBalancer.zoneAwareLbSetting.failover[].from',
      'DestinationRule.spec.trafficPolicy.loadBalancer.zoneAwareLbSetting.failover[].to',
      'DestinationRule.spec.trafficPolicy.loadBalancer.zoneAwareLbSetting.failoverPriority',
    );
    // One of two servers of a region cannot serve all of its requests: some go to the next region already.
    await failover('regions', [
      ['near', ['zone2', 'west']],
      ['zone2', ['west']],
      ['west', ['east']],
    ]);
    assert.deepEqual(await counts('labels'), { zone2: 12 });
    await failover('labels', [
      ['zone2', ['near']],
      ['near', ['east', 'west']],
    ]);
  });
});

describe('load balancing by zone as the mesh has it', () => {
  const withMesh = async (
    zoneAwareLbSetting: object,
    more: object,
    run: () => Promise<void>,
    knowsItself = true,
  ): Promise<void> => {
    const envoy = await start({ zoneAwareLbSetting, ...more }, knowsItself);
    try {
      await run();
    } finally {
      await envoy.stop();
    }
  };

  test('is for services whose rules say nothing of localities', async () => {
    proves(
      'MeshConfig.zoneAwareLbSetting.enabled',
      'MeshConfig.zoneAwareLbSetting.minClusterSize',
      'MeshConfig.zoneAwareLbSetting.failover[].from',
      'MeshConfig.zoneAwareLbSetting.failover[].to',
      'MeshConfig.zoneAwareLbSetting.failoverPriority',
    );
    const zones = { enabled: true, minClusterSize: 2, failover: [{ from: 'a', to: 'c' }] };
    await withMesh(zones, { defaultTrafficPolicy: failing }, async () => {
      assert.deepEqual(await counts('mesh'), { near: 12 });
      assert.equal(Object.keys(await counts('localities')).length, 4);
      await failover('mesh', [
        ['near', ['zone2', 'west']],
        ['zone2', ['west']],
      ]);
    });
    await withMesh({ minClusterSize: 3 }, {}, async () => {
      assert.deepEqual(Object.keys(await counts('mesh', 30)).sort(), ['near', 'zone2']);
    });
    await withMesh({ failoverPriority: ['disk'] }, {}, async () => {
      assert.deepEqual(await counts('mesh'), { zone2: 12 });
    });
    await withMesh({ enabled: false }, {}, async () => {
      assert.equal(Object.keys(await counts('mesh', 60)).length, 4);
    });
  });

  test('needs a proxy that knows where its own workload runs', async () => {
    await withMesh(
      { enabled: true, minClusterSize: 2 },
      {},
      async () => assert.deepEqual(Object.keys(await counts('mesh', 30)).sort(), ['near', 'zone2']),
      false,
    );
  });
});
