import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { requireEnvoy, withoutEnvoy } from '@istio-ts/envoy/testing/binary';
import fc from 'fast-check';
import * as yaml from 'js-yaml';
import { renderBootstrap } from './bootstrap/render.ts';
import { retryDelay, rotationDelay } from './certificates/rotation.ts';
import { parseArguments, UsageError } from './cli/arguments.ts';
import { parseDuration, DurationError } from './duration.ts';
import { EnvironmentError, readSettings } from './environment.ts';
import type { AgentInputs, AgentSettings, ProxyFlags } from './environment.ts';
import { activeConnections } from './envoy/drain.ts';
import type { Json } from './json.ts';
import { createLogger, LogLevelError, parseLogLevels } from './log.ts';
import { nodeMetadata, serviceCluster } from './node-metadata.ts';
import { parsePodInfo } from './pod-info.ts';
import { istioMetricNames, LineChunks } from './status/metric-names.ts';
import { fillMissingLabels } from './status/missing-labels.ts';
import { readApplicationScrape } from './status/metrics-merge.ts';
import { ProbeConfigError, readAppProbes } from './status/probes.ts';
import { judgeStats } from './status/readiness.ts';

const flags: ProxyFlags = { role: 'sidecar', proxyLogLevel: 'warning', domain: 'shop.svc.cluster.local' };
const inputs: AgentInputs = {
  env: {
    POD_NAME: 'cart-7d9-x2',
    POD_NAMESPACE: 'shop',
    INSTANCE_IP: '10.244.0.5',
    SERVICE_ACCOUNT: 'cart',
    HOST_IP: '10.0.0.1',
    PROXY_CONFIG:
      '{"discoveryAddress":"istiod.istio-system.svc:15012","proxyStatsMatcher":{"inclusionPrefixes":["http."]}}',
    ISTIO_META_CLUSTER_ID: 'Kubernetes',
    ISTIO_META_NODE_NAME: 'node-1',
    ISTIO_META_WORKLOAD_NAME: 'cart',
    ISTIO_META_OWNER: 'kubernetes://apis/apps/v1/namespaces/shop/deployments/cart',
    ISTIO_META_MESH_ID: 'cluster.local',
    ISTIO_META_INTERCEPTION_MODE: 'REDIRECT',
    ISTIO_META_APP_CONTAINERS: 'server',
    ISTIO_META_POD_PORTS: '[{"containerPort":7070,"protocol":"TCP"}]',
    TRUST_DOMAIN: 'cluster.local',
  },
  podLabels: 'app="cart"\nservice.istio.io/canonical-name="cart"\ntopology.istio.io/locality="eu.a.b"\n',
  podAnnotations:
    'sidecar.istio.io/statsInclusionRegexps="cluster\\\\.out.*"\nproxy.istio.io/config="concurrency: 3\\ndrainDuration: 20s"\nsidecar.istio.io/statsHistogramBuckets="{\\"istiocustom\\":[1,5]}"\n',
  interfaceAddresses: ['10.244.0.5'],
  hostName: 'host',
  parseYaml: (text) => yaml.load(text) as Json,
};
const settingsWith = (
  env: Record<string, string>,
  more: Partial<AgentInputs> = {},
  role: ProxyFlags['role'] = 'sidecar',
): AgentSettings => readSettings({ ...flags, role }, { ...inputs, ...more, env: { ...inputs.env, ...env } });

test('the bootstrap of a usual sidecar is as recorded', () => {
  const file = join(import.meta.dirname, 'bootstrap/sidecar.golden.json');
  const rendered = `${JSON.stringify(renderBootstrap(settingsWith({}), '1.30.0'), null, 2)}\n`;
  if (process.env.UPDATE_GOLDEN) writeFileSync(file, rendered);
  assert.equal(rendered, readFileSync(file, 'utf8'));
});

test('an Envoy that may not listen on privileged ports is not asked to, unless somebody knows better', () => {
  const told = (env: Record<string, string>, privilegedPorts?: boolean) =>
    nodeMetadata(settingsWith(env, privilegedPorts === undefined ? {} : { privilegedPorts }), '1.30.0')
      .UNPRIVILEGED_POD;
  assert.equal(told({}), undefined);
  assert.equal(told({}, true), undefined);
  assert.equal(told({}, false), 'true');
  assert.equal(told({ ISTIO_META_UNPRIVILEGED_POD: 'false' }, false), 'false');
});

const variants: Readonly<Record<string, AgentSettings>> = {
  sidecar: settingsWith({}),
  'IPv6 only': settingsWith({ INSTANCE_IP: 'fd00::5' }),
  'dual stack gateway': settingsWith({ INSTANCE_IPS: '10.0.0.5,fd00::5', ISTIO_DELTA_XDS: 'false' }, {}, 'router'),
  'system roots and mounted client certificate': settingsWith({ XDS_ROOT_CA: 'SYSTEM', PROV_CERT: '/etc/certs' }),
  'annotations about statistics': settingsWith(
    {},
    {
      podAnnotations:
        'sidecar.istio.io/statsHistogramBins="{\\"istiocustom\\":50}"\nsidecar.istio.io/extraStatTags="tag_b"\n',
    },
  ),
  'plain discovery': settingsWith({
    PROXY_CONFIG: '{"discoveryAddress":"10.0.0.9:15010","extraStatTags":["tag_a"],"runtimeValues":{"a.b":"1"}}',
  }),
};
for (const [name, settings] of Object.entries(variants)) {
  test(`Envoy accepts the bootstrap: ${name}`, { skip: withoutEnvoy }, () => {
    const directory = mkdtempSync(join(tmpdir(), 'agent-bootstrap-'));
    const file = join(directory, 'envoy.json');
    writeFileSync(file, JSON.stringify(renderBootstrap(settings, '1.30.0')));
    const result = spawnSync(requireEnvoy(), ['--mode', 'validate', '-l', 'warn', '-c', file], {
      encoding: 'utf8',
    });
    rmSync(directory, { recursive: true });
    assert.match(`${result.stdout}${result.stderr}`, / OK$/m);
    assert.doesNotMatch(result.stderr, /warning|deprecated/);
  });
}

test('PROXY_CONFIG wins over the annotation, which wins over the mesh configuration', () => {
  const settings = settingsWith(
    { PROXY_CONFIG: '{"terminationDrainDuration":"9s","proxyMetadata":{"A":"2"},"drainDuration":"30s"}' },
    { meshConfig: { defaultConfig: { concurrency: 7, statusPort: 15999, proxyMetadata: { A: '1', B: '1' } } } },
  );
  assert.equal(settings.proxyConfig.concurrency, 3);
  assert.equal(settings.proxyConfig.drainDuration, '30s');
  assert.equal(settings.drain.terminationMs, 9000);
  assert.equal(settings.ports.status, 15999);
  assert.deepEqual(settings.proxyConfig.proxyMetadata, { A: '2', B: '1' });
  assert.equal(serviceCluster(settings), 'cart.shop');
});

test('wrong variables are named', () => {
  for (const [name, value] of [
    ['PROXY_CONFIG', '{"a": ['],
    ['ISTIO_METAJSON_X', 'no json'],
    ['FILE_MOUNTED_CERTS', 'maybe'],
    ['SECRET_GRACE_PERIOD_RATIO', '7'],
    ['ECC_CURVE', 'P1'],
  ] as const) {
    assert.throws(
      () => settingsWith({ [name]: value }),
      (error) => error instanceof EnvironmentError && error.message.startsWith(name),
    );
  }
});

test('durations, log levels, pod information, arguments', () => {
  assert.equal(parseDuration('1h0m30.5s', 'x'), 3_630_500);
  assert.equal(parseDuration('100ms', 'x'), 100);
  for (const text of ['', '5', 's', '5 s', '1d']) assert.throws(() => parseDuration(text, 'x'), DurationError);
  assert.deepEqual(
    [...parseLogLevels('default:debug,ads:none')],
    [
      ['default', 'debug'],
      ['ads', 'none'],
    ],
  );
  for (const wrong of ['loud', 'dns:', ':info']) assert.throws(() => parseLogLevels(wrong), LogLevelError);
  assert.deepEqual(parsePodInfo('a="x\\"y\\\\ \\u00e4"\nb="\\t"\n'), { a: 'x"y\\ ä', b: '\t' });
  assert.throws(() => parsePodInfo('nonsense'), /line 1/);
  const lines: string[] = [];
  createLogger({ write: (line) => lines.push(line), now: () => new Date(0) }).info('hello', { a: 1 });
  assert.deepEqual(lines, ['1970-01-01T00:00:00.000000Z\tinfo\thello\ta=1\n']);
  const specs = [
    { name: 'port', short: 'p', kind: 'integer', help: '' },
    { name: 'on', kind: 'boolean', default: 'true', help: '' },
  ] as const;
  const args = parseArguments(['x', '-p80', '--on=false', '--', '--y'], specs);
  assert.deepEqual([args.positionals, args.integer('port'), args.boolean('on')], [['x', '--y'], 80, false]);
  assert.throws(() => parseArguments(['--nope'], specs), UsageError);
  assert.throws(() => parseArguments(['--port', 'x'], specs), /whole number/);
});

test('certificates are renewed in their grace period, failures wait longer and longer', () => {
  const rule = { graceRatio: 0.5, graceJitter: 0.01 };
  assert.equal(rotationDelay(0, 1000, 0, rule, 0.5), 500);
  assert.equal(rotationDelay(0, 1000, 0, rule, 1), 490);
  assert.equal(rotationDelay(0, 1000, 900, rule, 0), 0);
  assert.deepEqual(
    [1, 2, 3, 50].map((attempt) => retryDelay(attempt, 0)),
    [100, 200, 400, 30_000],
  );
  assert.equal(retryDelay(50, 1), 15_000);
});

test("metric names are Istio's, however the text is cut", () => {
  const text =
    '# TYPE envoy_istio_requests_total counter\nenvoy_istio_requests_total{a="envoy_istio_x"} 1\nenvoy_wasmcustom_istio_b 2\nenvoy_istiocustom_c 3\nenvoy_server_live 1\n';
  const expected =
    '# TYPE istio_requests_total counter\nistio_requests_total{a="envoy_istio_x"} 1\nistio_b 2\nistiocustom_c 3\nenvoy_server_live 1\n';
  fc.assert(
    fc.property(fc.array(fc.nat(text.length), { maxLength: 8 }), (cuts) => {
      const chunks = new LineChunks();
      const edges = [0, ...cuts.sort((a, b) => a - b), text.length];
      let out = '';
      edges.slice(1).forEach((edge, index) => {
        out += istioMetricNames(chunks.push(Buffer.from(text.slice(edges[index], edge))));
      });
      assert.equal(out + istioMetricNames(chunks.end()), expected);
    }),
  );
});

test('labels without a value show what Istio shows there, only in its own metrics', () => {
  assert.equal(
    fillMissingLabels(
      [
        'istio_requests_total{reporter="source",destination_workload="",destination_canonical_revision="",response_code="",response_flags="",grpc_response_status="",source_app="a=\\"\\""} 1',
        'istio_build{component="proxy"} 1',
        'envoy_server_live{x=""} 1',
        '',
      ].join('\n'),
    ),
    [
      'istio_requests_total{reporter="source",destination_workload="unknown",destination_canonical_revision="latest",response_code="0",response_flags="-",grpc_response_status="",source_app="a=\\"\\""} 1',
      'istio_build{component="proxy"} 1',
      'envoy_server_live{x=""} 1',
      '',
    ].join('\n'),
  );
});

test('the application is scraped where the annotations say, never at the proxy itself', () => {
  assert.deepEqual(readApplicationScrape('{"scrape":"true","port":"9090","path":"m"}', 15020), {
    port: 9090,
    path: '/m',
  });
  for (const text of ['', 'x', '{"scrape":"false"}', '{"port":"15020"}', '{"port":"15090"}', '{"port":"x"}'])
    assert.equal(readApplicationScrape(text, 15020), undefined);
});

test('probe settings that make no sense are refused with their path', () => {
  const probes = readAppProbes(
    '{"/app-health/a/livez":{"httpGet":{"path":"/h","port":8080,"scheme":"HTTPS"},"timeoutSeconds":3}}',
  );
  assert.deepEqual(probes.get('/app-health/a/livez'), {
    kind: 'http',
    scheme: 'https',
    path: '/h',
    port: 8080,
    host: '',
    headers: [],
    timeoutMs: 3000,
  });
  for (const text of [
    '{',
    '{"/other":{}}',
    '{"/app-health/a/livez":{}}',
    '{"/app-health/a/livez":{"tcpSocket":{"port":"http"}}}',
  ]) {
    assert.throws(() => readAppProbes(text), ProbeConfigError);
  }
});

test('readiness says what is missing', () => {
  const stats = (cds: number, rejected: number, lds: number, state: number, workers: number): string =>
    `cluster_manager.cds.update_success: ${cds}\ncluster_manager.cds.update_rejected: ${rejected}\nlistener_manager.lds.update_success: ${lds}\nlistener_manager.workers_started: ${workers}\nserver.state: ${state}\n`;
  assert.equal(judgeStats(stats(1, 0, 1, 0, 1)), undefined);
  assert.match(judgeStats(stats(0, 0, 0, 2, 0)) ?? '', /is Istiod running\?/);
  assert.match(judgeStats(stats(0, 2, 0, 2, 0)) ?? '', /was rejected/);
  assert.match(judgeStats(stats(1, 0, 0, 2, 0)) ?? '', /not fully received/);
  assert.match(judgeStats(stats(1, 0, 1, 3, 0)) ?? '', /INITIALIZING/);
  assert.match(judgeStats(stats(1, 0, 1, 0, 0)) ?? '', /workers/);
});

test('open connections are counted without those to the proxy itself', () => {
  const text =
    'listener.0.0.0.0_15006.downstream_cx_active: 2\nlistener.0.0.0.0_15006.worker_0.downstream_cx_active: 2\nlistener.0.0.0.0_15090.downstream_cx_active: 5\nlistener.0.0.0.0_15021.downstream_cx_active: 1\nlistener.admin.downstream_cx_active: 1\nhttp.x.downstream_cx_active: 9\n';
  assert.equal(activeConnections(text), 2);
});
