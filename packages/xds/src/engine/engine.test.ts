import assert from 'node:assert/strict';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { describe, it } from 'node:test';
import { defaultMeshConfig } from '@istio-ts/api';
import { createMesh, MeshSources } from '@istio-ts/mesh';
import type { KubeObject } from '@istio-ts/kube/object';
import { provesAnnotations } from '../field-proof.ts';
import { selfSigned } from '../testing/certificate.ts';
import { application, istioObject, podObject, secretObject, serviceObject, sliceObject } from '../testing/objects.ts';
import type { ProxyNode } from '../source.ts';
import { createEngine, type GenerationError, typeUrls } from './index.ts';

const node = (name: string, more: Partial<ProxyNode> = {}): ProxyNode => ({
  id: `sidecar~10.0.0.1~${name}.default~default.svc.cluster.local`,
  cluster: name,
  type: 'sidecar',
  ipAddress: '10.0.0.1',
  podName: name,
  namespace: 'default',
  dnsDomain: 'default.svc.cluster.local',
  locality: { region: '', zone: '', subzone: '' },
  metadata: {},
  envoyVersion: undefined,
  identity: undefined,
  ...more,
});

function world(objects: readonly KubeObject[]) {
  const sources = new MeshSources({ meshConfig: defaultMeshConfig() });
  const mesh = createMesh(sources);
  sources.batch(() => {
    for (const object of objects) sources.set(object);
  });
  const errors: GenerationError[] = [];
  let work: (() => void)[] = [];
  const engine = createEngine(mesh, { schedule: (one) => work.push(one), onError: (error) => errors.push(error) });
  return {
    sources,
    mesh,
    engine,
    errors,
    /** Runs what was scheduled. */
    settle: () => {
      while (work.length > 0) {
        const now = work;
        work = [];
        for (const one of now) one();
      }
    },
  };
}

/** Connects a proxy that subscribes to everything, and collects the types that change. */
function connect(engine: ReturnType<typeof world>['engine'], proxy: ProxyNode) {
  const view = engine.connect(proxy);
  const urls = Object.values(typeUrls);
  for (const url of urls) view.resources(url);
  const changes: string[][] = [];
  view.onChange((changed) =>
    changes.push([...changed].map((url) => Object.entries(typeUrls).find(([, one]) => one === url)?.[0] ?? url).sort()),
  );
  return {
    view,
    changes,
    get: (type: keyof typeof typeUrls, name: string) => view.resources(typeUrls[type]).get(name),
  };
}

const port = { name: 'http', port: 80 };
const shop = [
  ...application('shop', port, [{ version: 'v1' }, { version: 'v2' }]),
  ...application('cart', port, [{}], { base: 2 }),
];
const cluster = (name: string, subset = ''): string => `outbound|80|${subset}|${name}.default.svc.cluster.local`;

describe('the engine', () => {
  it('touches nothing but endpoints when endpoints change', () => {
    const { sources, engine, settle } = world(shop);
    const { view, changes, get } = connect(engine, node('cart-0'));
    const before = Object.values(typeUrls).map((url) => view.resources(url));
    const other = get('endpoint', cluster('cart'));
    sources.batch(() => {
      sources.set(
        podObject({ name: 'shop-9', labels: { app: 'shop', version: 'v1' }, ip: '10.244.1.10', account: 'shop' }),
      );
      sources.set(
        sliceObject(
          'shop',
          [{ name: 'http', port: 8080, protocol: 'TCP' }],
          [
            { ip: '10.244.1.1', pod: 'shop-0' },
            { ip: '10.244.1.10', pod: 'shop-9' },
          ],
        ),
      );
    });
    assert.deepEqual(changes, [], 'not before the batch is over');
    settle();
    assert.deepEqual(changes, [['endpoint']]);
    Object.values(typeUrls).forEach((url, i) => {
      assert.equal(view.resources(url) === before[i], url !== typeUrls.endpoint, url);
    });
    assert.equal(get('endpoint', cluster('cart')), other);
    assert.match(JSON.stringify(get('endpoint', cluster('shop'))?.json()), /10\.244\.1\.10/);
  });

  it('leaves routes alone that a change of subsets makes anew with the content that they had', () => {
    const subsets = (name: string) =>
      istioObject(
        'DestinationRule',
        { name: 'shop' },
        { host: 'shop', subsets: [{ name, labels: { version: 'v1' } }] },
      );
    const { sources, engine, settle } = world([...shop, subsets('a')]);
    const { changes, get } = connect(engine, node('cart-0', { incrementalRoutes: true }));
    sources.set(subsets('b'));
    settle();
    assert.deepEqual(changes, [['cluster', 'endpoint']]);
    assert.ok(get('cluster', cluster('shop', 'b')));
    assert.equal(get('cluster', cluster('shop', 'a')), undefined);
  });

  it('sends a change of a VirtualService as a change of routes, of the one that it is about', () => {
    const { sources, engine, settle } = world([
      ...shop,
      ...application('other', { name: 'http', port: 81 }, [{}], { base: 3 }),
    ]);
    const { changes, get } = connect(engine, node('cart-0'));
    const routes = { changed: get('route', '80'), same: get('route', '81') };
    sources.set(
      istioObject(
        'VirtualService',
        { name: 'shop' },
        { hosts: ['shop'], http: [{ timeout: '2s', route: [{ destination: { host: 'shop' } }] }] },
      ),
    );
    settle();
    assert.deepEqual(changes, [['route']]);
    assert.notEqual(get('route', '80')?.version, routes.changed?.version);
    assert.equal(get('route', '81'), routes.same);
    assert.ok(get('route', '80')?.origins.some((origin) => origin.kind === 'VirtualService' && origin.name === 'shop'));
  });

  it('adds clusters of subsets, and says where they come from', () => {
    const { sources, engine, settle } = world(shop);
    const { changes, get } = connect(engine, node('cart-0'));
    const cart = get('cluster', cluster('cart'));
    sources.set(
      istioObject(
        'DestinationRule',
        { name: 'shop' },
        { host: 'shop', subsets: [{ name: 'v1', labels: { version: 'v1' } }] },
      ),
    );
    settle();
    assert.equal(get('cluster', cluster('cart')), cart);
    assert.deepEqual(
      get('cluster', cluster('shop', 'v1'))?.origins.map((origin) => origin.kind),
      ['Service', 'DestinationRule'],
    );
    assert.match(JSON.stringify(get('endpoint', cluster('shop', 'v1'))?.json()), /10\.244\.1\.1"/);
    assert.doesNotMatch(JSON.stringify(get('endpoint', cluster('shop', 'v1'))?.json()), /10\.244\.1\.2"/);
    assert.ok(changes[0]?.includes('cluster') && changes[0]?.includes('endpoint'));
  });

  it('says nothing when nothing that matters changes', () => {
    const { sources, engine, settle } = world(shop);
    const { changes } = connect(engine, node('cart-0'));
    for (const object of shop)
      sources.set({
        ...object,
        metadata: { ...object.metadata, resourceVersion: '7', annotations: { touched: 'yes' } },
      });
    provesAnnotations('networking.istio.io/exportTo');
    sources.set(
      serviceObject({ name: 'kube', namespace: 'hidden', annotations: { 'networking.istio.io/exportTo': '.' } }, [
        port,
      ]),
    );
    settle();
    assert.deepEqual(changes, []);
  });

  it('shares everything between proxies with equal facts, and ends what nobody needs', () => {
    const { engine } = world(shop);
    const first = connect(engine, node('shop-0'));
    const second = connect(engine, node('shop-1', { ipAddress: '10.0.0.2', metadata: { NAME: 'shop-1' } }));
    // Versions differ, so labels do, and with them the facts; the clusters are the same all the same.
    assert.equal(engine.state().classes, 2);
    assert.equal(second.get('cluster', cluster('cart')), first.get('cluster', cluster('cart')));
    const third = connect(engine, node('shop-0', { ipAddress: '10.0.0.3' }));
    assert.equal(engine.state().classes, 2);
    assert.equal(third.view.resources(typeUrls.listener), first.view.resources(typeUrls.listener));
    for (const { view } of [first, second, third]) view.close();
    assert.deepEqual(engine.state(), { proxies: 0, classes: 0, endpointTables: 0 });
  });

  it('follows the labels of a pod', () => {
    const { sources, engine, settle } = world([
      ...shop,
      istioObject(
        'Sidecar',
        { name: 'small' },
        { workloadSelector: { labels: { size: 'small' } }, egress: [{ hosts: ['./cart.default.svc.cluster.local'] }] },
      ),
    ]);
    const { get, changes } = connect(engine, node('shop-0'));
    assert.ok(get('cluster', cluster('shop')));
    sources.set(
      podObject({
        name: 'shop-0',
        labels: { app: 'shop', version: 'v1', size: 'small' },
        ip: '10.244.1.1',
        account: 'shop',
      }),
    );
    settle();
    assert.equal(get('cluster', cluster('shop')), undefined);
    assert.ok(get('cluster', cluster('cart')));
    assert.ok(changes.flat().includes('cluster'));
  });

  it('keeps traffic of a service with internalTrafficPolicy Local on the node, for each node by itself', () => {
    const local = application('local', port, [{}, {}], { base: 7, nodes: ['node-1', 'node-2'] }).map((object) =>
      object.kind === 'Service'
        ? { ...object, spec: { ...(object.spec as object), internalTrafficPolicy: 'Local' } }
        : object,
    );
    const client = (name: string, on: string) =>
      podObject({ name, labels: { app: 'client' }, ip: `10.244.9.${name.length}`, node: on });
    const { engine, sources, settle } = world([...local, client('x', 'node-1'), client('xx', 'node-2')]);
    const addresses = (proxy: string): readonly string[] => {
      const { view, get } = connect(engine, node(proxy));
      const found = JSON.stringify(get('endpoint', cluster('local'))?.json()).match(/10\.244\.7\.\d+/g) ?? [];
      view.close();
      return found;
    };
    assert.deepEqual(addresses('x'), ['10.244.7.1']);
    assert.deepEqual(addresses('xx'), ['10.244.7.2']);
    sources.set(application('local', port, [])[0]!);
    settle();
    assert.equal(addresses('x').length, 2);
  });

  it('gives the same versions in another process', () => {
    const versions = (): [string, string][] => {
      const { engine } = world([...shop].reverse());
      const { view } = connect(engine, node('cart-0'));
      return Object.values(typeUrls).flatMap((url) =>
        [...view.resources(url).values()].map((one): [string, string] => [one.name, one.version]),
      );
    };
    const { engine } = world(shop);
    const { view } = connect(engine, node('cart-0'));
    const mine = Object.values(typeUrls).flatMap((url) =>
      [...view.resources(url).values()].map((one): [string, string] => [one.name, one.version]),
    );
    assert.deepEqual(new Map(versions()), new Map(mine));
  });

  it('keeps the last valid version of an object, and reports the invalid one', () => {
    const { sources, engine, settle, mesh } = world([
      ...shop,
      istioObject(
        'VirtualService',
        { name: 'shop' },
        { hosts: ['shop'], http: [{ timeout: '2s', route: [{ destination: { host: 'shop' } }] }] },
      ),
    ]);
    const { get, changes } = connect(engine, node('cart-0'));
    const before = get('route', '80');
    sources.set(istioObject('VirtualService', { name: 'shop' }, { hosts: ['shop'], http: [{ timeout: 'soon' }] }));
    settle();
    assert.equal(get('route', '80'), before);
    assert.deepEqual(changes, []);
    const problems = mesh.problems.get('VirtualService/default/shop') ?? [];
    assert.ok(problems.some((problem) => problem.path.includes('timeout') && problem.lastGoodStays));
    sources.delete(istioObject('VirtualService', { name: 'shop' }, {}));
    settle();
    assert.deepEqual(changes, [['route']]);
    assert.equal(mesh.problems.size, 0);
  });

  it('keeps the others when one resource cannot be encoded', () => {
    const { engine, errors } = world(shop);
    engine.close();
    const sources = new MeshSources({ meshConfig: defaultMeshConfig() });
    const broken = createEngine(createMesh(sources), {
      schedule: () => {},
      onError: (error) => errors.push(error),
      generators: {
        listeners: () => [
          { resource: { name: 'good' }, origins: [] },
          { resource: { name: 'bad', nonsense: true } as never, origins: [] },
        ],
        routes: () => {
          throw new Error('routes are broken');
        },
        ownClusters: () => [],
      },
    });
    const { view } = connect(broken, node('x'));
    assert.deepEqual([...view.resources(typeUrls.listener).keys()], ['good']);
    assert.equal(view.resources(typeUrls.route).size, 0);
    assert.deepEqual(
      errors.map(({ type, name }) => [type.split('.').at(-1), name]),
      [
        ['Listener', 'bad'],
        ['RouteConfiguration', ''],
      ],
    );
  });
});

describe('secrets of gateways', () => {
  const { certificate, key } = selfSigned('shop.example.com');
  const gateway = istioObject(
    'Gateway',
    { name: 'shop' },
    {
      selector: { istio: 'ingressgateway' },
      servers: [
        {
          port: { number: 443, name: 'https', protocol: 'HTTPS' },
          hosts: ['shop.example.com'],
          tls: { mode: 'SIMPLE', credentialName: 'shop-cert' },
        },
      ],
    },
  );
  const secret = (namespace: string) =>
    secretObject({ name: 'shop-cert', namespace }, { 'tls.crt': certificate, 'tls.key': key, 'ca.crt': certificate });
  const router = (more: Partial<ProxyNode> = {}): ProxyNode =>
    node('gateway-0', {
      type: 'router',
      namespace: 'istio-system',
      metadata: { LABELS: { istio: 'ingressgateway' } },
      identity: 'spiffe://cluster.local/ns/istio-system/sa/gateway',
      ...more,
    });

  it('go to a router that proved an identity of its namespace, with the roots beside them', () => {
    assert.equal(new X509Certificate(certificate).subject, 'CN=shop.example.com');
    const { sources, engine, settle } = world([gateway, secret('istio-system')]);
    const { get, changes } = connect(engine, router());
    assert.deepEqual(get('secret', 'kubernetes://shop-cert')?.json(), {
      name: 'kubernetes://shop-cert',
      tlsCertificate: {
        certificateChain: { inlineBytes: Buffer.from(certificate).toString('base64') },
        privateKey: { inlineBytes: Buffer.from(key).toString('base64') },
      },
    });
    assert.ok(get('secret', 'kubernetes://shop-cert-cacert'));
    sources.delete(secret('istio-system'));
    settle();
    assert.deepEqual(changes, [['secret']]);
    assert.equal(get('secret', 'kubernetes://shop-cert'), undefined);
  });

  it('go to nobody else', () => {
    const { engine } = world([gateway, secret('istio-system'), secret('default')]);
    for (const other of [
      router({ identity: undefined }),
      router({ identity: 'spiffe://cluster.local/ns/default/sa/gateway' }),
      router({ identity: 'spiffe://cluster.local/ns/istio-system' }),
      node('cart-0', { namespace: 'istio-system', identity: 'spiffe://cluster.local/ns/istio-system/sa/x' }),
    ]) {
      assert.equal(connect(engine, other).view.resources(typeUrls.secret).size, 0, other.identity);
    }
  });

  it('are left out, with a reason, when they hold no certificate or a key of another one', () => {
    const problems: string[] = [];
    const unusable: readonly Readonly<Record<string, string>>[] = [
      { 'tls.crt': 'nonsense', 'tls.key': key },
      { 'tls.crt': certificate },
      {
        'tls.crt': certificate,
        'tls.key': generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
          type: 'pkcs8',
          format: 'pem',
        }) as string,
      },
    ];
    for (const data of unusable) {
      const sources = new MeshSources({ meshConfig: defaultMeshConfig() });
      const engine = createEngine(createMesh(sources), {
        schedule: () => {},
        onSecretProblem: (problem) => problems.push(problem.message),
      });
      sources.set(gateway);
      sources.set(secretObject({ name: 'shop-cert', namespace: 'istio-system' }, data));
      assert.equal(connect(engine, router()).get('secret', 'kubernetes://shop-cert'), undefined);
    }
    assert.match(problems[0] ?? '', /Secret istio-system\/shop-cert: data\["tls.crt"\] is no certificate/);
    assert.match(problems[1] ?? '', /neither tls.key nor key/);
    assert.match(problems[2] ?? '', /does not belong/);
  });
});
