import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { MetricsRegistry } from './registry.ts';

test('counters keep one value for each set of labels, whatever the order of the labels', () => {
  const registry = new MetricsRegistry();
  const counter = registry.counter('pushes_total', 'Pushes.');
  counter.add({ type: 'cds', version: '1' });
  counter.add({ version: '1', type: 'cds' }, 2);
  counter.add({ type: 'rds', version: '1' });
  assert.equal(counter.value({ type: 'cds', version: '1' }), 3);
  assert.equal(counter.value({ type: 'rds', version: '1' }), 1);
});

test('the text has the help and type of each metric that has values, buckets add up, and values are escaped', () => {
  const registry = new MetricsRegistry();
  registry.counter('unused_total', 'Never counted.');
  registry.gauge('proxies', 'Connected "proxies".\nNow.').set(2, { version: 'a"b\\c\nd' });
  const times = registry.histogram('push_time_seconds', 'Time.', [0.1, 1]);
  for (const seconds of [0.05, 0.5, 5]) times.observe(seconds, { type: 'eds' });
  assert.equal(
    registry.text(),
    `# HELP proxies Connected "proxies".\\nNow.
# TYPE proxies gauge
proxies{version="a\\"b\\\\c\\nd"} 2
# HELP push_time_seconds Time.
# TYPE push_time_seconds histogram
push_time_seconds_bucket{type="eds",le="0.1"} 1
push_time_seconds_bucket{type="eds",le="1"} 2
push_time_seconds_bucket{type="eds",le="+Inf"} 3
push_time_seconds_sum{type="eds"} 5.55
push_time_seconds_count{type="eds"} 3
`,
  );
});

test('a gauge that reads its value is asked at each scrape; a forgotten series is not shown', () => {
  const registry = new MetricsRegistry();
  let connections = 1;
  registry.gauge('connections', 'Open.', () => connections);
  const gauge = registry.gauge('services', 'Known.');
  gauge.set(4, { cluster: 'a' });
  gauge.remove({ cluster: 'a' });
  assert.match(registry.text(), /^connections 1$/m);
  connections = 7;
  assert.match(registry.text(), /^connections 7$/m);
  assert.doesNotMatch(registry.text(), /services/);
});

test('label values from outside cannot fill the memory: a metric takes a bounded number of series', () => {
  const registry = new MetricsRegistry();
  const counter = registry.counter('requests_total', 'Requests.');
  for (let path = 0; path < 20_000; path++) counter.add({ path: String(path) });
  assert.equal(counter.value({ path: '4999' }), 1);
  assert.equal(counter.value({ path: '5000' }), 0);
});

test('two metrics of one name are a mistake of the program', () => {
  const registry = new MetricsRegistry();
  registry.counter('pushes_total', 'Pushes.');
  assert.throws(() => registry.gauge('pushes_total', 'Pushes.'), /pushes_total is declared twice/);
});

test('promtool takes what a registry renders', (t) => {
  const registry = new MetricsRegistry();
  registry.counter('things_total', 'Things "seen".').add({ name: 'a "quoted" \\ value\nof two lines' });
  registry.gauge('level', 'Level.').set(-1.5, {});
  const { error, status, stderr } = spawnSync('promtool', ['check', 'metrics'], {
    input: registry.text(),
    encoding: 'utf8',
  });
  if (error) return t.skip('promtool is not on this machine');
  assert.equal(status, 0, stderr);
});
