import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:net';
import { after, before, test } from 'node:test';
import { decodeMeshConfig } from '@istio-ts/api';
import { proves } from '../field-proof.ts';
import { type Answer, call } from '../testing/http-call.ts';
import { istioObject, nodeObject } from '../testing/objects.ts';
import {
  loopbackApp,
  LoopbackNet,
  type OfflineEnvoy,
  ORIGIN_PORT,
  startOfflineEnvoy,
} from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';

/** What the mesh's configuration says for all traffic, and how DestinationRules and VirtualServices overrule it. */

const net = new LoopbackNet();
const PORT = 9500;
const host = (name: string, namespace = 'default'): string => `${name}.${namespace}.svc.cluster.local`;
const pods = [
  { last: 1, node: 'node-a' },
  { last: 2, node: 'node-b' },
];

const objects = [
  nodeObject('node-a', 'a', '1'),
  nodeObject('node-b', 'b', '1'),
  ...loopbackApp(net, 'plain', { last: 20, port: PORT, protocol: 'http' }, pods),
  ...loopbackApp(net, 'own', { last: 21, port: PORT, protocol: 'http' }, pods),
  ...loopbackApp(net, 'far', { last: 22, port: PORT, protocol: 'http', namespace: 'away' }, pods),
  ...loopbackApp(net, 'silent', { last: 23, port: PORT, protocol: 'http' }, [{ last: 3, node: 'node-b' }]),
  istioObject(
    'DestinationRule',
    { name: 'own' },
    {
      host: 'own',
      trafficPolicy: {
        connectionPool: { http: { h2UpgradePolicy: 'DO_NOT_UPGRADE' } },
        loadBalancer: { localityLbSetting: { enabled: false } },
      },
    },
  ),
  istioObject(
    'VirtualService',
    { name: 'own' },
    {
      hosts: ['own'],
      http: [{ retries: { attempts: 1, retryOn: '5xx', backoff: '1ms' }, route: [{ destination: { host: 'own' } }] }],
    },
  ),
  istioObject('DestinationRule', { name: 'silent' }, { host: 'silent', trafficPolicy: { tls: { mode: 'SIMPLE' } } }),
  istioObject(
    'VirtualService',
    { name: 'far', namespace: 'away' },
    { hosts: ['far'], http: [{ directResponse: { status: 418 } }] },
  ),
  istioObject(
    'DestinationRule',
    { name: 'far', namespace: 'away' },
    { host: 'far', trafficPolicy: { tls: { mode: 'SIMPLE' } } },
  ),
];

let envoy: OfflineEnvoy;
let silent: Server;
const origins: Record<string, Origin> = {};
const get = (to: string, path = '/'): Promise<Answer> => call(path, { address: net.everywhere, port: PORT, host: to });

before(async () => {
  origins.a = await startOrigin('a', net.ip(1), ORIGIN_PORT);
  origins.b = await startOrigin('b', net.ip(2), ORIGIN_PORT);
  silent = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(ORIGIN_PORT, net.ip(3), resolve));
  envoy = await startOfflineEnvoy({
    net,
    objects,
    proxy: {
      name: 'client',
      namespace: 'default',
      labels: { app: 'client' },
      locality: { region: 'a', zone: '1', subzone: '' },
      ipAddress: net.ip(9),
    },
    meshConfig: decodeMeshConfig({
      connectTimeout: '0.3s',
      h2UpgradePolicy: 'UPGRADE',
      defaultHttpRetryPolicy: { attempts: 3, retryOn: '5xx', backoff: '1ms' },
      localityLbSetting: { distribute: [{ from: 'a/*', to: { 'b/*': 100 } }] },
      outboundClusterStatName: 'to_%SERVICE%_%SERVICE_PORT%_%SERVICE_PORT_NAME%',
      defaultTrafficPolicy: { connectionPool: { http: { maxRequestsPerConnection: 1 } } },
      defaultVirtualServiceExportTo: ['.'],
      defaultDestinationRuleExportTo: ['.'],
      pathNormalization: { normalization: 'MERGE_SLASHES' },
    }).value,
  });
});

after(async () => {
  await envoy?.stop();
  silent?.close();
  await Promise.all(Object.values(origins).map((origin) => origin.close()));
});

test('clusters', async () => {
  proves(
    'MeshConfig.h2UpgradePolicy',
    'MeshConfig.connectTimeout',
    'MeshConfig.localityLbSetting.distribute',
    'MeshConfig.outboundClusterStatName',
    'MeshConfig.defaultTrafficPolicy.connectionPool',
  );
  const seen = [];
  for (let i = 0; i < 10; i++) seen.push((await get('plain')).seen);
  assert.deepEqual([...new Set(seen.map((one) => `${one?.origin} ${one?.http}`))], ['b 2']);
  assert.equal(new Set(seen.map((one) => one?.connection)).size, 10, 'one request on each connection');
  const own = [];
  for (let i = 0; i < 20; i++) own.push((await get('own')).seen);
  assert.deepEqual([...new Set(own.map((one) => one?.http))], ['1']);
  assert.equal(new Set(own.map((one) => one?.origin)).size, 2);
  assert.ok(new Set(own.map((one) => `${one?.origin} ${one?.connection}`)).size < 20, 'as many as it likes');
  assert.match((await get('silent')).text, /connection timeout/);
  assert.match(
    await envoy.admin('/stats?filter=cluster.to_plain'),
    new RegExp(`cluster\\.to_plain\\.default_${PORT}_http;?\\.upstream_rq_200: 10`),
  );
});

test('routes', async () => {
  proves('MeshConfig.defaultHttpRetryPolicy', 'MeshConfig.pathNormalization.normalization');
  const tries = async (to: string): Promise<number> => {
    const path = `/${to}/status/503`;
    await get(to, path);
    return Object.values(origins).flatMap((one) => one.arrivals.filter((arrival) => arrival.path === path)).length;
  };
  assert.equal(await tries('plain'), 4);
  assert.equal(await tries('own'), 2);
  assert.equal((await get('plain', '/a//b/../c')).seen?.path, '/a/c');
});

test('visibility', async () => {
  proves('MeshConfig.defaultVirtualServiceExportTo', 'MeshConfig.defaultDestinationRuleExportTo');
  assert.equal((await get(host('far', 'away'))).status, 200);
});
