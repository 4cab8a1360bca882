import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { provesAnnotations } from '@istio-ts/xds/field-proof';
import { cleanups, eventually, freePort, http, skip } from './agent.test-support.ts';
import { mutualTlsListener, startFakeIstiod } from './fake-istiod.test-support.ts';
import { ready, startProxy } from './injected-proxy.test-support.ts';

/** Annotations of a pod, from its injection to the real Envoy that its agent runs. */

provesAnnotations(
  'prometheus.istio.io/merge-metrics',
  'proxy.istio.io/config',
  'sidecar.istio.io/agentLogLevel',
  'sidecar.istio.io/bootstrapOverride',
  'sidecar.istio.io/componentLogLevel',
  'sidecar.istio.io/discoveryAddress',
  'sidecar.istio.io/extraStatTags',
  'sidecar.istio.io/logLevel',
  'sidecar.istio.io/statsCompression',
  'sidecar.istio.io/statsEvictionInterval',
  'sidecar.istio.io/statsFlushInterval',
  'sidecar.istio.io/statsHistogramBins',
  'sidecar.istio.io/statsHistogramBuckets',
  'sidecar.istio.io/statsInclusionPrefixes',
  'sidecar.istio.io/statsInclusionRegexps',
  'sidecar.istio.io/statsInclusionSuffixes',
  'status.sidecar.istio.io/port',
);

test('what annotations say of logs, statistics, ports, addresses and the bootstrap', { skip }, async () => {
  const plainPort = await freePort();
  const istiod = await startFakeIstiod([
    mutualTlsListener(plainPort, false, { statPrefix: 'own.color=.=blue;.;shop' }),
  ]);
  cleanups.push(() => istiod.close());
  const application = createServer((_, response) => response.end('app_things 7\n'));
  await new Promise<void>((resolve) => application.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => void application.close());
  const { port } = application.address() as AddressInfo;
  const override = join(tmpdir(), `agent-bootstrap-override-${process.pid}.json`);
  cleanups.push(() => rmSync(override, { force: true }));
  writeFileSync(
    override,
    JSON.stringify({ layered_runtime: { layers: [{ name: 'mine', static_layer: { 'my.own': 7 } }] } }),
  );
  const agent = await startProxy(
    istiod,
    {
      'prometheus.istio.io/merge-metrics': 'false',
      'prometheus.io/port': String(port),
      'prometheus.io/scrape': 'true',
      'sidecar.istio.io/agentLogLevel': 'all:warn',
      'sidecar.istio.io/bootstrapOverride': 'of-mine',
      'sidecar.istio.io/componentLogLevel': 'rbac:warning,upstream:critical',
      'sidecar.istio.io/extraStatTags': 'color',
      'sidecar.istio.io/logLevel': 'error',
      'sidecar.istio.io/statsCompression': 'false',
      'sidecar.istio.io/statsEvictionInterval': '4s',
      'sidecar.istio.io/statsFlushInterval': '200ms',
      'sidecar.istio.io/statsHistogramBins': '{"http.own":50}',
      'sidecar.istio.io/statsHistogramBuckets': '{"http.own":[1,5,4000]}',
      'sidecar.istio.io/statsInclusionPrefixes': 'runtime,http.own.color=.=blue;.;shop.downstream_rq_time',
      'sidecar.istio.io/statsInclusionRegexps': 'main_thread\\.watchdog_.*',
      'sidecar.istio.io/statsInclusionSuffixes': 'downstream_cx_total',
    },
    { ISTIO_BOOTSTRAP_OVERRIDE: override },
  );
  await ready(agent);
  assert.equal((await http(agent.statusPort, '/healthz/ready')).status, 200);
  assert.equal((await http(plainPort, '/')).status, 200);
  const admin = async (path: string): Promise<string> => (await http(agent.ports.admin, path)).body;

  assert.doesNotMatch(agent.output(), /\tinfo\t/);
  const logging = await new Promise<string>((resolve, reject) => {
    request({ host: '127.0.0.1', port: agent.ports.admin, path: '/logging', method: 'POST' }, (response) => {
      let text = '';
      response.on('data', (chunk) => (text += String(chunk)));
      response.on('end', () => resolve(text));
    })
      .on('error', reject)
      .end();
  });
  assert.match(logging, /^\s*rbac: warning$/m);
  assert.match(logging, /^\s*upstream: critical$/m);
  assert.match(logging, /^\s*main: error$/m);

  const names = (await admin('/stats')).split('\n').map((line) => line.split(':')[0] ?? '');
  for (const name of [/^runtime\./, /^http\.own.*\.downstream_cx_total$/, /main_thread\.watchdog_/])
    assert.ok(
      names.some((each) => name.test(each)),
      `${name}`,
    );
  assert.ok(!names.some((each) => /^http\.own.*\.downstream_rq_total$/.test(each)));
  const bootstrap = await admin('/config_dump?mask=bootstrap');
  assert.match(bootstrap, /"stats_flush_interval": "0\.200s"/);
  assert.match(bootstrap, /"stats_eviction_interval": "4s"/);
  assert.match(bootstrap, /"bins": 50/);
  assert.match(await admin('/runtime'), /"my\.own"/);
  const histogram = await eventually(
    'a histogram',
    () => admin('/stats/prometheus'),
    (text) => /^envoy_http_downstream_rq_time_bucket\{/m.test(text),
  );
  const buckets = [
    ...histogram.matchAll(/^envoy_http_downstream_rq_time_bucket\{[^}]*color="blue"[^}]*le="([^"]+)"\}/gm),
  ];
  assert.deepEqual(
    buckets.map(([, bound]) => bound),
    ['1', '5', '4000', '+Inf'],
  );

  const scraped = await http(agent.statusPort, '/stats/prometheus');
  assert.match(scraped.body, /^envoy_/m);
  assert.doesNotMatch(scraped.body, /app_things/);
  const encoding = await new Promise<string | undefined>((resolve, reject) => {
    const headers = { 'accept-encoding': 'gzip' };
    request({ host: '127.0.0.1', port: agent.ports.prometheus, path: '/stats/prometheus', headers }, (response) =>
      resolve(response.resume().headers['content-encoding']),
    )
      .on('error', reject)
      .end();
  });
  assert.equal(encoding, undefined);
  agent.process.kill('SIGTERM');
  await agent.exit;
});
