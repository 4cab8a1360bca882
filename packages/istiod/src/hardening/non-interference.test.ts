import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { defaultMeshConfig } from '@istio-ts/api';
import { NAME_TABLE_TYPE } from '@istio-ts/envoy/name-table';
import type { KubeObject } from '@istio-ts/kube/object';
import { createMesh, MeshSources } from '@istio-ts/mesh';
import { createEngine, type ProxyNode, type ProxyView } from '@istio-ts/xds';
import {
  application,
  istioObject,
  podObject,
  secretObject,
  serviceObject,
  sliceObject,
} from '@istio-ts/xds/testing/objects';
import { selfSigned } from '@istio-ts/xds/testing/certificate';
import fc from 'fast-check';
import { TypeUrl } from '../ads/resource-kinds.ts';
import { withNameTables } from '../nds/name-tables.ts';

/**
 * What a proxy receives depends on nothing outside its view: whatever is added, changed and removed in namespaces that it may not see, or that is not
 * exported to it, its bytes are the same.
 */

const apps = ['a', 'b', 'c'] as const;
const app = fc.constantFrom(...apps);
/** Hosts that one would like to take over, or that nobody has. */
const host = fc.constantFrom(
  ...apps.flatMap((name) => [name, `${name}.shop.svc.cluster.local`, `${name}.hidden.svc.cluster.local`]),
  'site.example.com',
  'api.example.com',
  '*.example.com',
  '*.shop.svc.cluster.local',
  '*',
);
const fullHost = fc.constantFrom(
  ...apps.map((name) => `${name}.shop.svc.cluster.local`),
  'site.example.com',
  'x.example.com',
);
const onlyHere = { exportTo: ['.'] };
const notExported = { 'networking.istio.io/exportTo': '.' };
const http = { name: 'http', port: 80, targetPort: 8080 };

/** Everything that a tenant may write, in a namespace of its own and exported to nobody. */
const kept = (namespace: string): fc.Arbitrary<KubeObject> =>
  fc.oneof(
    fc
      .tuple(app, fc.constantFrom(80, 81, 8443))
      .map(([name, port]) => serviceObject({ name, namespace, annotations: notExported }, [{ ...http, port }])),
    fc
      .tuple(app, fc.boolean())
      .map(([name, mesh]) =>
        podObject({ name, namespace, labels: { app: name, version: 'v1' }, ip: `10.66.0.${name.charCodeAt(0)}`, mesh }),
      ),
    app.map((name) =>
      sliceObject(
        name,
        [{ name: 'http', port: 8080 }],
        [{ ip: `10.66.0.${name.charCodeAt(0)}`, pod: name }],
        namespace,
      ),
    ),
    fc.tuple(app, host, app).map(([name, claimed, to]) =>
      istioObject(
        'VirtualService',
        { name, namespace },
        {
          hosts: [claimed],
          gateways: ['mesh', 'edge/public', 'public'],
          http: [{ route: [{ destination: { host: to } }] }],
          ...onlyHere,
        },
      ),
    ),
    fc.tuple(app, host, fc.constantFrom('RANDOM', 'PASSTHROUGH')).map(([name, claimed, simple]) =>
      istioObject(
        'DestinationRule',
        { name, namespace },
        {
          host: claimed,
          trafficPolicy: { loadBalancer: { simple }, tls: { mode: 'SIMPLE', credentialName: 'client' } },
          ...onlyHere,
        },
      ),
    ),
    fc.tuple(app, fullHost, fc.constantFrom('DNS', 'STATIC')).map(([name, claimed, resolution]) =>
      istioObject(
        'ServiceEntry',
        { name, namespace },
        {
          hosts: [claimed],
          addresses: ['10.96.7.7'],
          ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
          resolution,
          endpoints: [{ address: '10.66.0.9' }],
          ...onlyHere,
        },
      ),
    ),
    app.map((name) =>
      istioObject(
        'WorkloadEntry',
        { name, namespace, labels: { app: name } },
        { address: '10.66.0.8', labels: { app: name } },
      ),
    ),
    app.map((name) =>
      istioObject(
        'Sidecar',
        { name, namespace },
        { egress: [{ hosts: ['./*'] }], outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } },
      ),
    ),
    fc
      .constantFrom('STRICT', 'DISABLE')
      .map((mode) => istioObject('PeerAuthentication', { name: 'default', namespace }, { mtls: { mode } })),
    app.map((name) => istioObject('AuthorizationPolicy', { name, namespace }, { action: 'DENY', rules: [{}] })),
    app.map((name) =>
      istioObject('RequestAuthentication', { name, namespace }, { jwtRules: [{ issuer: name, jwks: '{"keys":[]}' }] }),
    ),
    app.map((name) =>
      istioObject(
        'EnvoyFilter',
        { name, namespace },
        {
          configPatches: [
            { applyTo: 'CLUSTER', match: {}, patch: { operation: 'MERGE', value: { alt_stat_name: name } } },
            { applyTo: 'LISTENER', match: {}, patch: { operation: 'MERGE', value: { stat_prefix: name } } },
          ],
        },
      ),
    ),
    app.map((name) =>
      istioObject(
        'Telemetry',
        { name, namespace },
        { accessLogging: [{ disabled: true }], metrics: [{ providers: [{ name: 'prometheus' }] }] },
      ),
    ),
    app.map((name) =>
      istioObject('WasmPlugin', { name, namespace }, { url: 'oci://registry.example.com/x:1', phase: 'AUTHN' }),
    ),
    app.map((name) => istioObject('ProxyConfig', { name, namespace }, { concurrency: 7 })),
    app.map((name) =>
      istioObject(
        'Gateway',
        { name: name === 'a' ? 'public' : name, namespace },
        {
          // No labels of a gateway of somebody else: a Gateway may select those of other namespaces.
          selector: { istio: 'mine' },
          servers: [
            {
              port: { number: 443, name: 'https', protocol: 'HTTPS' },
              hosts: ['*'],
              tls: { mode: 'SIMPLE', credentialName: 'site' },
            },
          ],
        },
      ),
    ),
    fc
      .tuple(fc.constantFrom('site', 'client', 'registry', 'x-cacert'), fc.string())
      .map(([name, content]) =>
        secretObject({ name, namespace }, { 'tls.crt': content, 'tls.key': `${content}key`, 'ca.crt': content }),
      ),
  );

/** What the proxies see. */
const visible: readonly KubeObject[] = [
  ...apps.flatMap((name, base) => application(name, http, [{ version: 'v1' }], { namespace: 'shop', base: base + 1 })),
  ...application('own', http, [{ version: 'v1' }], { namespace: 'tenant', base: 9 }),
  istioObject(
    'VirtualService',
    { name: 'a', namespace: 'shop' },
    {
      hosts: ['a'],
      http: [{ timeout: '3s', route: [{ destination: { host: 'a', subset: 'v1' } }] }],
    },
  ),
  istioObject(
    'DestinationRule',
    { name: 'a', namespace: 'shop' },
    {
      host: 'a',
      subsets: [{ name: 'v1', labels: { version: 'v1' } }],
    },
  ),
  istioObject(
    'ServiceEntry',
    { name: 'site', namespace: 'shop' },
    {
      hosts: ['site.example.com'],
      ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
      resolution: 'DNS',
    },
  ),
  istioObject(
    'Gateway',
    { name: 'public', namespace: 'edge' },
    {
      selector: { istio: 'ingressgateway' },
      servers: [
        { port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'] },
        {
          port: { number: 443, name: 'https', protocol: 'HTTPS' },
          hosts: ['site.example.com'],
          tls: { mode: 'SIMPLE', credentialName: 'site' },
        },
      ],
    },
  ),
  istioObject(
    'VirtualService',
    { name: 'site', namespace: 'shop' },
    {
      hosts: ['site.example.com'],
      gateways: ['edge/public'],
      http: [{ route: [{ destination: { host: 'b' } }] }],
    },
  ),
  secretObject({ name: 'site', namespace: 'edge' }, { 'tls.crt': 'certificate', 'tls.key': 'key' }),
];

const node = (
  type: 'sidecar' | 'router',
  name: string,
  namespace: string,
  labels: Readonly<Record<string, string>>,
): ProxyNode => ({
  id: name,
  cluster: name,
  type,
  ipAddress: '10.244.99.1',
  podName: name,
  namespace,
  dnsDomain: `${namespace}.svc.cluster.local`,
  locality: { region: '', zone: '', subzone: '' },
  metadata: { LABELS: labels, NAMESPACE: namespace, DNS_CAPTURE: 'true' },
  envoyVersion: undefined,
  identity: `spiffe://cluster.local/ns/${namespace}/sa/default`,
});
const outside = [
  node('sidecar', 'a-0', 'shop', { app: 'a', version: 'v1' }),
  { ...node('sidecar', 'own-0', 'tenant', { app: 'own' }), incrementalRoutes: true },
  node('router', 'gateway', 'edge', { istio: 'ingressgateway' }),
];
const inside = [
  node('sidecar', 'a-0', 'hidden', { app: 'a', version: 'v1' }),
  node('router', 'mine', 'hidden', { istio: 'mine' }),
];

const types = [...Object.values(TypeUrl), NAME_TABLE_TYPE];

/** All bytes that a proxy has. */
function received(view: ProxyView): Readonly<Record<string, string>> {
  const found: [string, string][] = [];
  for (const type of types)
    for (const [name, resource] of view.resources(type))
      found.push([`${type} ${name}`, Buffer.from(resource.value).toString('latin1')]);
  for (const [route, hosts] of view.virtualHosts?.() ?? [])
    for (const [name, resource] of hosts)
      found.push([`host ${route} ${name}`, Buffer.from(resource.value).toString('latin1')]);
  return Object.fromEntries(found.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function meshOf(objects: readonly KubeObject[]) {
  const sources = new MeshSources({ meshConfig: defaultMeshConfig() });
  const mesh = createMesh(sources);
  sources.batch(() => {
    for (const object of objects) sources.set(object);
  });
  const engine = createEngine(mesh, {
    schedule: () => {},
    onError: ({ error }) => {
      throw error;
    },
  });
  const names = withNameTables(engine, mesh, () => {});
  return {
    sources,
    flush: () => engine.flush(),
    connect: (proxy: ProxyNode) => names.source.connect(proxy),
    close: () => {
      names.close();
      engine.close();
    },
  };
}

const runs = { numRuns: Number(process.env.FUZZ_RUNS ?? 40) };

describe('what a proxy receives', () => {
  it('depends on nothing that is kept in another namespace', () => {
    let changedInside = 0;
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.tuple(fc.boolean(), kept('hidden')), { minLength: 1, maxLength: 5 }), {
          minLength: 1,
          maxLength: 5,
        }),
        (batches) => {
          const world = meshOf(visible);
          const views = outside.map((proxy) => world.connect(proxy));
          const own = inside.map((proxy) => world.connect(proxy));
          const before = views.map(received);
          const ownBefore = own.map(received);
          for (const object of before) assert.ok(Object.keys(object).length > 10);
          for (const batch of batches) {
            world.sources.batch(() => {
              for (const [remove, object] of batch)
                if (remove) world.sources.delete(object);
                else world.sources.set(object);
            });
            world.flush();
            views.forEach(
              (view, index) => void assert.deepEqual(received(view), before[index], outside[index]?.podName),
            );
          }
          if (own.some((view, index) => JSON.stringify(received(view)) !== JSON.stringify(ownBefore[index])))
            changedInside++;
          for (const view of [...views, ...own]) view.close();
          world.close();
        },
      ),
      runs,
    );
    // The property is about objects that do matter where they are.
    assert.ok(changedInside > runs.numRuns / 4, String(changedInside));
  });

  it('depends, for a proxy with a Sidecar, on nothing that it does not import, even where that is exported to all', () => {
    const exported = kept('hidden').map((object) => {
      const { exportTo: _, ...spec } = (object.spec ?? {}) as Record<string, unknown>;
      const { annotations: __, ...metadata } = object.metadata;
      return { ...object, metadata, ...(object.spec !== undefined && { spec }) } as KubeObject;
    });
    const narrow = istioObject(
      'Sidecar',
      { name: 'default', namespace: 'tenant' },
      {
        egress: [{ hosts: ['./*', 'istio-system/*'] }],
      },
    );
    fc.assert(
      fc.property(fc.array(exported, { minLength: 1, maxLength: 8 }), (objects) => {
        const world = meshOf([...visible, narrow]);
        const view = world.connect(node('sidecar', 'own-0', 'tenant', { app: 'own' }));
        const before = received(view);
        world.sources.batch(() => {
          for (const object of objects) world.sources.set(object);
        });
        world.flush();
        assert.deepEqual(received(view), before);
        view.close();
        world.close();
      }),
      runs,
    );
  });

  it('holds Secrets for gateways of their namespace with that identity only', () => {
    const { certificate, key } = selfSigned('site.example.com');
    const secret = secretObject({ name: 'site', namespace: 'edge' }, { 'tls.crt': certificate, 'tls.key': key });
    const world = meshOf([...visible, secret]);
    const marker = key.split('\n')[1] ?? '';
    const holds = (proxy: ProxyNode): boolean => JSON.stringify(received(world.connect(proxy))).includes(marker);
    const gateway = node('router', 'gateway', 'edge', { istio: 'ingressgateway' });
    assert.equal(holds(gateway), true);
    // The same gateway in another namespace, a gateway that only says that it is of this one, a sidecar of it, and a proxy without identity.
    assert.equal(holds(node('router', 'gateway', 'hidden', { istio: 'ingressgateway' })), false);
    assert.equal(holds({ ...gateway, identity: 'spiffe://cluster.local/ns/hidden/sa/default' }), false);
    assert.equal(holds(node('sidecar', 'gateway', 'edge', { istio: 'ingressgateway' })), false);
    assert.equal(holds({ ...gateway, identity: undefined }), false);
    world.close();
  });
});
