import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FilterChain, Listener } from '@istio-ts/envoy';
import type { MutualTlsMode, Protocol } from '@istio-ts/mesh/model';
import { config, type ScopeParts, scope, service, virtualService } from '../testing/scope.ts';
import { buildListeners } from './index.ts';

/** A filter chain in one line: what it matches, whether it terminates TLS, and where it leads. */
function line(chain: FilterChain): string {
  const match = chain.filterChainMatch ?? {};
  const last = chain.filters?.at(-1)?.typedConfig as Record<string, unknown> | undefined;
  const http = chain.filters?.at(-1)?.name === 'envoy.filters.network.http_connection_manager';
  const rds = (last?.rds as { routeConfigName?: string } | undefined)?.routeConfigName;
  const inline = (last?.routeConfig as { name?: string } | undefined)?.name;
  const weighted = (last?.weightedClusters as { clusters: { name: string; weight: number }[] } | undefined)?.clusters;
  const cidrs = (ranges: typeof match.prefixRanges) =>
    ranges?.map((r) => `${r.addressPrefix}/${r.prefixLen}`).join(',');
  return [
    match.destinationPort !== undefined ? `port ${match.destinationPort}` : '',
    match.prefixRanges !== undefined ? `to ${cidrs(match.prefixRanges)}` : '',
    match.sourcePrefixRanges !== undefined ? `from ${cidrs(match.sourcePrefixRanges)}` : '',
    match.transportProtocol === 'raw_buffer' ? 'plain' : (match.transportProtocol ?? ''),
    match.applicationProtocols?.join(',') ?? '',
    match.serverNames !== undefined ? `sni ${match.serverNames.join(',')}` : '',
    chain.transportSocket !== undefined ? 'terminated' : '',
    '->',
    http ? `http ${rds ?? inline}` : (weighted?.map((c) => `${c.name}=${c.weight}`).join(' ') ?? String(last?.cluster)),
  ]
    .filter((s) => s !== '')
    .join(' ');
}

const summary = (listener: Listener): readonly string[] => [
  ...(listener.filterChains ?? []).map(line),
  ...(listener.defaultFilterChain !== undefined ? [`else ${line(listener.defaultFilterChain)}`] : []),
];

function listeners(parts: ScopeParts): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries(buildListeners(scope(parts)).map((g) => [g.resource.name, summary(g.resource)]));
}

const at = (name: string): string => `${name}.default.svc.cluster.local`;

test('outbound: HTTP on all addresses, sniffed and TCP on the service address, UDP not at all', () => {
  const { virtualInbound: _, ...outbound } = listeners({
    services: [
      service('web', [{ number: 80, protocol: 'HTTP' }], { addresses: ['10.96.0.1'] }),
      service('auto', [{ number: 81, protocol: 'Auto' }], { addresses: ['10.96.0.2'] }),
      service('db', [{ number: 5432, protocol: 'TCP' }], { addresses: ['10.96.0.3'] }),
      service('dns', [{ number: 53, protocol: 'UDP' }], { addresses: ['10.96.0.4'] }),
      service('secure', [{ number: 443, protocol: 'HTTPS' }], { addresses: ['10.96.0.5'] }),
    ],
  });
  assert.deepEqual(outbound, {
    virtualOutbound: ['port 15001 -> BlackHoleCluster', '-> PassthroughCluster'],
    '0.0.0.0_80': ['plain http/1.1,h2c -> http 80', 'else -> PassthroughCluster'],
    '10.96.0.2_81': [`plain http/1.1,h2c -> http ${at('auto')}:81`, `else -> outbound|81||${at('auto')}`],
    '10.96.0.3_5432': [`-> outbound|5432||${at('db')}`],
    '10.96.0.5_443': [`-> outbound|443||${at('secure')}`],
  });
});

test('outbound: services without an address share a port by server name, range and protocol', () => {
  const result = listeners({
    mesh: { outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } } as ScopeParts['mesh'],
    services: [
      service('a', [{ number: 443, protocol: 'TLS' }], { hostname: 'a.example', meshExternal: true }),
      service('b', [{ number: 443, protocol: 'HTTPS' }], { hostname: '*.b.example', meshExternal: true }),
      service('c', [{ number: 443, protocol: 'TCP' }], { hostname: 'c.example', addresses: ['192.0.2.0/24'] }),
      service('headless', [{ number: 6379, protocol: 'TCP' }], { headless: true, resolution: 'passthrough' }),
    ],
  });
  assert.deepEqual(result['0.0.0.0_443'], [
    'sni a.example -> outbound|443||a.example',
    'sni *.b.example -> outbound|443||*.b.example',
    'to 192.0.2.0/24 -> outbound|443||c.example',
    'else -> BlackHoleCluster',
  ]);
  assert.deepEqual(result['0.0.0.0_6379'], [`-> outbound|6379||${at('headless')}`]);
});

test('outbound: a headless service is dialled at its pods, but not at the own one', () => {
  const result = listeners({
    services: [service('redis', [{ number: 6379, protocol: 'TCP' }], { headless: true, resolution: 'passthrough' })],
    headlessAddresses: new Map([[at('redis'), ['10.244.0.9', '10.244.1.7']]]),
  });
  assert.deepEqual(Object.keys(result).sort(), ['10.244.1.7_6379', 'virtualInbound', 'virtualOutbound']);
});

test('outbound: tcp and tls routes of VirtualServices', () => {
  const result = listeners({
    services: [
      service('db', [{ number: 5432, protocol: 'TCP' }], { addresses: ['10.96.0.3'] }),
      service('db2', [{ number: 5432, protocol: 'TCP' }], { addresses: ['10.96.0.4'] }),
      service('tls', [{ number: 443, protocol: 'TLS' }], { addresses: ['10.96.0.5'] }),
    ],
    virtualServices: [
      virtualService('db', {
        hosts: [at('db')],
        tcp: [
          { match: [{ sourceLabels: { app: 'other' } }], route: [{ destination: { host: at('tls') } }] },
          { match: [{ destinationSubnets: ['10.96.0.0/28'] }], route: [{ destination: { host: at('db2') } }] },
          {
            route: [
              { destination: { host: at('db') }, weight: 80 },
              { destination: { host: at('db2') }, weight: 20 },
            ],
          },
        ],
      }),
      virtualService('tls', {
        hosts: [at('tls')],
        tls: [{ match: [{ sniHosts: ['special.example'] }], route: [{ destination: { host: at('db') } }] }],
      }),
    ],
  });
  assert.deepEqual(result['10.96.0.3_5432'], [
    `to 10.96.0.0/28 -> outbound|5432||${at('db2')}`,
    `else -> outbound|5432||${at('db')}=80 outbound|5432||${at('db2')}=20`,
  ]);
  assert.deepEqual(result['10.96.0.5_443'], [
    `sni special.example -> outbound|5432||${at('db')}`,
    `else -> outbound|443||${at('tls')}`,
  ]);
});

function inbound(protocol: Protocol, mode: MutualTlsMode): readonly string[] {
  const app = service('app', [{ number: 80, protocol, targetPort: 8080 }]);
  const [port] = app.ports;
  assert.ok(port);
  const all = listeners({
    inbound: [{ service: app, port, targetPort: 8080 }],
    peerAuthentication: { mode: 'PERMISSIVE', portModes: new Map([[8080, mode]]), origins: [] },
  }).virtualInbound;
  return (all ?? []).filter((l) => l.startsWith('port 8080')).map((l) => l.slice('port 8080 '.length));
}

const MESH = 'istio-http/1.0,istio-http/1.1,istio-h2';
const TCP = 'istio,istio-peer-exchange';

test('listeners of a pod with both families are for both, and a service is dialled at the families that the pod has', () => {
  const services = [
    service('web', [{ number: 80, protocol: 'HTTP' }], { addresses: ['10.96.0.1', '2001:db8::1'] }),
    service('db', [{ number: 5432, protocol: 'TCP' }], { addresses: ['10.96.0.3', '2001:db8::3'] }),
  ];
  const addresses = (ipAddresses: readonly string[]) =>
    Object.fromEntries(
      buildListeners(scope({ services, proxy: { ipAddresses } })).map(({ resource }) => [
        resource.name,
        [resource, ...(resource.additionalAddresses ?? [])].map(({ address }) => address?.socketAddress?.address),
      ]),
    );
  assert.deepEqual(addresses(['0.0.0.0', '::']), {
    virtualOutbound: ['0.0.0.0', '::'],
    virtualInbound: ['0.0.0.0', '::'],
    '0.0.0.0_80': ['0.0.0.0', '::'],
    '10.96.0.3_5432': ['10.96.0.3'],
    '2001:db8::3_5432': ['2001:db8::3'],
  });
  assert.deepEqual(Object.keys(addresses(['::'])).sort(), [
    '2001:db8::3_5432',
    '::_80',
    'virtualInbound',
    'virtualOutbound',
  ]);
  assert.ok(!('2001:db8::3_5432' in addresses(['0.0.0.0'])));
});

test('connections to a MongoDB port are counted as such', () => {
  const mongo = service('mongo', [{ number: 27017, protocol: 'Mongo' }], { addresses: ['10.96.0.7'] });
  const [port] = mongo.ports;
  assert.ok(port);
  const names = buildListeners(scope({ services: [mongo], inbound: [{ service: mongo, port, targetPort: 27017 }] }))
    .flatMap(({ resource }) => resource.filterChains ?? [])
    .filter((chain) => chain.filters?.some(({ name }) => name === 'envoy.filters.network.mongo_proxy'));
  // One for the client, three (mutual TLS, plain, the application's own TLS) for the server.
  assert.equal(names.length, 4);
});

test('inbound: chains of each protocol and mode', () => {
  assert.deepEqual(inbound('HTTP', 'PERMISSIVE'), [
    `tls ${MESH},${TCP} terminated -> http inbound|8080||`,
    'plain -> http inbound|8080||',
  ]);
  assert.deepEqual(inbound('HTTP', 'STRICT'), ['tls terminated -> http inbound|8080||']);
  assert.deepEqual(inbound('HTTP', 'DISABLE'), ['-> http inbound|8080||']);
  assert.deepEqual(inbound('TCP', 'PERMISSIVE'), [
    `tls ${MESH},${TCP} terminated -> inbound|8080||`,
    'plain -> inbound|8080||',
    'tls -> inbound|8080||',
  ]);
  assert.deepEqual(inbound('TCP', 'STRICT'), ['tls terminated -> inbound|8080||']);
  assert.deepEqual(inbound('TCP', 'DISABLE'), ['-> inbound|8080||']);
  assert.deepEqual(inbound('Auto', 'PERMISSIVE'), [
    `tls ${MESH} terminated -> http inbound|8080||`,
    `tls ${TCP} terminated -> inbound|8080||`,
    'plain http/1.1,h2c -> http inbound|8080||',
    'plain -> inbound|8080||',
    'tls -> inbound|8080||',
  ]);
  assert.deepEqual(inbound('Auto', 'STRICT'), [
    `tls ${MESH} terminated -> http inbound|8080||`,
    'tls terminated -> inbound|8080||',
  ]);
});

test('inbound: ports that no service declares are passed through, by their own mode where they have one', () => {
  const all = listeners({
    peerAuthentication: { mode: 'STRICT', portModes: new Map([[9999, 'DISABLE']]), origins: [] },
  }).virtualInbound;
  assert.deepEqual(all, [
    'port 15006 -> BlackHoleCluster',
    'port 9999 plain http/1.1,h2c -> http InboundPassthroughCluster',
    'port 9999 plain -> InboundPassthroughCluster',
    'port 9999 tls -> InboundPassthroughCluster',
    `tls ${MESH} terminated -> http InboundPassthroughCluster`,
    'tls terminated -> InboundPassthroughCluster',
  ]);
});

test('gateway: listens on the port that its Service maps to, and keeps families of servers apart', () => {
  const gw = service('gw', [{ number: 80, protocol: 'HTTP', targetPort: 8080 }], { namespace: 'istio-system' });
  const [port] = gw.ports;
  assert.ok(port);
  const result = listeners({
    proxy: { type: 'router', namespace: 'istio-system' },
    inbound: [{ service: gw, port, targetPort: 8080 }],
    services: [service('a', [{ number: 80, protocol: 'HTTP' }])],
    gateways: [
      config('Gateway', 'one', {
        servers: [
          { port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['a.example'] },
          { port: { number: 80, name: 'tcp', protocol: 'TCP' }, hosts: ['*'] },
          {
            port: { number: 9443, name: 'auto', protocol: 'TLS' },
            hosts: ['*.local'],
            tls: { mode: 'AUTO_PASSTHROUGH' },
          },
          {
            port: { number: 443, name: 'a', protocol: 'HTTPS' },
            hosts: ['a.example', 'b.example'],
            tls: { mode: 'SIMPLE', credentialName: 'a' },
          },
          {
            port: { number: 443, name: 'b', protocol: 'HTTPS' },
            hosts: ['b.example'],
            tls: { mode: 'MUTUAL', credentialName: 'b' },
          },
          { port: { number: 443, name: 'm', protocol: 'HTTPS' }, hosts: ['m.example'], tls: { mode: 'ISTIO_MUTUAL' } },
        ],
      }),
    ],
  });
  assert.deepEqual(result, {
    '0.0.0.0_8080': ['-> http http.8080'],
    '0.0.0.0_9443': ['tls sni *.local -> BlackHoleCluster'],
    '0.0.0.0_443': [
      'sni a.example,b.example terminated -> http https.443.a.one.default',
      'sni m.example terminated -> http https.443.m.one.default',
    ],
  });
});
