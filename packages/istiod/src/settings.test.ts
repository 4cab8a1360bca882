import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SettingsError } from './setting-values.ts';
import { parseSettings } from './settings.ts';

test('the arguments of the chart', () => {
  const settings = parseSettings(
    [
      '--monitoringAddr=:15014',
      '--log_output_level=default:info',
      '--domain',
      'cluster.local',
      '--keepaliveMaxServerConnectionAge',
      '30m',
    ],
    { POD_NAMESPACE: 'istio-system', REVISION: 'canary', CLUSTER_ID: 'c1' },
  );
  assert.deepEqual(settings.monitoring, { host: '', port: 15014 });
  assert.equal(settings.meshConfigMapName, 'istio-canary');
  assert.equal(settings.validationWebhookName, 'istio-validator-canary-istio-system');
  assert.equal(settings.clusterId, 'c1');
});

test('wrong flags say what is wrong', () => {
  assert.throws(
    () => parseSettings(['--nothing=1'], {}),
    (error: Error) => error instanceof SettingsError && /unknown flag: --nothing/.test(error.message),
  );
  assert.throws(() => parseSettings(['--grpcAddr=:99999'], {}), /--grpcAddr: ':99999' is not an address/);
  assert.throws(() => parseSettings(['--domain'], {}), /flag needs a value: --domain/);
  assert.throws(() => parseSettings(['--shutdownDuration=soon'], {}), /'soon' is not a duration/);
});

test('the analysis is switched and paced', () => {
  const analysis = (env: Readonly<Record<string, string>>) => parseSettings([], env).analysis;
  assert.deepEqual(analysis({}), { intervalMs: 10_000, workers: 100 });
  assert.equal(analysis({ PILOT_ENABLE_ANALYSIS: 'false' }), undefined);
  assert.deepEqual(analysis({ PILOT_ANALYSIS_INTERVAL: '1m', PILOT_STATUS_MAX_WORKERS: '2' }), {
    intervalMs: 60_000,
    workers: 2,
  });
  assert.throws(
    () => analysis({ PILOT_ANALYSIS_INTERVAL: 'soon' }),
    /PILOT_ANALYSIS_INTERVAL: 'soon' is not a duration/,
  );
  assert.throws(() => analysis({ PILOT_STATUS_MAX_WORKERS: '0' }), /PILOT_STATUS_MAX_WORKERS: '0' is not a number/);
});

test('filters for the protocols of databases are switched, and what Envoy does not have is refused', () => {
  const filters = (env: Readonly<Record<string, string>>) => parseSettings([], env).wireFilters;
  assert.deepEqual(filters({}), ['Mongo']);
  assert.deepEqual(filters({ PILOT_ENABLE_MONGO_FILTER: 'false', PILOT_ENABLE_REDIS_FILTER: 'true' }), ['Redis']);
  assert.throws(() => filters({ PILOT_ENABLE_MYSQL_FILTER: 'true' }), /PILOT_ENABLE_MYSQL_FILTER: the Envoy/);
});

test('Secrets are read of all namespaces, or of those that are named and the own one', () => {
  const namespaces = (text?: string) =>
    parseSettings([], { POD_NAMESPACE: 'mesh', ISTIO_TS_SECRET_NAMESPACES: text }).secretNamespaces;
  assert.equal(namespaces(), undefined);
  assert.equal(namespaces(' '), undefined);
  assert.deepEqual(namespaces('edge, shop,mesh'), ['mesh', 'edge', 'shop']);
  assert.throws(() => namespaces('edge,*'), /ISTIO_TS_SECRET_NAMESPACES: '\*' is no name of a namespace/);
});

test('switches of what proxies get', () => {
  const switches = (env: Readonly<Record<string, string>>) => parseSettings([], env).switches;
  assert.deepEqual(switches({}), {
    useRemoteAddress: false,
    alpnFilter: true,
    dynamicHosts: 1024,
    continueHeaders: true,
    acceptsAtOnce: 1,
    handshakeMs: 15_000,
    unhealthyEndpoints: false,
    headlessEndpoints: false,
    filterGatewayClusters: false,
    externalRuleTls: true,
    traceSampling: 1,
  });
  assert.equal(switches({ PILOT_GATEWAY_TRANSPORT_SOCKET_CONNECT_TIMEOUT: '0s' }).handshakeMs, 0);
  assert.equal(switches({ PILOT_TRACE_SAMPLING: '0.5' }).traceSampling, 0.5);
  for (const [name, value] of [
    ['PILOT_TRACE_SAMPLING', '101'],
    ['MAX_CONNECTIONS_PER_SOCKET_EVENT_LOOP', '1.5'],
    ['PILOT_GATEWAY_TRANSPORT_SOCKET_CONNECT_TIMEOUT', 'soon'],
    ['PILOT_ALLOW_ANY_DYNAMIC_DNS_MAX_HOSTS', '0'],
  ] as const)
    assert.throws(
      () => switches({ [name]: value }),
      (error) => error instanceof SettingsError && error.message.startsWith(`${name}: '${value}' is not`),
    );
});
