import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@istio-ts/kube';
import type { Graph, GraphType } from '../api.ts';
import { config, deployment, meshed, service, viewsOf } from '../mesh/objects.test-support.ts';
import { samplesFrom, type Talk } from '../traffic/flows.test-support.ts';
import { buildGraph, type GraphInput } from './build.ts';

const shop: readonly KubeObject[] = [
  meshed('shop'),
  ...deployment('shop', 'web', 'v1'),
  ...deployment('shop', 'reviews', 'v1'),
  ...deployment('shop', 'reviews', 'v2'),
  ...deployment('shop', 'ratings', 'v1'),
  ...deployment('shop', 'db', undefined, { proxy: false }),
  ...deployment('istio-system', 'istio-ingressgateway', undefined, { args: ['proxy', 'router'] }),
  service('shop', 'web'),
  service('shop', 'reviews'),
  service('shop', 'ratings'),
  service('shop', 'db'),
  config('VirtualService', 'shop', 'reviews', {
    hosts: ['reviews'],
    http: [
      {
        route: [{ destination: { host: 'reviews', subset: 'v1' } }, { destination: { host: 'reviews', subset: 'v2' } }],
      },
    ],
  }),
  config('ServiceEntry', 'shop', 'pay', { hosts: ['pay.example.com'], location: 'MESH_EXTERNAL' }),
];

const talks: readonly Talk[] = [
  { from: 'istio-system/istio-ingressgateway', to: 'shop/web-v1@v1', service: 'shop/web', rate: 20, within: 50 },
  { from: 'shop/web-v1@v1', to: 'shop/reviews-v1@v1', service: 'shop/reviews', rate: 15 },
  { from: 'shop/web-v1@v1', to: 'shop/reviews-v2@v2', service: 'shop/reviews', rate: 4 },
  { from: 'shop/web-v1@v1', to: 'shop/reviews-v2@v2', service: 'shop/reviews', rate: 1, code: '500' },
  { from: 'shop/web-v1@v1', service: 'shop/reviews', rate: 1, code: '503', flags: 'UH' },
  { from: 'shop/reviews-v2@v2', to: 'shop/db', service: 'shop/db', rate: 1000, protocol: 'tcp', reporters: ['source'] },
  { from: 'shop/web-v1@v1', service: 'pay.example.com', rate: 2, reporters: ['source'] },
  { from: 'shop/web-v1@v1', service: 'PassthroughCluster', rate: 3, reporters: ['source'] },
  { to: 'shop/web-v1@v1', service: 'shop/web', rate: 5, mutualTls: false },
];

function graph(type: GraphType, more: Partial<GraphInput> = {}, objects = shop, said = talks): Graph {
  return buildGraph({
    type,
    at: 0,
    duration: 60,
    samples: samplesFrom(said),
    ...viewsOf(objects),
    namespaces: ['shop'],
    serviceNodes: true,
    idle: true,
    warnings: [],
    ...more,
  });
}

const lines = ({ edges }: Graph): readonly string[] =>
  edges.map(
    ({ source, target, traffic, share }) =>
      `${source} > ${target} ${traffic.requestsPerSecond} ${Number(share.toFixed(2))}`,
  );

const node = ({ nodes }: Graph, id: string) => {
  const found = nodes.find((each) => each.id === id);
  assert.ok(found, `${id} among ${nodes.map((each) => each.id).join(', ')}`);
  return found;
};

test('versions: services stand before the versions that answer, and show how the traffic is divided', () => {
  const found = graph('versionedApp');
  assert.deepEqual(lines(found), [
    'app:istio-system/istio-ingressgateway/latest > service:shop/web 20 1',
    'app:shop/reviews/v2 > service:shop/db 0 1',
    'app:shop/web/v1 > service:PassthroughCluster 3 0.12',
    'app:shop/web/v1 > service:shop/pay.example.com 2 0.08',
    'app:shop/web/v1 > service:shop/reviews 21 0.81',
    'service:shop/db > app:shop/db/latest 0 1',
    'service:shop/reviews > app:shop/reviews/v1 15 0.75',
    'service:shop/reviews > app:shop/reviews/v2 5 0.25',
    'service:shop/web > app:shop/web/v1 25 1',
    'unknown > service:shop/web 5 1',
  ]);
  // Versions and their service are in the box of the application.
  assert.equal(node(found, 'app:shop/reviews/v1').group, 'app:shop/reviews');
  assert.equal(node(found, 'service:shop/reviews').group, 'app:shop/reviews');
  assert.equal(node(found, 'app:shop/web/v1').group, 'namespace:shop');
  assert.deepEqual(node(found, 'service:shop/reviews').badges, ['traffic-shifting', 'virtual-service']);
  assert.deepEqual(node(found, 'app:shop/reviews/v1').badges, []);
  assert.equal(node(found, 'app:istio-system/istio-ingressgateway/latest').kind, 'gateway');
  assert.equal(node(found, 'service:shop/pay.example.com').kind, 'serviceEntry');
  assert.deepEqual(node(found, 'service:shop/pay.example.com').badges, ['external']);
  assert.deepEqual(node(found, 'service:PassthroughCluster').badges, ['external']);
  assert.deepEqual(node(found, 'app:shop/db/latest').badges, ['missing-sidecar']);
  assert.equal(node(found, 'app:shop/ratings/v1').health.state, 'idle');
  assert.equal(node(found, 'app:shop/reviews/v2').health.state, 'failing');
  assert.equal(node(found, 'unknown').kind, 'unknown');
});

test('traffic of an edge: rates, failures, latency, codes, mutual TLS, bytes', () => {
  const found = graph('versionedApp');
  const edge = (id: string) => found.edges.find((each) => each.id === id);
  const v2 = edge('service:shop/reviews app:shop/reviews/v2 http');
  assert.equal(v2?.traffic.errorRate, 0.2);
  assert.deepEqual(v2?.codes, { '200': 4, '500': 1 });
  assert.equal(v2?.mutualTls, 1);
  assert.equal(v2?.traffic.p50, 7.5);
  const web = edge('service:shop/web app:shop/web/v1 http');
  // Twenty in mutual TLS from the gateway, five in plain text from outside.
  assert.equal(web?.mutualTls, 0.8);
  assert.equal(edge('unknown service:shop/web http')?.mutualTls, 0);
  // Whose server has no proxy, or is no part of the mesh, nobody has reported of.
  const outside = edge('app:shop/web/v1 service:PassthroughCluster http');
  assert.ok(outside && !('mutualTls' in outside));
  const db = edge('service:shop/db app:shop/db/latest tcp');
  assert.equal(db?.traffic.tcpSentBytesPerSecond, 1000);
  assert.equal(db?.traffic.tcpReceivedBytesPerSecond, 500);
  assert.deepEqual(edge('app:shop/web/v1 service:shop/reviews http')?.codes, { '200': 19, '500': 1, '503 UH': 1 });
});

test('applications, workloads and services', () => {
  assert.deepEqual(lines(graph('app')), [
    'app:istio-system/istio-ingressgateway > app:shop/web 20 1',
    'app:shop/reviews > app:shop/db 0 1',
    'app:shop/web > app:shop/reviews 20 0.77',
    'app:shop/web > service:PassthroughCluster 3 0.12',
    'app:shop/web > service:shop/pay.example.com 2 0.08',
    'app:shop/web > service:shop/reviews 1 0.04',
    'unknown > app:shop/web 5 1',
  ]);
  assert.ok(
    lines(graph('workload', { serviceNodes: false })).includes(
      'workload:shop/web-v1 > workload:shop/reviews-v2 5 0.19',
    ),
  );
  assert.deepEqual(lines(graph('service')), [
    'service:shop/reviews > service:shop/db 0 1',
    'service:shop/web > service:PassthroughCluster 3 0.12',
    'service:shop/web > service:shop/pay.example.com 2 0.08',
    'service:shop/web > service:shop/reviews 21 0.81',
    'unknown > service:shop/web 5 1',
    'workload:istio-system/istio-ingressgateway > service:shop/web 20 1',
  ]);
  // Services that are not drawn are no nodes.
  assert.deepEqual(
    graph('app').nodes.flatMap(({ id, kind }) => (kind === 'service' ? [id] : [])),
    ['service:PassthroughCluster', 'service:shop/reviews'],
  );
  // Where no services are drawn, applications carry their badges.
  assert.deepEqual(node(graph('app'), 'app:shop/reviews').badges, ['traffic-shifting', 'virtual-service']);
});

test('what the cluster has no more is dead, and idle nodes can be left out', () => {
  const found = graph('workload', { idle: false }, shop, [
    { from: 'shop/web-v1@v1', to: 'shop/gone-v1@v1', service: 'shop/gone', rate: 1 },
  ]);
  assert.deepEqual(
    found.nodes.map(({ id, badges }) => `${id} ${badges.join()}`),
    ['service:shop/gone dead', 'workload:shop/gone-v1 dead', 'workload:shop/web-v1 '],
  );
});

test('the order of the answers does not matter, and nodes keep their names over time', () => {
  const first = graph('versionedApp');
  const second = graph('versionedApp', {}, shop, [...talks].reverse());
  assert.deepEqual(
    second.nodes.map(({ id }) => id),
    first.nodes.map(({ id }) => id),
  );
  assert.deepEqual(
    second.edges.map(({ id }) => id),
    first.edges.map(({ id }) => id),
  );
});

test('five hundred workloads: every edge is there', () => {
  const count = 500;
  const names = Array.from({ length: count }, (_, at) => `svc${at}`);
  const objects = [meshed('big'), ...names.flatMap((name) => [...deployment('big', name, 'v1'), service('big', name)])];
  const said = names.flatMap((name, at) =>
    [1, 7, 31].map((step): Talk => {
      const other = names[(at + step) % count] ?? name;
      return { from: `big/${name}-v1@v1`, to: `big/${other}-v1@v1`, service: `big/${other}`, rate: 1 };
    }),
  );
  const found = graph('versionedApp', { namespaces: ['big'] }, objects, said);
  assert.equal(found.nodes.length, count * 2);
  assert.equal(found.edges.length, count * 4);
});
