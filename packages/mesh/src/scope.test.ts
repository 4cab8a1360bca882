import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { destinationRuleFor } from './index.ts';
import { facts, istio, service, world } from './world.test-support.ts';

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
