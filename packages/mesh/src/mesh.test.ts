import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeMeshConfig } from '@istio-ts/api';
import type { KubeObject } from '@istio-ts/kube/object';
import fc from 'fast-check';
import { createMesh, destinationRuleFor, type Mesh, MeshSources, type ProxyScope, Scopes } from './index.ts';
import type { ProxyFacts } from './proxy.ts';

const object = (
  apiVersion: string,
  kind: string,
  name: string,
  rest: Readonly<Record<string, unknown>>,
  metadata: Readonly<Record<string, unknown>> = {},
): KubeObject => ({
  apiVersion,
  kind,
  metadata: { name, namespace: 'default', creationTimestamp: '2026-01-01T00:00:00Z', ...metadata },
  ...rest,
});

const istio = (
  kind: string,
  name: string,
  spec: Readonly<Record<string, unknown>>,
  metadata: Readonly<Record<string, unknown>> = {},
): KubeObject =>
  object(
    `${kind.endsWith('Authentication') || kind === 'AuthorizationPolicy' ? 'security' : 'networking'}.istio.io/v1`,
    kind,
    name,
    { spec },
    metadata,
  );

const service = (
  name: string,
  spec: Readonly<Record<string, unknown>> = {},
  metadata: Readonly<Record<string, unknown>> = {},
): KubeObject =>
  object(
    'v1',
    'Service',
    name,
    {
      spec: {
        clusterIP: '10.96.0.1',
        selector: { app: name },
        ports: [{ name: 'http', port: 80, targetPort: 8080 }],
        ...spec,
      },
    },
    metadata,
  );

const pod = (
  name: string,
  labels: Readonly<Record<string, string>>,
  ip: string,
  metadata: Readonly<Record<string, unknown>> = {},
): KubeObject =>
  object(
    'v1',
    'Pod',
    name,
    {
      spec: {
        serviceAccountName: 'app',
        nodeName: 'n1',
        containers: [{ name: 'c', ports: [{ name: 'web', containerPort: 8080 }] }],
      },
      status: { phase: 'Running', podIP: ip, conditions: [{ type: 'Ready', status: 'True' }] },
    },
    { labels: { 'security.istio.io/tlsMode': 'istio', ...labels }, ...metadata },
  );

const slice = (service: string, endpoints: readonly Readonly<Record<string, unknown>>[]): KubeObject =>
  object(
    'discovery.k8s.io/v1',
    'EndpointSlice',
    `${service}-1`,
    { ports: [{ name: 'http', port: 8080 }], endpoints },
    {
      labels: { 'kubernetes.io/service-name': service },
    },
  );

const facts = (
  namespace = 'default',
  labels: Readonly<Record<string, string>> = {},
  type: 'sidecar' | 'router' = 'sidecar',
): ProxyFacts => ({
  proxy: {
    type,
    namespace,
    labels,
    clusterId: 'Kubernetes',
    network: '',
    locality: { region: '', zone: '', subzone: '' },
    dnsDomain: `${namespace}.svc.cluster.local`,
    ipAddresses: ['0.0.0.0'],
    workloadName: 'test',
    canonicalName: 'test',
    canonicalRevision: 'latest',
    serviceAccount: 'default',
    istioVersion: '1.30.0',
    interceptionMode: 'REDIRECT',
    metadata: {},
  },
  ports: { web: 8080 },
});

function world(objects: readonly KubeObject[], meshConfig: unknown = {}) {
  const sources = new MeshSources({ meshConfig: decodeMeshConfig(meshConfig).value });
  const mesh = createMesh(sources);
  sources.batch(() => {
    for (const one of objects) sources.set(one);
  });
  const scopes = new Scopes(mesh);
  return {
    sources,
    mesh,
    scope: (of: ProxyFacts = facts()): ProxyScope => scopes.acquire(of).value.result.current,
    scopes,
  };
}

const endpointsOf = (mesh: Mesh, host: string) =>
  mesh.endpoints
    .get(`default/${host}`)
    ?.endpoints.map(({ address, health, tlsMode, identity }) => [address, health, tlsMode, identity]);

describe('workloads', () => {
  it('know their Deployment, CronJob, canonical names and place', () => {
    const owned = (kind: string, name: string) => ({
      ownerReferences: [{ kind, name, controller: true, apiVersion: 'v1', uid: 'u' }],
    });
    const { mesh } = world([
      {
        apiVersion: 'v1',
        kind: 'Node',
        metadata: { name: 'n1', labels: { 'topology.kubernetes.io/region': 'eu', 'topology.kubernetes.io/zone': 'a' } },
      },
      pod(
        'web-5d8-x1',
        { app: 'web', version: 'v2', 'pod-template-hash': '5d8' },
        '10.0.0.1',
        owned('ReplicaSet', 'web-5d8'),
      ),
      pod('tidy-28931230-x', { 'app.kubernetes.io/name': 'tidier' }, '10.0.0.2', owned('Job', 'tidy-28931230')),
      pod(
        'db-0',
        { 'service.istio.io/canonical-name': 'database', 'istio-locality': 'us.b.c' },
        '10.0.0.3',
        owned('StatefulSet', 'db'),
      ),
      pod('alone', {}, '10.0.0.4'),
      object('v1', 'Pod', 'over', { status: { phase: 'Succeeded', podIP: '10.0.0.5' } }),
    ]);
    const seen = [...mesh.workloads.values()].map((w) => [
      w.name,
      w.ownerKind,
      w.workloadName,
      w.canonicalName,
      w.canonicalRevision,
      Object.values(w.locality).join('/'),
    ]);
    assert.deepEqual(seen.sort(), [
      ['alone', 'Pod', 'alone', 'alone', 'latest', 'eu/a/'],
      ['db-0', 'StatefulSet', 'db', 'database', 'latest', 'us/b/c'],
      ['tidy-28931230-x', 'CronJob', 'tidy', 'tidier', 'latest', 'eu/a/'],
      ['web-5d8-x1', 'Deployment', 'web', 'web', 'v2', 'eu/a/'],
    ]);
  });
});

describe('endpoints', () => {
  const host = 'web.default.svc.cluster.local';
  const identity = 'spiffe://cluster.local/ns/default/sa/app';

  it('have health by their conditions, and identity and mutual TLS by their pods', () => {
    const { mesh } = world([
      service('web'),
      pod('web-1', { app: 'web' }, '10.0.0.1'),
      pod('web-2', { app: 'web', 'security.istio.io/tlsMode': 'disabled' }, '10.0.0.2'),
      slice('web', [
        { addresses: ['10.0.0.1'], conditions: {}, targetRef: { kind: 'Pod', name: 'web-1' } },
        { addresses: ['10.0.0.2'], conditions: { ready: false }, targetRef: { kind: 'Pod', name: 'web-2' } },
        { addresses: ['10.0.0.3'], conditions: { ready: false, serving: true, terminating: true } },
      ]),
    ]);
    assert.deepEqual(endpointsOf(mesh, host), [
      ['10.0.0.1', 'healthy', 'istio', identity],
      ['10.0.0.2', 'unhealthy', 'disabled', identity],
      ['10.0.0.3', 'draining', 'disabled', undefined],
    ]);
  });

  it('take part before they are ready where the service says so', () => {
    const { mesh } = world([
      service('web', { publishNotReadyAddresses: true }),
      slice('web', [{ addresses: ['10.0.0.2'], conditions: { ready: false } }]),
    ]);
    assert.equal(endpointsOf(mesh, host)?.[0]?.[1], 'healthy');
  });

  it('lose mutual TLS where PeerAuthentication turns it off for their port, and get it back', () => {
    const { mesh, sources } = world([
      service('web'),
      pod('web-1', { app: 'web' }, '10.0.0.1'),
      slice('web', [{ addresses: ['10.0.0.1'], targetRef: { kind: 'Pod', name: 'web-1' } }]),
    ]);
    const policy = istio('PeerAuthentication', 'off', {
      selector: { matchLabels: { app: 'web' } },
      portLevelMtls: { 8080: { mode: 'DISABLE' } },
    });
    sources.set(policy);
    assert.equal(endpointsOf(mesh, host)?.[0]?.[2], 'disabled');
    sources.delete(policy);
    assert.equal(endpointsOf(mesh, host)?.[0]?.[2], 'istio');
  });

  it('do not change identities when they come and go', () => {
    const { mesh, sources } = world([
      service('web'),
      pod('web-1', { app: 'web' }, '10.0.0.1'),
      pod('web-2', { app: 'web' }, '10.0.0.2'),
      slice('web', [{ addresses: ['10.0.0.1'], targetRef: { kind: 'Pod', name: 'web-1' } }]),
    ]);
    const before = mesh.identities.snapshot();
    assert.deepEqual(before.get(`default/${host}`), [identity]);
    sources.set(
      slice('web', [
        { addresses: ['10.0.0.2'], conditions: { ready: false }, targetRef: { kind: 'Pod', name: 'web-2' } },
      ]),
    );
    assert.equal(mesh.identities.snapshot(), before);
  });
});

describe('protocols', () => {
  it('are what the port says, by appProtocol, name or number', () => {
    const ports = [
      { name: 'grpc-web-x', port: 1 },
      { name: 'http2', port: 2 },
      { name: 'web', port: 3 },
      { name: 'web', port: 4, appProtocol: 'grpc' },
      { name: 'x', port: 3306 },
      { name: 'httpfoo', port: 5 },
      { name: 'tls-x', port: 6 },
      { name: 'http', port: 7, protocol: 'UDP' },
      { name: 'web', port: 8, appProtocol: 'kubernetes.io/h2c' },
    ];
    const { mesh } = world([service('web', { ports })]);
    assert.deepEqual(
      mesh.services.get('default/web.default.svc.cluster.local')?.ports.map((port) => port.protocol),
      ['GRPC-Web', 'HTTP2', 'Auto', 'GRPC', 'TCP', 'Auto', 'TLS', 'UDP', 'HTTP2'],
    );
  });
});

describe('what a namespace sees', () => {
  it('is what is exported to it, one service per host, its own first', () => {
    const entry = (name: string, namespace: string, exportTo?: readonly string[]) =>
      istio(
        'ServiceEntry',
        name,
        {
          hosts: ['api.example.com'],
          ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
          resolution: 'DNS',
          ...(exportTo && { exportTo }),
        },
        { namespace },
      );
    const { scope } = world([
      service('hidden', {}, { namespace: 'other', annotations: { 'networking.istio.io/exportTo': '.' } }),
      service('given', {}, { namespace: 'other', annotations: { 'networking.istio.io/exportTo': 'default, third' } }),
      entry('theirs', 'a-other'),
      entry('mine', 'default'),
      entry('secret', 'zzz', ['~']),
    ]);
    assert.deepEqual(
      scope()
        .services.map((one) => `${one.namespace}/${one.name}`)
        .sort(),
      ['default/mine', 'other/given'],
    );
    assert.deepEqual(
      scope(facts('third'))
        .services.map((one) => `${one.namespace}/${one.name}`)
        .sort(),
      ['a-other/theirs', 'other/given'],
    );
  });

  it('is narrowed by a Sidecar, and widened by the VirtualServices that it lets in', () => {
    const { scope, sources } = world([
      service('a'),
      service('b'),
      service('c', {}, { namespace: 'other' }),
      istio('VirtualService', 'a', {
        hosts: ['a'],
        http: [{ route: [{ destination: { host: 'c.other.svc.cluster.local' } }] }],
      }),
      istio('VirtualService', 'b', { hosts: ['b'], http: [{ route: [{ destination: { host: 'b' } }] }] }),
      istio('Sidecar', 'default', { egress: [{ hosts: ['./a.default.svc.cluster.local', '~/*'] }] }),
      istio('Sidecar', 'all', { workloadSelector: { labels: { see: 'all' } }, egress: [{ hosts: ['*/*'] }] }),
    ]);
    assert.deepEqual(
      scope()
        .services.map((one) => one.name)
        .sort(),
      ['a', 'c'],
    );
    assert.deepEqual(
      scope().virtualServices.map((one) => one.origin.name),
      ['a'],
    );
    assert.equal(scope(facts('default', { see: 'all' })).services.length, 3);
    assert.equal(scope(facts('other')).services.length, 3);
    sources.delete(istio('Sidecar', 'default', {}));
    assert.equal(scope(facts()).services.length, 3);
  });

  it('has VirtualServices with full names, and delegates in their places', () => {
    const { scope } = world([
      istio('VirtualService', 'root', {
        hosts: ['shop'],
        gateways: ['mesh', 'shop-gw', 'other/gw'],
        http: [
          { match: [{ uri: { prefix: '/a' } }], delegate: { name: 'part', namespace: 'team' }, timeout: '3s' },
          { match: [{ uri: { prefix: '/b' } }], delegate: { name: 'missing' } },
          { route: [{ destination: { host: 'shop' } }] },
        ],
      }),
      istio(
        'VirtualService',
        'part',
        {
          http: [
            { match: [{ uri: { prefix: '/a/x' } }], route: [{ destination: { host: 'inner' } }] },
            { match: [{ uri: { prefix: '/elsewhere' } }], route: [{ destination: { host: 'inner' } }] },
            { route: [{ destination: { host: 'rest' } }], timeout: '1s' },
          ],
        },
        { namespace: 'team' },
      ),
    ]);
    const [root, ...others] = scope().virtualServices;
    assert.equal(others.length, 0);
    assert.deepEqual(root?.spec.hosts, ['shop.default.svc.cluster.local']);
    assert.deepEqual(root?.spec.gateways, ['mesh', 'default/shop-gw', 'other/gw']);
    assert.deepEqual(
      root?.spec.http?.map((route) => [
        route.match?.[0]?.uri?.prefix,
        route.timeout,
        route.route?.[0]?.destination?.host,
      ]),
      [
        ['/a/x', '3s', 'inner.team.svc.cluster.local'],
        ['/a', '1s', 'rest.team.svc.cluster.local'],
        [undefined, undefined, 'shop.default.svc.cluster.local'],
      ],
    );
  });

  it('has the DestinationRule of the client’s namespace before that of the service before that of the root', () => {
    const rule = (
      name: string,
      namespace: string,
      host: string,
      spec: Readonly<Record<string, unknown>> = {},
      metadata = {},
    ) => istio('DestinationRule', name, { host, ...spec }, { namespace, ...metadata });
    const host = 'shop.prod.svc.cluster.local';
    const { scope, sources } = world([
      service('shop', {}, { namespace: 'prod' }),
      rule('root', 'istio-system', '*.cluster.local'),
      rule('service', 'prod', 'shop', { subsets: [{ name: 'v1', labels: { version: 'v1' } }] }),
      rule(
        'service-2',
        'prod',
        host,
        {
          subsets: [
            { name: 'v2', labels: { version: 'v2' } },
            { name: 'v1', labels: { version: 'x' } },
          ],
          trafficPolicy: { tls: { mode: 'DISABLE' } },
        },
        { creationTimestamp: '2026-02-01T00:00:00Z' },
      ),
      rule('private', 'prod', '*.svc.cluster.local', { exportTo: ['.'] }),
    ]);
    const found = (namespace: string, labels = {}) => destinationRuleFor(scope(facts(namespace, labels)), host);
    assert.deepEqual(
      found('default')?.origins.map((origin) => origin.name),
      ['service', 'service-2'],
    );
    assert.deepEqual(
      found('default')?.spec.subsets?.map((subset) => [subset.name, subset.labels?.version]),
      [
        ['v1', 'v1'],
        ['v2', 'v2'],
      ],
    );
    assert.equal(found('default')?.spec.trafficPolicy?.tls?.mode, 'DISABLE');
    sources.set(rule('mine', 'default', '*.prod.svc.cluster.local'));
    assert.deepEqual(
      found('default')?.origins.map((origin) => origin.name),
      ['mine'],
    );
    sources.set(
      rule('mine-labelled', 'default', '*.prod.svc.cluster.local', { workloadSelector: { matchLabels: { app: 'x' } } }),
    );
    assert.deepEqual(
      found('default', { app: 'x' })?.origins.map((origin) => origin.name),
      ['mine-labelled'],
    );
    assert.deepEqual(
      found('default')?.origins.map((origin) => origin.name),
      ['mine'],
    );
  });

  it('gives routers their Gateways and the VirtualServices bound to them', () => {
    const { scope } = world([
      istio('Gateway', 'gw', {
        selector: { istio: 'ingressgateway' },
        servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }],
      }),
      istio('VirtualService', 'bound', {
        hosts: ['shop.example.com'],
        gateways: ['gw'],
        http: [{ route: [{ destination: { host: 'shop' } }] }],
      }),
      istio('VirtualService', 'inside', { hosts: ['shop'], http: [{ route: [{ destination: { host: 'shop' } }] }] }),
      service(
        'ingress',
        { selector: { istio: 'ingressgateway' }, ports: [{ name: 'http2', port: 80, targetPort: 'web' }] },
        { namespace: 'istio-system' },
      ),
    ]);
    const router = scope(facts('istio-system', { istio: 'ingressgateway' }, 'router'));
    assert.deepEqual(
      router.gateways.map((one) => one.origin.name),
      ['gw'],
    );
    assert.deepEqual(
      router.virtualServices.map((one) => one.origin.name),
      ['bound'],
    );
    assert.deepEqual(
      router.inbound.map((one) => [one.port.number, one.targetPort]),
      [[80, 8080]],
    );
    assert.equal(scope(facts('istio-system', { istio: 'egress' }, 'router')).gateways.length, 0);
  });

  it('has the PeerAuthentication of workload, namespace and mesh, and policies by selector', () => {
    const { scope } = world([
      istio('PeerAuthentication', 'mesh', { mtls: { mode: 'STRICT' } }, { namespace: 'istio-system' }),
      istio('PeerAuthentication', 'web', {
        selector: { matchLabels: { app: 'web' } },
        mtls: { mode: 'UNSET' },
        portLevelMtls: { 9000: { mode: 'DISABLE' } },
      }),
      istio('AuthorizationPolicy', 'root', {}, { namespace: 'istio-system' }),
      istio('AuthorizationPolicy', 'web', { selector: { matchLabels: { app: 'web' } } }),
      istio('AuthorizationPolicy', 'other', {}, { namespace: 'other' }),
    ]);
    const web = scope(facts('default', { app: 'web' }));
    assert.equal(web.peerAuthentication.mode, 'STRICT');
    assert.deepEqual([...web.peerAuthentication.portModes], [[9000, 'DISABLE']]);
    assert.deepEqual(
      web.authorizationPolicies.map((one) => one.origin.name),
      ['web', 'root'],
    );
    assert.deepEqual(
      scope(facts('default', { app: 'x' })).authorizationPolicies.map((one) => one.origin.name),
      ['root'],
    );
    assert.equal(scope(facts('third')).peerAuthentication.portModes.size, 0);
  });

  it('keeps closed what an AuthorizationPolicy that is wrong was to open or to close', () => {
    const wrong = {
      selector: { matchLabels: { app: 'web' } },
      rules: [{ from: [{ source: { ipBlocks: ['nowhere'] } }] }],
    };
    const { scope, mesh } = world([
      istio('AuthorizationPolicy', 'allow', wrong),
      istio('AuthorizationPolicy', 'deny', { ...wrong, action: 'DENY' }),
    ]);
    assert.deepEqual(
      scope(facts('default', { app: 'web' })).authorizationPolicies.map(({ origin, spec }) => [
        origin.name,
        spec.rules,
      ]),
      [
        ['allow', undefined],
        ['deny', [{}]],
      ],
    );
    assert.match(
      mesh.problems.get('AuthorizationPolicy/default/allow')?.[0]?.message ?? '',
      /until it is right the policy allows nothing$/,
    );
    assert.match(
      mesh.problems.get('AuthorizationPolicy/default/deny')?.[0]?.message ?? '',
      /until it is right, the policy denies all that the rest of it covers$/,
    );
  });
});

describe('incremental scopes', () => {
  const names = ['a', 'b', 'c'];
  const namespaces = ['default', 'istio-system', 'other'];
  const pick = <T>(...values: readonly T[]) => fc.constantFrom(...values);
  const meta = fc.record({
    namespace: pick(...namespaces),
    creationTimestamp: pick('2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'),
  });
  const name = pick(...names);
  const labels = fc.record({ app: name, version: pick('v1', 'v2') });
  const objects: fc.Arbitrary<KubeObject> = fc.oneof(
    fc
      .tuple(name, meta, pick(undefined, '.', '*', 'other'))
      .map(([n, m, to]) =>
        service(n, {}, { ...m, ...(to && { annotations: { 'networking.istio.io/exportTo': to } }) }),
      ),
    fc.tuple(name, meta, labels).map(([n, m, l]) => pod(n, l, `10.0.0.${n.charCodeAt(0)}`, m)),
    fc.tuple(name, meta, name, fc.boolean()).map(([n, m, p, ready]) => {
      const one = slice(n, [
        { addresses: [`10.0.0.${p.charCodeAt(0)}`], conditions: { ready }, targetRef: { kind: 'Pod', name: p } },
      ]);
      return { ...one, metadata: { ...one.metadata, ...m } };
    }),
    fc
      .tuple(name, meta, name, name)
      .map(([n, m, h, to]) =>
        istio('VirtualService', n, { hosts: [h], http: [{ route: [{ destination: { host: to } }] }] }, m),
      ),
    fc
      .tuple(name, meta, pick('a', 'b', '*.cluster.local'), pick(undefined, { matchLabels: { app: 'a' } }))
      .map(([n, m, h, w]) =>
        istio(
          'DestinationRule',
          n,
          { host: h, subsets: [{ name: n, labels: { version: 'v1' } }], ...(w && { workloadSelector: w }) },
          m,
        ),
      ),
    fc
      .tuple(name, meta, pick('./*', '*/*', 'other/*', '~/*'), pick(undefined, { labels: { app: 'a' } }))
      .map(([n, m, h, w]) => istio('Sidecar', n, { egress: [{ hosts: [h] }], ...(w && { workloadSelector: w }) }, m)),
    fc
      .tuple(name, meta, pick('STRICT', 'DISABLE', 'UNSET'), pick(undefined, { matchLabels: { app: 'a' } }))
      .map(([n, m, mode, s]) => istio('PeerAuthentication', n, { mtls: { mode }, ...(s && { selector: s }) }, m)),
    fc.tuple(name, meta).map(([n, m]) =>
      istio(
        'ServiceEntry',
        n,
        {
          hosts: [`${n}.example.com`],
          ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
          resolution: 'STATIC',
          location: 'MESH_INTERNAL',
          workloadSelector: { labels: { app: n } },
        },
        m,
      ),
    ),
  );
  const steps = fc.array(fc.array(fc.tuple(fc.boolean(), objects), { minLength: 1, maxLength: 4 }), { maxLength: 10 });
  const clients = [facts(), facts('default', { app: 'a' }), facts('other'), facts('istio-system', {}, 'router')];
  const plain = (scope: ProxyScope) => ({ ...scope, autoMutualTls: undefined });

  it('equal scopes made from scratch, after any changes', () => {
    fc.assert(
      fc.property(steps, (batches) => {
        const { sources, mesh, scopes } = world([]);
        const leases = clients.map((client) => scopes.acquire(client));
        const objects = new Map<string, KubeObject>();
        for (const batch of batches) {
          sources.batch(() => {
            for (const [remove, one] of batch) {
              const key = `${one.kind}/${one.metadata.namespace}/${one.metadata.name}`;
              if (remove) {
                objects.delete(key);
                sources.delete(one);
              } else {
                objects.set(key, one);
                sources.set(one);
              }
            }
          });
          const fresh = world([...objects.values()]);
          clients.forEach((client, i) => {
            assert.deepEqual(plain(leases[i]!.value.result.current), plain(fresh.scope(client)));
          });
          assert.deepEqual(
            new Map([...mesh.endpoints.entries()].sort()),
            new Map([...fresh.mesh.endpoints.entries()].sort()),
          );
          assert.deepEqual(
            new Map([...mesh.identities.entries()].sort()),
            new Map([...fresh.mesh.identities.entries()].sort()),
          );
        }
        for (const lease of leases) lease.release();
        assert.equal(scopes.size, 0);
      }),
      { numRuns: 60 },
    );
  });

  it('keep the identity of parts that did not change', () => {
    const { sources, scope } = world([service('a'), service('b'), istio('DestinationRule', 'a', { host: 'a' })]);
    const before = scope();
    sources.set(istio('VirtualService', 'a', { hosts: ['a'], http: [{ route: [{ destination: { host: 'b' } }] }] }));
    const after = scope();
    for (const part of [
      'services',
      'serviceByHost',
      'destinationRules',
      'inbound',
      'gateways',
      'mesh',
      'proxy',
      'peerAuthentication',
      'autoMutualTls',
    ] as const) {
      assert.equal(after[part], before[part], part);
    }
    assert.notEqual(after.virtualServices, before.virtualServices);
    assert.equal(scope(facts('default', { app: 'other' })).services, after.services);
  });
});
