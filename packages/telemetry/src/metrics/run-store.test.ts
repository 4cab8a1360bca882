import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type RunningStore, runStore } from './run-store.ts';

const folder = mkdtempSync(join(tmpdir(), 'istio-ts-store-'));
let requests = 0;
const exposed = createServer((request, response) => {
  requests++;
  response.setHeader('content-type', 'text/plain; version=0.0.4');
  response.end(
    request.headers.authorization === 'Bearer secret'
      ? `# TYPE hits_total counter\nhits_total{path="/"} ${requests}\n`
      : 'refused 1\n',
  );
});
let running: RunningStore | undefined;
let url = '';

before(async () => {
  await new Promise<void>((resolve) => exposed.listen(0, '127.0.0.1', resolve));
  const { port } = exposed.address() as AddressInfo;
  const configFile = join(folder, 'prometheus.yml');
  writeFileSync(
    configFile,
    `
global: {scrape_interval: 100ms, scrape_timeout: 100ms}
scrape_configs:
  - job_name: test
    authorization: {credentials: secret}
    static_configs: [{targets: ["127.0.0.1:${port}"]}]
  - job_name: nobody
    static_configs: [{targets: ["127.0.0.1:1"]}]
`,
  );
  running = await runStore({
    settings: {
      configFile,
      host: '127.0.0.1',
      port: 0,
      prefix: '',
      lifecycle: false,
      retention: 3_600_000,
      lookback: 300_000,
      timeout: 10_000,
      maxSamples: 100_000,
      maxSeries: 1000,
      maxBytes: 1 << 20,
      kubeconfig: undefined,
      flags: { 'config.file': configFile },
    },
    client: undefined,
    ownNamespace: 'default',
    version: '0.0.0-test',
    now: Date.now,
    log: () => {},
  });
  url = `http://127.0.0.1:${running.port}`;
});
after(async () => {
  await running?.close();
  exposed.closeAllConnections();
  exposed.close();
  rmSync(folder, { recursive: true });
});

async function get(path: string, form?: Record<string, string>) {
  const response = await fetch(url + path, form ? { method: 'POST', body: new URLSearchParams(form) } : {});
  return {
    status: response.status,
    body: (await response.json()) as {
      status: string;
      data: ReturnType<typeof JSON.parse>;
      errorType?: string;
      error?: string;
    },
  };
}
async function until<T>(find: () => Promise<T | undefined>): Promise<T> {
  for (const deadline = Date.now() + 30_000; Date.now() < deadline; await delay(50)) {
    const found = await find();
    if (found !== undefined) return found;
  }
  throw new Error('it did not come');
}

test('what a target exposes can be asked for, by GET and by POST, at a time and over a range', async () => {
  const value = await until(async () => {
    const { body } = await get('/api/v1/query?query=hits_total%20%3E%203');
    return body.data.result[0];
  });
  assert.deepEqual(Object.keys(value.metric).sort(), ['__name__', 'instance', 'job', 'path']);
  assert.equal(typeof value.value[1], 'string');
  const { body } = await get('/api/v1/query', { query: 'up{job="nobody"}' });
  assert.equal(body.data.result[0].value[1], '0');
  const now = Date.now() / 1000;
  const range = await get('/api/v1/query_range', {
    query: 'hits_total',
    start: String(now - 5),
    end: String(now),
    step: '1',
  });
  assert.equal(range.body.data.resultType, 'matrix');
  assert.ok(range.body.data.result[0].values.length > 0);
});

test('series, labels, values, metadata, targets and status', async () => {
  assert.deepEqual(
    (await get('/api/v1/series?match[]=hits_total')).body.data.map(({ path }: { path: string }) => path),
    ['/'],
  );
  assert.ok((await get('/api/v1/labels')).body.data.includes('path'));
  assert.deepEqual((await get('/api/v1/label/job/values')).body.data, ['nobody', 'test']);
  assert.deepEqual((await get('/api/v1/label/job/values?match[]=hits_total')).body.data, ['test']);
  assert.deepEqual((await get('/api/v1/metadata?metric=hits_total')).body.data, {
    hits_total: [{ type: 'counter', help: '', unit: '' }],
  });
  const targets = (await get('/api/v1/targets?state=active')).body.data.activeTargets;
  assert.deepEqual(
    targets.map(({ scrapePool, health }: { scrapePool: string; health: string }) => [scrapePool, health]).sort(),
    [
      ['nobody', 'down'],
      ['test', 'up'],
    ],
  );
  for (const path of ['config', 'flags', 'buildinfo', 'runtimeinfo', 'tsdb'])
    assert.equal((await get(`/api/v1/status/${path}`)).status, 200, path);
  assert.deepEqual((await get('/api/v1/rules')).body.data, { groups: [] });
  assert.equal((await fetch(`${url}/-/ready`)).status, 200);
  assert.match(await (await fetch(`${url}/`)).text(), /This is not Prometheus/);
  assert.match(await (await fetch(`${url}/metrics`)).text(), /^metrics_store_series \d+$/m);
});

test('what cannot be answered has Prometheus’ shape of errors', async () => {
  for (const [path, status, type] of [
    ['/api/v1/query?query=sum(', 400, 'bad_data'],
    ['/api/v1/query?query=holt_winters(a[5m],1,1)', 400, 'bad_data'],
    ['/api/v1/query_range?query=up&start=0&end=100&step=0', 400, 'bad_data'],
    ['/api/v1/query_range?query=up&start=0&end=100000&step=1', 400, 'bad_data'],
    ['/api/v1/query?query=up&time=soon', 400, 'bad_data'],
    ['/api/v1/query?query=up%20*%20on()%20group_left%20up', 422, 'execution'],
    ['/api/v1/query?query=sum_over_time(vector(1)[1d:1ms])', 422, 'execution'],
    ['/api/v1/series', 400, 'bad_data'],
    ['/api/v1/label/a-b/values', 400, 'bad_data'],
    ['/api/v1/nothing', 404, 'not_found'],
  ] as const) {
    const { status: found, body } = await get(path);
    assert.deepEqual([found, body.status, body.errorType], [status, 'error', type], `${path}: ${body.error}`);
    assert.ok(body.error, path);
  }
  assert.equal((await fetch(`${url}/-/reload`, { method: 'POST' })).status, 403);
});
