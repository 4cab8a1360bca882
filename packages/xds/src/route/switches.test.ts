import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { decodeMeshConfig } from '@istio-ts/api';
import type { MeshOptions } from '@istio-ts/mesh';
import { type DnsServer, startDnsServer } from '../testing/dns-server.ts';
import { type Answer, call } from '../testing/http-call.ts';
import { istioObject, podObject } from '../testing/objects.ts';
import { loopbackApp, LoopbackNet, ORIGIN_PORT, startOfflineEnvoy } from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';

/** Switches of istiod's environment, as the clients of a real Envoy see them. */

const net = new LoopbackNet();
const PORT = 9800;
let dns: DnsServer;
let origin: Origin;
/** Where mirrored requests go. */
let copies: Origin;

const entry = istioObject(
  'ServiceEntry',
  { name: 'selecting' },
  {
    hosts: ['selecting.example'],
    ports: [{ number: PORT, name: 'http', protocol: 'HTTP', targetPort: ORIGIN_PORT }],
    resolution: 'STATIC',
    location: 'MESH_INTERNAL',
    workloadSelector: { labels: { app: 'chosen' } },
  },
);
const machine = istioObject(
  'WorkloadEntry',
  { name: 'machine' },
  { address: net.ip(2), labels: { app: 'only-machines' } },
);

async function ask(mesh: Partial<MeshOptions>, ...hosts: readonly string[]): Promise<readonly Answer[]> {
  const envoy = await startOfflineEnvoy({
    net,
    objects: [
      ...loopbackApp(net, 'shop', { last: 20, port: PORT, protocol: 'http' }, [{ last: 2 }]),
      ...loopbackApp(net, 'only-machines', { last: 21, port: PORT, protocol: 'http' }, []),
      podObject({ name: 'chosen', labels: { app: 'chosen' }, ip: net.ip(2), mesh: false }),
      ...loopbackApp(net, 'mirrored', { last: 22, port: PORT, protocol: 'http' }, [{ last: 2 }]),
      ...loopbackApp(net, 'copies', { last: 23, port: PORT, protocol: 'http' }, [{ last: 3 }]),
      istioObject(
        'VirtualService',
        { name: 'mirrored' },
        {
          hosts: ['mirrored'],
          http: [{ route: [{ destination: { host: 'mirrored' } }], mirror: { host: 'copies' } }],
        },
      ),
      entry,
      machine,
    ],
    proxy: { name: 'client', namespace: 'default' },
    meshConfig: decodeMeshConfig({ outboundTrafficPolicy: { mode: 'ALLOW_ANY_DYNAMIC_DNS' } }).value,
    mesh,
    dns,
  });
  try {
    const answers: Answer[] = [];
    for (const host of hosts) answers.push(await call('/', { address: net.everywhere, port: PORT, host }));
    return answers;
  } finally {
    await envoy.stop();
  }
}

before(async () => {
  dns = await startDnsServer(net.ip(1), { 'one.example': net.ip(2), 'two.example': net.ip(2) });
  origin = await startOrigin('origin', net.ip(2), ORIGIN_PORT);
  copies = await startOrigin('copies', net.ip(3), ORIGIN_PORT);
});
after(async () => {
  await dns?.close();
  await origin?.close();
  await copies?.close();
});

test('PILOT_SIDECAR_USE_REMOTE_ADDRESS: servers learn the address of the client', async () => {
  const forwarded = async (useRemoteAddress: boolean) =>
    (await ask({ switches: { useRemoteAddress } }, 'shop'))[0]?.seen?.headers['x-forwarded-for'];
  assert.equal(await forwarded(false), undefined);
  assert.match(String(await forwarded(true)), /^\d+(\.\d+){3}$/);
});

test('DISABLE_SHADOW_HOST_SUFFIX: the host of mirrored requests', async () => {
  const mirrored = async (shadowSuffix: boolean) => {
    const before = copies.arrivals.length;
    await ask({ switches: { shadowSuffix } }, 'mirrored');
    // The answer does not wait for the copy.
    for (const deadline = Date.now() + 120_000; copies.arrivals.length === before && Date.now() < deadline; )
      await new Promise((resolve) => setTimeout(resolve, 5));
    return copies.arrivals.slice(before).map(({ headers }) => headers.host);
  };
  assert.deepEqual(await mirrored(false), ['mirrored']);
  assert.deepEqual(await mirrored(true), ['mirrored-shadow']);
});

test('PILOT_ALLOW_ANY_DYNAMIC_DNS_MAX_HOSTS: how many names a proxy remembers', async () => {
  const hosts = ['one.example', 'two.example'].map((host) => `${host}:${ORIGIN_PORT}`);
  const statuses = async (dynamicHosts: number) =>
    (await ask({ switches: { dynamicHosts } }, ...hosts)).map(({ status }) => status);
  assert.deepEqual(await statuses(2), [200, 200]);
  assert.deepEqual(await statuses(1), [200, 503]);
});

test('PILOT_ENABLE_SERVICEENTRY_SELECT_PODS, PILOT_ENABLE_K8S_SELECT_WORKLOAD_ENTRIES: what selectors find', async () => {
  const statuses = async (mesh: Partial<MeshOptions>) =>
    (await ask(mesh, 'selecting.example', 'only-machines')).map(({ status }) => status);
  assert.deepEqual(await statuses({}), [200, 200]);
  assert.deepEqual(await statuses({ entriesSelectPods: false }), [503, 200]);
  assert.deepEqual(await statuses({ servicesSelectEntries: false }), [200, 503]);
});
