import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { decodeMeshNetworks } from '@istio-ts/api';
import { generateOffline, typeUrls } from '../engine/index.ts';
import { proves } from '../field-proof.ts';
import { type Issued, TestAuthority } from '../testing/authority.ts';
import { call } from '../testing/http-call.ts';
import { istioObject, podObject, serviceObject } from '../testing/objects.ts';
import {
  LoopbackNet,
  loopbackApp,
  type OfflineEnvoy,
  ORIGIN_PORT,
  startOfflineEnvoy,
} from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';
import { tlsGet } from '../testing/tls-client.ts';

/**
 * Two networks: a client in network `a` reaches the pods of network `b` through that network's gateway, which knows them by the server name in the
 * client's mutual TLS. Both proxies are real Envoys.
 */

proves(
  'MeshNetworks.networks[].endpoints[].fromCidr',
  'MeshNetworks.networks[].endpoints[].fromRegistry',
  'MeshNetworks.networks[].gateways[].address',
  'MeshNetworks.networks[].gateways[].registryServiceName',
  'MeshNetworks.networks[].gateways[].port',
);

const net = new LoopbackNet();
const edge = new LoopbackNet();
const folder = mkdtempSync(join(tmpdir(), 'networks-'));
const authority = new TestAuthority(folder, 'mesh');
const pem = ({ certificate, key }: Issued) => ({ certificate, key, roots: authority.root });
const HOST = 'app.default.svc.cluster.local';
/** Pods by the last byte of their address. */
const pods = { near: 11, far1: 21, far2: 22, farPlain: 23 } as const;

const meshNetworks = decodeMeshNetworks({
  networks: {
    b: {
      endpoints: [{ fromCidr: `${net.ip(20)}/30` }],
      gateways: [{ registryServiceName: 'eastwest.edge.svc.cluster.local', port: 15443 }],
    },
  },
}).value;

const objects = [
  podObject({ name: 'client', ip: net.everywhere, account: 'client', labels: { 'topology.istio.io/network': 'a' } }),
  podObject({ name: 'gw-0', namespace: 'edge', labels: { team: 'edge' }, ip: edge.everywhere }),
  {
    ...serviceObject({ name: 'eastwest', namespace: 'edge' }, [{ name: 'tls', port: 15443 }], {
      selector: { team: 'edge' },
      clusterIP: net.ip(40),
      clusterIPs: [net.ip(40)],
    }),
    status: { loadBalancer: { ingress: [{ ip: edge.everywhere }] } },
  },
  ...loopbackApp(net, 'app', { last: 3, port: 80, protocol: 'http' }, [
    { last: pods.near, labels: { version: 'v1', 'topology.istio.io/network': 'a' }, mesh: true },
    { last: pods.far1, labels: { version: 'v1' }, mesh: true },
    { last: pods.far2, labels: { version: 'v2' }, mesh: true },
    { last: pods.farPlain, labels: { version: 'v2' } },
  ]),
  istioObject(
    'DestinationRule',
    { name: 'app' },
    {
      host: HOST,
      // A connection for each request: otherwise the pod behind the first one answers all.
      trafficPolicy: {
        loadBalancer: { simple: 'ROUND_ROBIN' },
        connectionPool: { http: { maxRequestsPerConnection: 1 } },
      },
      subsets: [{ name: 'v2', labels: { version: 'v2' } }],
    },
  ),
  istioObject(
    'VirtualService',
    { name: 'app' },
    {
      hosts: [HOST],
      http: [
        { match: [{ headers: { only: { exact: 'v2' } } }], route: [{ destination: { host: HOST, subset: 'v2' } }] },
        { route: [{ destination: { host: HOST } }] },
      ],
    },
  ),
  istioObject(
    'Gateway',
    { name: 'cross-network', namespace: 'edge' },
    {
      selector: { team: 'edge' },
      servers: [
        {
          port: { number: 15443, name: 'tls', protocol: 'TLS' },
          hosts: ['*.local'],
          tls: { mode: 'AUTO_PASSTHROUGH' },
        },
      ],
    },
  ),
];

const origins: Origin[] = [];
let client: OfflineEnvoy;
let gateway: OfflineEnvoy;

before(async () => {
  const server = authority.issue('app', ['URI:spiffe://cluster.local/ns/default/sa/app']);
  const { certificate: cert, key } = pem(server);
  for (const [name, last] of Object.entries(pods))
    origins.push(await startOrigin(name, net.ip(last), ORIGIN_PORT, name === 'farPlain' ? undefined : { cert, key }));
  gateway = await startOfflineEnvoy({
    net: edge,
    objects,
    meshNetworks,
    // As an installation for a network sets it. Without it the gateway would forward to `near` too, which it can reach directly.
    proxy: {
      type: 'router',
      name: 'gw-0',
      namespace: 'edge',
      metadata: { NETWORK: 'b', REQUESTED_NETWORK_VIEW: 'b' },
    },
  });
  client = await startOfflineEnvoy({
    net,
    objects,
    meshNetworks,
    proxy: { name: 'client', namespace: 'default', ipAddress: net.everywhere },
    identity: pem(authority.issue('client', ['URI:spiffe://cluster.local/ns/default/sa/client'])),
  });
});
after(async () => {
  await client?.stop();
  await gateway?.stop();
  await Promise.all(origins.map((origin) => origin.close()));
  rmSync(folder, { recursive: true, force: true });
});

async function shares(times: number, headers: Readonly<Record<string, string>> = {}, address = net.everywhere) {
  const counts: Record<string, number> = {};
  for (let i = 0; i < times; i++) {
    const { seen, text } = await call('/', { address, port: 80, host: HOST, headers });
    const name = seen?.origin ?? text;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

test('requests reach the endpoints of both networks, those of the other one through its gateway by its weight', async () => {
  const weights = client
    .endpoints(`outbound|80||${HOST}`)
    .endpoints?.flatMap(({ lbEndpoints }) => (lbEndpoints ?? []).map((one) => one.loadBalancingWeight));
  assert.deepEqual(weights, [1, 2]);
  const requests = 180;
  const counts = await shares(requests);
  assert.deepEqual(Object.keys(counts).sort(), ['far1', 'far2', 'near']);
  // Three pods of the same weight: each has a third, within five standard deviations of a random choice.
  const deviation = Math.sqrt((requests * 2) / 9);
  for (const [name, count] of Object.entries(counts))
    assert.ok(Math.abs(count - requests / 3) < 5 * deviation, `${name}: ${count} of ${requests}`);
  const far = origins.filter(({ address }) => address === net.ip(pods.far1) || address === net.ip(pods.far2));
  for (const origin of far) for (const { tls } of origin.arrivals) assert.equal(tls?.sni, `outbound_.80_._.${HOST}`);
});

test('a subset of the other network is named in the server name', async () => {
  assert.deepEqual(await shares(8, { only: 'v2' }), { far2: 8 });
});

test('endpoints of the other network without mutual TLS are reached by nobody', async () => {
  for (let i = 0; i < 9; i++)
    await tlsGet(edge.everywhere, 15443, { servername: `outbound_.80_.v2_.${HOST}` }).then(({ body }) =>
      assert.equal((JSON.parse(body) as { origin: string }).origin, 'far2'),
    );
  const plain = origins.find(({ address }) => address === net.ip(pods.farPlain));
  assert.deepEqual([plain?.connections.opened, plain?.arrivals.length], [0, 0]);
});

test('a gateway that asks for its own network sees the endpoints of no other', () => {
  const seen = (metadata: object) =>
    [
      ...JSON.stringify(
        generateOffline(
          objects,
          { type: 'router', name: 'gw-0', namespace: 'edge', metadata: { NETWORK: 'b', ...metadata } },
          { meshNetworks },
        )
          .resources.get(typeUrls.endpoint)
          ?.find(({ name }) => name === `outbound_.80_._.${HOST}`)
          ?.json(),
      ).matchAll(/"address":"([\d.]+)"/g),
    ].map(([, address]) => address);
  assert.deepEqual(seen({}), [net.ip(pods.near), net.ip(pods.far1), net.ip(pods.far2)]);
  assert.deepEqual(seen({ REQUESTED_NETWORK_VIEW: 'b' }), [net.ip(pods.far1), net.ip(pods.far2)]);
});

test('a network that has the whole cluster, and a gateway by its address', async () => {
  const place = new LoopbackNet();
  const another = await startOfflineEnvoy({
    net: place,
    objects,
    meshNetworks: decodeMeshNetworks({
      networks: {
        b: { endpoints: [{ fromRegistry: 'Kubernetes' }], gateways: [{ address: edge.everywhere, port: 15443 }] },
      },
    }).value,
    proxy: { name: 'client', namespace: 'default', ipAddress: place.everywhere },
    identity: pem(authority.issue('another', ['URI:spiffe://cluster.local/ns/default/sa/client'])),
  });
  const before = origins.map(({ arrivals }) => arrivals.length);
  try {
    assert.deepEqual(Object.keys(await shares(30, {}, place.everywhere)).sort(), ['far1', 'far2', 'near']);
  } finally {
    await another.stop();
  }
  for (const [i, { address, arrivals }] of origins.entries())
    if (address === net.ip(pods.far1) || address === net.ip(pods.far2))
      for (const { tls } of arrivals.slice(before[i])) assert.equal(tls?.sni, `outbound_.80_._.${HOST}`);
});
