import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import fc from 'fast-check';
import type { ApiError, Session } from './api.ts';
import { ask } from './server.test-support.ts';
import { startShop } from './shop.test-support.ts';

/** A console as an HTTP server: its pages, what watches it, and what it does with wrong requests. */

const { cluster, prometheus, open, close } = await startShop();
after(close);

test('pages: unchanged answers, packed answers, strict about what browsers may load', async () => {
  const page = await ask(open.port, '/');
  assert.equal(page.status, 200);
  assert.match(String(page.headers['content-security-policy']), /default-src 'none'; script-src 'self';/);
  assert.equal(page.headers['x-content-type-options'], 'nosniff');
  const again = await ask(open.port, '/', { headers: { 'if-none-match': String(page.headers.etag) } });
  assert.equal(again.status, 304);
  const packed = await ask(open.port, '/', { headers: { 'accept-encoding': 'gzip' } });
  assert.equal(packed.headers['content-encoding'], 'gzip');
  assert.notEqual(packed.headers.etag, page.headers.etag);
  const script = await ask(open.port, '/assets/main-ABCDEFGH.js');
  assert.match(String(script.headers['cache-control']), /immutable/);
  // The pages make their own paths.
  assert.match((await ask(open.port, '/graph/shop')).text, /<title>Console/);
  assert.equal((await ask(open.port, '/missing.js')).status, 404);
  assert.equal((await ask(open.port, '/../../etc/passwd')).text.includes('root:'), false);
  assert.equal((await ask(open.port, '/%2e%2e/%2e%2e/etc/passwd')).text.includes('root:'), false);
});

test('health, metrics and the places of Kiali and Grafana', async () => {
  assert.equal((await ask(open.port, '/healthz')).text, 'ok\n');
  const kiali = await ask(open.port, '/kiali');
  assert.equal(`${kiali.status} ${kiali.headers.location}`, '302 /');
  assert.equal((await ask(open.port, '/d/mesh/istio-mesh')).headers.location, '/dashboards/mesh');
  assert.match((await ask(open.port, '/metrics')).text, /console_requests_total\{.*code="302".*\} \d+/);
  const grafana = await cluster.console(['--page=dashboards', '--auth-strategy=anonymous']);
  assert.equal((await ask(grafana.port, '/')).headers.location, '/dashboards');
  assert.equal((await ask<{ readonly database: string }>(grafana.port, '/api/health')).json.database, 'ok');
  const asking = await cluster.console([
    `--grafana-url=http://127.0.0.1:${grafana.port}`,
    `--loki-url=http://127.0.0.1:${prometheus.port}`,
    '--auth-strategy=anonymous',
  ]);
  const { json } = await ask<Session>(asking.port, '/api/session');
  assert.deepEqual(
    json.addons.slice(2).map(({ name, state }) => `${name} ${state}`),
    ['grafana built-in', 'loki real'],
  );
});

test('metrics on a port of their own, as Kiali has them', async () => {
  const probe = createServer();
  const port = await new Promise<number>((resolve) =>
    probe.listen(0, '127.0.0.1', () => resolve((probe.address() as AddressInfo).port)),
  );
  await new Promise((resolve) => probe.close(resolve));
  const console = await cluster.console([`--metrics-port=${port}`, '--auth-strategy=anonymous']);
  assert.match((await ask(port, '/metrics')).text, /^# /);
  assert.equal((await ask(port, '/api/session')).status, 404);
  assert.equal((await ask(console.port, '/kiali/healthz')).text, 'ok\n');
});

test('what is not there says so', async () => {
  const traces = await ask<ApiError>(open.port, '/api/traces');
  assert.equal(traces.status, 502);
  assert.match(traces.json.message, /There are no traces: .* addons\/jaeger.yaml/);
  const proxies = await ask<ApiError>(open.port, '/api/proxies');
  assert.equal(proxies.status, 503);
  assert.match(proxies.json.message, /no istiod runs in namespace istio-system/);
  assert.equal((await ask(open.port, '/api/nothing')).status, 404);
  const wrong = await ask(open.port, '/api/graph', { method: 'DELETE' });
  assert.equal(`${wrong.status} ${wrong.headers.allow}`, '405 GET');
});

test('bodies that are too large are refused before they are read', async () => {
  const answer = await ask(open.port, '/api/config/check', {
    method: 'POST',
    body: { yaml: 'x'.repeat(5 << 20) },
  }).catch((error: NodeJS.ErrnoException) => error);
  // The server may close the connection while the client still sends.
  if (answer instanceof Error) assert.match(String(answer.code), /ECONNRESET|EPIPE/);
  else assert.equal(answer.status, 413);
});

test('no body makes the console fail', async () => {
  const paths = ['/api/login', '/api/config', '/api/config/check', '/api/explain', '/api/logout'] as const;
  const yaml = fc.oneof(
    fc.string(),
    fc.json(),
    fc.constantFrom(
      'null',
      'a: &a [*a]',
      '<<: 1',
      '- - -',
      'kind: List\nitems: [1]',
      'apiVersion: v1\nkind: x\nmetadata: {name: 1}',
    ),
    fc
      .record({
        apiVersion: fc.constant('networking.istio.io/v1'),
        kind: fc.constantFrom('Gateway', 'VirtualService', 'Sidecar'),
        metadata: fc.anything(),
        spec: fc.anything(),
      })
      .map((object) => JSON.stringify(object) ?? ''),
  );
  const body = fc.oneof(
    fc.string(),
    fc.json(),
    fc
      .record({ yaml, resourceVersion: fc.oneof(fc.string(), fc.integer()) }, { requiredKeys: [] })
      .map((value) => JSON.stringify(value)),
    fc.record({ token: fc.oneof(fc.string(), fc.anything()) }).map((value) => JSON.stringify(value) ?? ''),
  );
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...paths), body, async (path, text) => {
      const answer = await ask(open.port, path, { method: 'POST', body: text });
      assert.ok(answer.status < 500 || answer.status === 501, `${path} ${answer.status} ${answer.text} for ${text}`);
      assert.equal(typeof answer.json, 'object');
    }),
    { numRuns: 150 },
  );
  await fc.assert(
    fc.asyncProperty(fc.webPath(), fc.webQueryParameters(), async (path, query) => {
      const answer = await ask(open.port, `/api${path}?${query}`);
      assert.ok(answer.status < 500, `${path} ${answer.status} ${answer.text}`);
    }),
    { numRuns: 50 },
  );
  assert.equal((await ask(open.port, '/healthz')).status, 200);
});
