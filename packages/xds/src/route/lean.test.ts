import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { after, before, test } from 'node:test';
import { decodeMeshConfig, defaultMeshConfig, type MeshConfig } from '@istio-ts/api';
import type { Cluster, RouteConfiguration } from '@istio-ts/envoy';
import { createMesh, MeshSources } from '@istio-ts/mesh';
import type { KubeObject } from '@istio-ts/kube/object';
import { createEngine, generateOffline, typeUrls } from '../engine/index.ts';
import { proves } from '../field-proof.ts';
import type { ProxyNode } from '../source.ts';
import { eventually } from '../testing/envoy.ts';
import { call } from '../testing/http-call.ts';
import { istioObject } from '../testing/objects.ts';
import {
  loopbackApp,
  LoopbackNet,
  type OfflineEnvoy,
  ORIGIN_PORT,
  startOfflineEnvoy,
} from '../testing/offline-envoy.ts';

/** Where retry policies stand, and what clients see of it through a real Envoy. */

const PORT = 8000;
const hostOf = (name: string): string => `${name}.default.svc.cluster.local`;
const cluster = (name: string): string => `outbound|${PORT}||${hostOf(name)}`;
const to = (name: string) => [{ destination: { host: name } }];
const virtualService = (name: string, http: readonly object[]): KubeObject =>
  istioObject('VirtualService', { name }, { hosts: [name], http });

const world = (net: LoopbackNet): readonly KubeObject[] => [
  ...['plain', 'routed', 'own', 'copies', 'copied'].flatMap((name, i) =>
    loopbackApp(net, name, { last: 20 + i, port: PORT, protocol: 'http' }, [{ last: 1 }]),
  ),
  // At the second address nobody listens.
  ...loopbackApp(net, 'pair', { last: 30, port: PORT, protocol: 'http' }, [{ last: 1 }, { last: 2 }]),
  virtualService('routed', [{ name: 'mine', route: to('routed') }]),
  virtualService('own', [
    { match: [{ uri: { prefix: '/none' } }], retries: { attempts: 0 }, route: to('own') },
    {
      match: [{ uri: { prefix: '/many' } }],
      retries: { attempts: 4, retryOn: 'unavailable', backoff: '1ms' },
      route: to('own'),
    },
    { route: to('own') },
  ]),
  virtualService('copies', [{ route: to('copies'), mirror: { host: 'copied' } }]),
];

const net = new LoopbackNet();
const counts = new Map<string, number>();
let server: Server;
let envoy: OfflineEnvoy;

/** Answers everything in a way that the default policy tries again: gRPC's code for unavailable; below `/status/` with that status. */
async function unavailable(address: string): Promise<Server> {
  const made = createServer((request, response) => {
    const key = `${(request.headers.host ?? '').split('.')[0]} ${request.url}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
    const status = /\/status\/(\d+)/.exec(request.url ?? '')?.[1];
    if (status === undefined) response.writeHead(200, { 'content-type': 'application/grpc', 'grpc-status': '14' });
    else response.writeHead(Number(status));
    response.end();
  });
  await new Promise<void>((resolve) => made.listen(ORIGIN_PORT, address, resolve));
  return made;
}

const proxy = { name: 'client', namespace: 'default', labels: { app: 'client' } };
const start = (meshConfig: MeshConfig): Promise<OfflineEnvoy> =>
  startOfflineEnvoy({ net, objects: world(net), proxy: { ...proxy, ipAddress: net.ip(9) }, meshConfig });

async function tries(host: string, path: string): Promise<number> {
  counts.clear();
  await call(path, { address: net.everywhere, port: PORT, host });
  return counts.get(`${host} ${path}`) ?? 0;
}

const policyOf = (one: Cluster | undefined): unknown =>
  (
    one?.typedExtensionProtocolOptions?.['envoy.extensions.upstreams.http.v3.HttpProtocolOptions'] as
      | { readonly retryPolicy?: unknown }
      | undefined
  )?.retryPolicy;

before(async () => {
  server = await unavailable(net.ip(1));
  envoy = await start(decodeMeshConfig({}).value);
});

after(async () => {
  await envoy?.stop();
  server?.close();
});

test('requests are tried three times by default, with and without a VirtualService', async () => {
  assert.ok(policyOf(envoy.clusters.get(cluster('plain'))));
  assert.ok(policyOf(envoy.clusters.get(cluster('routed'))));
  assert.equal(await tries('plain', '/a'), 3);
  assert.equal(await tries('routed', '/a'), 3);
  assert.equal(await tries('plain', '/status/503'), 1, 'which may have been worked on');
});

test('another endpoint is tried where one cannot be reached', async () => {
  for (let i = 0; i < 10; i++) {
    const { status } = await call('/status/204', { address: net.everywhere, port: PORT, host: 'pair' });
    assert.equal(status, 204);
  }
});

test('retries of a route count, also beside routes without', async () => {
  proves('VirtualService.spec.http[].retries.attempts');
  assert.equal(policyOf(envoy.clusters.get(cluster('own'))), undefined);
  assert.equal(await tries('own', '/none'), 1);
  assert.equal(await tries('own', '/many'), 5);
  assert.equal(await tries('own', '/other'), 3);
});

test('copies of requests are sent once', async () => {
  counts.clear();
  await call('/copy', { address: net.everywhere, port: PORT, host: 'copies' });
  await eventually(() => Promise.resolve(counts.get('copies /copy') === 4 || undefined), 'three tries and a copy');
  const stats = await eventually(async () => {
    const found = await envoy.admin('/stats?filter=copied');
    return /upstream_rq_200: [1-9]/.test(found) ? found : undefined;
  }, 'the answer to the copy');
  // Envoy decides on another try, and counts it, when the answer comes, and not when it sends the request.
  assert.match(stats, /upstream_rq_retry: 0$/m);
  assert.equal(counts.get('copies /copy'), 4);
});

test("the mesh's default policy", async () => {
  proves('MeshConfig.defaultHttpRetryPolicy');
  await envoy.stop();
  envoy = await start(decodeMeshConfig({ defaultHttpRetryPolicy: { attempts: 1, retryOn: '503' } }).value);
  assert.equal(await tries('plain', '/status/503'), 2);
  assert.equal(await tries('routed', '/status/503'), 2);
  assert.equal(await tries('own', '/none/status/503'), 1);
  assert.equal(await tries('own', '/many'), 5);
  await envoy.stop();
  envoy = await start(decodeMeshConfig({ defaultHttpRetryPolicy: { attempts: 0 } }).value);
  assert.equal(await tries('plain', '/a'), 1);
  assert.equal(await tries('own', '/many'), 5);
});

const gateway = [
  istioObject(
    'Gateway',
    { name: 'door' },
    {
      selector: { app: 'client' },
      servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }],
    },
  ),
  istioObject(
    'VirtualService',
    { name: 'in' },
    {
      hosts: ['shop.example'],
      gateways: ['door'],
      http: [
        { match: [{ uri: { prefix: '/own' } }], retries: { attempts: 0 }, route: to('own') },
        { route: to('plain') },
      ],
    },
  ),
];

/** The retry policies of the routes of a configuration, by the clusters that they lead to. */
const inRoutes = (configuration: RouteConfiguration): ReadonlyMap<string, boolean> =>
  new Map(
    (configuration.virtualHosts ?? []).flatMap(({ routes }) =>
      (routes ?? []).map(({ route }) => [route?.cluster ?? '', route?.retryPolicy !== undefined] as const),
    ),
  );

test('gateways, sidecars and proxies with patches: every route has its policy in one place', () => {
  const patch = (applyTo: string, value: object) =>
    istioObject(
      'EnvoyFilter',
      { name: 'patch' },
      { configPatches: [{ applyTo, patch: { operation: 'MERGE', value } }] },
    );
  const narrow = istioObject(
    'Sidecar',
    { name: 'narrow' },
    { egress: [{ port: { number: PORT, name: 'http', protocol: 'HTTP' }, hosts: ['./*'] }] },
  );
  for (const [what, objects, type, lean] of [
    ['sidecar', [], 'sidecar', true],
    ['gateway', gateway, 'router', true],
    ['patched retries', [patch('HTTP_ROUTE', { route: { retry_policy: { num_retries: 7 } } })], 'sidecar', false],
    ['patched hosts', [patch('VIRTUAL_HOST', { include_request_attempt_count: false })], 'sidecar', true],
    ['listeners of its own', [narrow], 'sidecar', false],
  ] as const) {
    const { resources, errors } = generateOffline([...world(net), ...objects], { ...proxy, type });
    assert.deepEqual(errors, []);
    const all = <T>(url: string): readonly T[] => (resources.get(url) ?? []).map((one) => one.json() as T);
    const policies = new Map(all<Cluster>(typeUrls.cluster).map((one) => [one.name, policyOf(one) !== undefined]));
    assert.equal(policies.get(cluster('plain')), lean, what);
    assert.equal(policies.get(cluster('own')), false, what);
    const routes = all<RouteConfiguration>(typeUrls.route).flatMap((one) => [...inRoutes(one)]);
    const plain = routes.filter(([name]) => name === cluster('plain'));
    assert.deepEqual(plain.length > 0 && plain.every(([, has]) => has !== lean), true, what);
  }
});

test('an older Envoy finds the policies in its routes', () => {
  const sources = new MeshSources({ meshConfig: defaultMeshConfig() });
  const mesh = createMesh(sources);
  sources.batch(() => {
    for (const object of world(net)) sources.set(object);
  });
  const engine = createEngine(mesh, { schedule: (work) => work() });
  for (const [minor, lean] of [
    [36, false],
    [37, true],
  ] as const) {
    const node: ProxyNode = {
      id: 'sidecar~10.0.0.1~client.default~default.svc.cluster.local',
      cluster: 'client',
      type: 'sidecar',
      ipAddress: '10.0.0.1',
      podName: 'client',
      namespace: 'default',
      dnsDomain: 'default.svc.cluster.local',
      locality: { region: '', zone: '', subzone: '' },
      metadata: {},
      envoyVersion: { major: 1, minor, patch: 0 },
      identity: undefined,
    };
    const view = engine.connect(node);
    assert.equal(
      policyOf(view.resources(typeUrls.cluster).get(cluster('plain'))?.json() as Cluster) !== undefined,
      lean,
    );
    const routes = view.resources(typeUrls.route).get(`${PORT}`)?.json() as RouteConfiguration;
    assert.equal(inRoutes(routes).get(cluster('plain')), !lean);
    view.close();
  }
  engine.close();
});

test('operations are named where anybody collects traces', () => {
  const named = (meshConfig: MeshConfig): boolean => {
    const { resources } = generateOffline(world(net), proxy, { meshConfig });
    const routes = (resources.get(typeUrls.route) ?? []).map((one) => one.json() as RouteConfiguration);
    const all = routes.flatMap(({ virtualHosts }) => virtualHosts ?? []).flatMap((host) => host.routes ?? []);
    return all.some(({ decorator }) => decorator !== undefined);
  };
  assert.equal(named(decodeMeshConfig({}).value), false);
  const zipkin = { name: 'zipkin', zipkin: { service: 'zipkin.istio-system.svc.cluster.local', port: 9411 } };
  assert.equal(named(decodeMeshConfig({ extensionProviders: [zipkin] }).value), true);
});
