import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatDuration, parseDuration } from '../duration.ts';
import { decodeMeshConfig, decodeMeshNetworks, decodeProxyConfig, defaultMeshConfig } from './decode.ts';

test('an empty mesh configuration has the documented defaults', () => {
  const mesh = defaultMeshConfig();
  assert.equal(mesh.trustDomain, 'cluster.local');
  assert.equal(mesh.outboundTrafficPolicy.mode, 'ALLOW_ANY');
  assert.equal(mesh.defaultConfig.discoveryAddress, 'istiod.istio-system.svc:15012');
  assert.deepEqual(
    mesh.extensionProviders.map((provider) => provider.name),
    ['prometheus', 'stackdriver', 'envoy'],
  );
});

test('values of the user replace defaults, also nested and in snake case; the rest stays', () => {
  const { value, problems } = decodeMeshConfig({
    access_log_file: '/dev/stdout',
    defaultConfig: { discoveryAddress: 'a:1', proxyMetadata: { A: 'b' } },
    outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' },
    extensionProviders: [
      { name: 'envoy', envoyFileAccessLog: { path: '/tmp/x' } },
      { name: 'otel', opentelemetry: { service: 's', port: 4317 } },
    ],
    connectTimeout: 'soon',
    newField: true,
  });
  assert.equal(value.accessLogFile, '/dev/stdout');
  assert.deepEqual([value.defaultConfig.discoveryAddress, value.defaultConfig.statusPort], ['a:1', 15020]);
  assert.equal(value.outboundTrafficPolicy.mode, 'REGISTRY_ONLY');
  assert.deepEqual(
    value.extensionProviders.map((provider) => provider.name),
    ['prometheus', 'stackdriver', 'envoy', 'otel'],
  );
  assert.equal(value.extensionProviders[2]?.envoyFileAccessLog?.path, '/tmp/x');
  assert.equal(value.connectTimeout, '10s');
  assert.deepEqual(
    problems.map((problem) => `${problem.severity} ${problem.path}`),
    ['error connectTimeout', 'warning newField'],
  );
});

test('settings of one pod are merged into those of the mesh', () => {
  const base = decodeMeshConfig({ defaultConfig: { proxyMetadata: { A: '1' }, concurrency: 2 } }).value.defaultConfig;
  const { value, problems } = decodeProxyConfig(
    { proxyMetadata: { B: '2' }, holdApplicationUntilProxyStarts: true },
    base,
  );
  assert.deepEqual(problems, []);
  assert.deepEqual(
    [value.proxyMetadata, value.concurrency, value.holdApplicationUntilProxyStarts],
    [{ A: '1', B: '2' }, 2, true],
  );
});

test('a field of a pod replaces that of the mesh as a whole; variables and headers add up', () => {
  const base = decodeMeshConfig({
    defaultConfig: {
      tracing: { zipkin: { address: 'zipkin:9411' }, sampling: 1 },
      proxyHeaders: { server: { value: 'shop' }, requestId: { disabled: true } },
      serviceCluster: 'shop',
    },
  }).value.defaultConfig;
  const { value } = decodeProxyConfig(
    {
      tracing: { sampling: 5 },
      proxy_headers: { server: { disabled: true } },
      tracingServiceName: 'CANONICAL_NAME_ONLY',
    },
    base,
  );
  assert.deepEqual(value.tracing, { sampling: 5 });
  assert.deepEqual(value.proxyHeaders, { server: { disabled: true }, requestId: { disabled: true } });
  assert.deepEqual([value.serviceCluster, value.tracingServiceName], [undefined, 'CANONICAL_NAME_ONLY']);
});

test('networks are read', () => {
  const { value } = decodeMeshNetworks({
    networks: { n1: { endpoints: [{ fromRegistry: 'c1' }], gateways: [{ address: '1.2.3.4', port: 15443 }] } },
  });
  assert.equal(value.networks.n1?.gateways?.[0]?.port, 15443);
});

test('no value makes decoding throw', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      decodeMeshConfig(value);
      decodeMeshConfig({ defaultConfig: value, extensionProviders: [value] });
      decodeProxyConfig(value, defaultMeshConfig().defaultConfig);
    }),
  );
});

test('durations are read in Go’s form and written in protobuf’s', () => {
  const cases: [string, number][] = [
    ['2s', 2000],
    ['1.5s', 1500],
    ['1m30s', 90_000],
    ['500ms', 500],
    ['1h', 3_600_000],
    ['0', 0],
    ['.5s', 500],
    ['-1s', -1000],
    ['1us', 0.001],
  ];
  for (const [text, milliseconds] of cases) assert.equal(parseDuration(text), milliseconds, text);
  for (const text of ['', '5', 's', '1d', '1 s', '1s ', '1e3s', 'PT1S'])
    assert.throws(() => parseDuration(text), RangeError, text);
  assert.deepEqual([0, 1, 1500, 90_000, -250, 0.001].map(formatDuration), [
    '0s',
    '0.001s',
    '1.5s',
    '90s',
    '-0.25s',
    '0.000001s',
  ]);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1e9 }), (value) => assert.equal(parseDuration(formatDuration(value)), value)),
  );
});
