import assert from 'node:assert/strict';
import { test } from 'node:test';
import { labelsOf, labelsRecord, METRIC_NAME } from '../labels.ts';
import { defaultQueryLimits } from '../promql/budget.ts';
import { instantQuery } from '../promql/query.ts';
import { MetricsStore } from '../storage/store.ts';
import { ConfigError, readConfig } from './config.ts';
import { endpointsTargets, podTargets } from './kubernetes-targets.ts';
import { targetsOf } from './target.ts';
import { TargetScraper } from './target-scraper.ts';

const pod = {
  metadata: {
    name: 'cart-1',
    namespace: 'shop',
    labels: { app: 'cart', 'app.kubernetes.io/name': 'cart' },
    annotations: {
      'prometheus.io/scrape': 'true',
      'prometheus.io/port': '15020',
      'prometheus.io/path': '/stats/prometheus',
    },
  },
  spec: {
    nodeName: 'node-1',
    containers: [
      { name: 'server', ports: [{ name: 'grpc', containerPort: 7070 }, { containerPort: 8080 }] },
      { name: 'istio-proxy' },
    ],
  },
  status: { phase: 'Running', podIP: '10.0.0.7' },
};

const podJob = `
scrape_configs:
  - job_name: pods
    kubernetes_sd_configs: [{role: pod}]
    relabel_configs:
      - {source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scrape], action: keep, regex: "true"}
      - {source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_path], regex: (.+), target_label: __metrics_path__}
      - source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_port, __meta_kubernetes_pod_ip]
        regex: (\\d+);([0-9.]+)
        replacement: $2:$1
        target_label: __address__
      - {action: labelmap, regex: __meta_kubernetes_pod_label_(.+)}
      - {source_labels: [__address__], modulus: 4, target_label: __tmp, action: hashmod}
      - {source_labels: [__meta_kubernetes_pod_name], target_label: pod}
`;

const scrapeOf = (text: string) => {
  const [scrape] = readConfig(text, 'prometheus.yml').scrapes;
  assert.ok(scrape);
  return scrape;
};

test('a pod with several ports is one target when its annotations say which', () => {
  const { targets, dropped } = targetsOf(scrapeOf(podJob), podTargets(pod));
  assert.deepEqual(
    targets.map(({ url }) => url),
    ['http://10.0.0.7:15020/stats/prometheus'],
  );
  assert.deepEqual(labelsRecord(targets[0]!.labels), {
    app: 'cart',
    app_kubernetes_io_name: 'cart',
    instance: '10.0.0.7:15020',
    job: 'pods',
    pod: 'cart-1',
  });
  assert.equal(dropped.length, 0);
  const plain = { ...pod, metadata: { ...pod.metadata, annotations: {} } };
  assert.equal(targetsOf(scrapeOf(podJob), podTargets(plain)).targets.length, 0);
});

test('endpoints carry the labels of their service and of their pod', () => {
  const [labels] = endpointsTargets(
    {
      metadata: { name: 'cart', namespace: 'shop' },
      subsets: [
        {
          addresses: [{ ip: '10.0.0.7', targetRef: { kind: 'Pod', name: 'cart-1' } }],
          ports: [{ name: 'grpc', port: 7070 }],
        },
      ],
    },
    { metadata: { name: 'cart', namespace: 'shop', annotations: { 'prometheus.io/scrape': 'true' } } },
    (_, name) => (name === 'cart-1' ? pod : undefined),
  );
  assert.equal(labels?.get('__address__'), '10.0.0.7:7070');
  assert.equal(labels?.get('__meta_kubernetes_service_annotation_prometheus_io_scrape'), 'true');
  assert.equal(labels?.get('__meta_kubernetes_pod_name'), 'cart-1');
  assert.equal(labels?.get('__meta_kubernetes_pod_container_name'), 'server');
  assert.equal(labels?.get('__meta_kubernetes_endpoint_ready'), 'true');
});

test('a configuration that cannot be followed is refused with the place', () => {
  for (const [text, path] of [
    [
      'scrape_configs: [{job_name: a, kubernetes_sd_configs: [{role: ingress}]}]',
      /scrape_configs\[0\]\.kubernetes_sd_configs\[0\]\.role/,
    ],
    [
      'scrape_configs: [{job_name: a, consul_sd_configs: [{}]}]',
      /scrape_configs\[0\]\.consul_sd_configs: this field is not supported/,
    ],
    ['scrape_configs: [{job_name: a, relabel_configs: [{regex: "("}]}]', /relabel_configs\[0\]\.regex/],
    ['scrape_configs: [{job_name: a}, {job_name: a}]', /stands there twice/],
    ['global: {scrape_interval: soon}', /global\.scrape_interval/],
    ['a: [', /prometheus\.yml:\d/],
  ] as const)
    assert.throws(
      () => readConfig(text, 'prometheus.yml'),
      (error: unknown) => error instanceof ConfigError && path.test(error.message),
      text,
    );
  assert.deepEqual(readConfig('rule_files: [a.yml]', 'x').warnings, [
    'rule_files is left out: this store only scrapes and answers queries',
  ]);
});

function scraperOf(extra = '') {
  const store = new MetricsStore();
  const config = scrapeOf(
    `scrape_configs: [{job_name: test, static_configs: [{targets: ["host:80"], labels: {zone: z1}}]${extra}}]`,
  );
  const [target] = targetsOf(config, []).targets;
  assert.ok(target);
  const scraper = new TargetScraper(target, store);
  const run = (time: number, text: string | Error, openMetrics = false) =>
    scraper.scrape(
      () => (text instanceof Error ? Promise.reject(text) : Promise.resolve({ text, openMetrics })),
      () => time,
    );
  const query = (expression: string, time: number) => {
    const value = instantQuery({ store, limits: defaultQueryLimits, now: () => 0 }, expression, time);
    assert.equal(value.type, 'vector');
    return value.type === 'vector'
      ? value.samples.map(({ labels, value: v }) => [labelsRecord(labels), v] as const)
      : [];
  };
  return { store, scraper, run, query };
}

const common = { instance: 'host:80', job: 'test' };

test('scraped labels that the target has too are renamed, or kept where the configuration says so', async () => {
  const text = '# TYPE a counter\n# HELP a What \\\\ is\\ncounted.\na{zone="own",path="a\\"b}c\\\\n"} 3\n';
  const renamed = scraperOf();
  await renamed.run(1000, text);
  assert.deepEqual(renamed.query('a', 1000), [
    [{ [METRIC_NAME]: 'a', ...common, zone: 'z1', exported_zone: 'own', path: 'a"b}c\\n' }, 3],
  ]);
  assert.deepEqual(renamed.scraper.metadata.get('a'), { type: 'counter', help: 'What \\ is\ncounted.', unit: '' });
  const kept = scraperOf(', honor_labels: true');
  await kept.run(1000, text);
  assert.equal(kept.query('a{zone="own"}', 1000).length, 1);
});

test('a series that is not exposed any more, a target that fails and one that goes away end at once', async () => {
  const { run, query, scraper } = scraperOf();
  await run(1000, 'a 1\nb 2\n');
  await run(16_000, 'b 3\n');
  assert.equal(query('a', 15_999).length, 1);
  assert.equal(query('a', 16_000).length, 0);
  assert.deepEqual(
    query('up', 16_000).map(([, value]) => value),
    [1],
  );
  await run(31_000, new Error('connection refused'));
  assert.equal(query('b', 31_000).length, 0);
  assert.deepEqual(
    query('up', 31_000).map(([, value]) => value),
    [0],
  );
  assert.equal(scraper.health.lastError, 'connection refused');
  assert.equal(query('count_over_time(b[1m])', 31_000)[0]?.[1], 2, 'the marker of the end is no sample');
  await run(46_000, 'b 4\n');
  assert.equal(query('b', 46_000).length, 1);
  scraper.end(47_000);
  assert.equal(query('b', 47_000).length + query('up', 47_000).length, 0);
});

test('a scrape that cannot be read adds nothing and says where', async () => {
  for (const [text, message] of [
    ['a 1\nb x\n', /line 2 .*"x" is not a number/],
    ['a{b="c" 1\n', /line 1/],
    ['a 1 2 3\n', /after the time/],
    ['a\n', /line 1/],
  ] as const) {
    const { run, query, scraper } = scraperOf();
    await run(1000, text);
    assert.match(scraper.health.lastError, message);
    assert.deepEqual(query('{job="test",__name__!~"up|scrape.*"}', 1000), []);
  }
});

test('OpenMetrics: times in seconds, exemplars left out, an end that has to be there', async () => {
  const { run, query, scraper } = scraperOf();
  await run(5000, 'a_total{b="c"} 3 4.5 # {trace="x"} 1\nc_total 1e3 # {trace="y"} 0.5 1.2\n# EOF\n', true);
  assert.equal(query('a_total', 4499).length, 0);
  assert.equal(query('a_total', 4500).length, 1);
  assert.deepEqual(
    query('c_total', 5000).map(([, value]) => value),
    [1000],
  );
  await run(6000, 'a_total 3\n', true);
  assert.match(scraper.health.lastError, /# EOF/);
});

test('limits: samples of a target, series of the store, bytes of the store', async () => {
  const limited = scraperOf(', sample_limit: 1');
  await limited.run(1000, 'a 1\nb 2\n');
  assert.match(limited.scraper.health.lastError, /sample limit/);
  const small = new MetricsStore({ maxSeries: 2 });
  for (const name of ['a', 'b', 'c']) small.append(labelsOf({ [METRIC_NAME]: name }), 1000, 1);
  assert.deepEqual([small.seriesCount, small.refused], [2, 1]);

  const bytes = new MetricsStore({ maxBytes: 60_000 });
  for (let at = 0; at < 5000; at++)
    bytes.append(labelsOf({ [METRIC_NAME]: 'a', at: String(at % 3) }), at * 15_000, at * Math.PI);
  const end = 5000 * 15_000;
  bytes.forget(end);
  assert.ok(bytes.bytes <= 60_000, String(bytes.bytes));
  assert.ok((bytes.oldest ?? 0) > 0 && (bytes.newest ?? 0) > end - 60_000);
  const old = new MetricsStore({ retention: 3_600_000 });
  old.append(labelsOf({ [METRIC_NAME]: 'a' }), 1000, 1);
  old.forget(3_600_000);
  assert.equal(old.seriesCount, 1);
  old.forget(3_602_000);
  assert.deepEqual([old.seriesCount, old.labelNames()], [0, []]);
});

test('what is stored is what was given, in few bytes', () => {
  const store = new MetricsStore();
  const labels = labelsOf({ [METRIC_NAME]: 'a' });
  const given = Array.from({ length: 1000 }, (_, at) => {
    const special = [NaN, Infinity, -Infinity, -0, 1.5, 2 ** 60, -(2 ** 51), 5e-324][at % 50];
    return [at * 15_000 + (at % 7 === 0 ? 3 : 0), special ?? at * 17] as const;
  });
  for (const [time, value] of given) store.append(labels, time, value);
  assert.equal(store.append(labels, 5, 5), 'out-of-order');
  const { times, values, length } = store.seriesOf(labels)!.read(0, Infinity);
  assert.equal(length, given.length);
  for (const [at, [time, value]] of given.entries()) {
    assert.equal(times[at], time);
    assert.ok(Object.is(values[at], value), `${values[at]} is not ${value}`);
  }
  const counters = new MetricsStore();
  for (let at = 0; at < 1440; at++) counters.append(labels, at * 15_000, at * 3);
  assert.ok(counters.seriesOf(labels)!.bytes < 5000);
});
