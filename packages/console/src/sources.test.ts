import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { KubeObject } from '@istio-ts/kube';
import { createRootCertificate, loadAuthority } from '@istio-ts/security';
import type { ApiError, Explanation, ProxyDetail, ProxyList, Trace, TraceList } from './api.ts';
import { deployment, meshed, namespace } from './mesh/objects.test-support.ts';
import type { RunningConsole } from './server.ts';
import { ask, listen, startTestCluster, type TestCluster } from './server.test-support.ts';

const dump = readFileSync(
  join(import.meta.dirname, '..', '..', 'istioctl', 'src', 'proxy-config', 'testdata', 'sidecar.json'),
  'utf8',
);

/** Answers with texts by path; what it does not know is not found. */
function answering(answers: Readonly<Record<string, string | (() => string)>>): {
  readonly server: Server;
  readonly asked: string[];
} {
  const asked: string[] = [];
  const server = createServer((request: IncomingMessage, response) => {
    const url = request.url ?? '';
    asked.push(`${request.method} ${url}`);
    const answer = Object.entries(answers).find(([path]) => url === path || url.startsWith(`${path}?`))?.[1];
    response.statusCode = answer === undefined ? 404 : 200;
    response.setHeader('content-type', 'application/json');
    response.end(typeof answer === 'function' ? answer() : (answer ?? '{}'));
  });
  return { server, asked };
}

const status = (proxy: string) => ({
  cluster_id: 'Kubernetes',
  proxy,
  proxy_type: 'sidecar',
  istio_version: '1.30.0',
  cluster_sent: 'a',
  cluster_acked: 'a',
  listener_sent: 'b',
  listener_acked: 'a',
});

const span = (id: string, process: string, parent?: string) => ({
  spanID: id,
  processID: process,
  operationName: 'op',
  startTime: 1_700_000_000_000_000,
  duration: 1000,
  tags: [{ key: 'secret', value: `of ${process}` }],
  ...(parent !== undefined && { references: [{ refType: 'CHILD_OF', spanID: parent }] }),
});

const trace = {
  traceID: 'abc123',
  processes: { p1: { serviceName: 'web.shop' }, p2: { serviceName: 'pay.bank' } },
  spans: [span('a', 'p1'), span('b', 'p2', 'a')],
};

describe('proxies and traces', () => {
  let cluster: TestCluster;
  let console: RunningConsole;
  let admin: string;
  let watcher: string;
  let developer: string;
  const istiod = answering({
    '/debug/syncz': JSON.stringify([status('web-v1-abc12-x1.shop'), status('pay-v1-abc12-x1.bank')]),
    '/debug/adsz': JSON.stringify({
      connectedClients: [
        {
          connectionId: 'sidecar~1~web-v1-abc12-x1.shop~x-1',
          rejections: [{ type: 'LDS', message: 'no such filter' }],
        },
      ],
    }),
    '/debug/config_dump': dump,
  });
  const envoy = answering({ '/config_dump': dump, '/logging': 'active loggers:\n  http: debug\n' });
  const jaeger = answering({
    '/jaeger/api/services': JSON.stringify({ data: ['pay.bank', 'web.shop', 'jaeger-query'] }),
    '/jaeger/api/traces': JSON.stringify({ data: [trace] }),
    '/jaeger/api/traces/abc123': JSON.stringify({ data: [trace] }),
  });
  const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

  before(async () => {
    const ports = new Map([
      [8080, await listen(istiod.server)],
      [15000, await listen(envoy.server)],
    ]);
    cluster = await startTestCluster(ports);
    const role = (name: string, rules: readonly object[]): KubeObject => ({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name },
      rules,
    });
    const pod = { apiGroups: [''], resources: ['pods', 'namespaces'], verbs: ['get', 'list'] };
    const forward = { apiGroups: [''], resources: ['pods/portforward'], verbs: ['get', 'create'] };
    await cluster.create(
      namespace('istio-system'),
      meshed('shop'),
      meshed('bank'),
      ...deployment('shop', 'web', 'v1'),
      ...deployment('bank', 'pay', 'v1'),
      ...deployment('istio-system', 'istiod', undefined),
      role('pods', [pod]),
      role('forwards', [forward]),
    );
    admin = await cluster.token('admin', 'cluster-admin');
    // Sees all pods, and reaches those of the control plane only.
    watcher = await cluster.token('watcher', 'pods');
    await cluster.bind('watcher', 'forwards', 'istio-system');
    developer = await cluster.token('developer', 'pods', 'shop');
    console = await cluster.console([`--tracing-url=http://127.0.0.1:${await listen(jaeger.server)}/jaeger`]);
  });
  after(async () => {
    await cluster?.close();
    for (const { server } of [istiod, envoy, jaeger]) server.close();
  });

  test('the state of all proxies, and what they have rejected', async () => {
    const { json, status: code } = await ask<ProxyList>(console.port, '/api/proxies', bearer(admin));
    assert.equal(code, 200);
    assert.deepEqual(
      json.items.map(({ pod, sync, message }) => [pod, sync.LDS, message]),
      [
        ['pay-v1-abc12-x1', 'STALE', undefined],
        ['web-v1-abc12-x1', 'ERROR', 'LDS rejected: no such filter'],
      ],
    );
    const none = await ask(console.port, '/api/proxies', bearer(developer));
    assert.equal(none.status, 403);
  });

  test('the configuration of a proxy: of itself, or of istiod for those who may not reach it', async () => {
    const own = await ask<ProxyDetail>(console.port, '/api/proxies/shop/web-v1-abc12-x1', bearer(admin));
    assert.equal(own.status, 200, own.text);
    assert.deepEqual(own.json.logLevels, { http: 'debug' });
    assert.ok(own.json.clusters.length > 0 && own.json.listeners.length > 0 && own.json.routes.length > 0);
    assert.ok(own.json.certificates.length > 0);
    assert.ok(envoy.asked.includes('POST /logging'));

    const told = await ask<ProxyDetail>(console.port, '/api/proxies/shop/web-v1-abc12-x1', bearer(watcher));
    assert.equal(told.status, 200, told.text);
    assert.match(told.json.message ?? '', /what istiod sends the proxy.*watcher.*pods\/portforward/);
    assert.equal(told.json.clusters.length, own.json.clusters.length);
    assert.ok(istiod.asked.includes('GET /debug/config_dump?proxyID=web-v1-abc12-x1.shop'));

    assert.equal((await ask(console.port, '/api/proxies/shop/web-v1-abc12-x1', bearer(developer))).status, 403);
    assert.equal((await ask(console.port, '/api/proxies/bank/pay-v1-abc12-x1', bearer(developer))).status, 403);
  });

  test('what happens to a request, by the configuration of the proxy that is asked', async () => {
    const explain = <T = Explanation>(body: object, token = admin) =>
      ask<T>(console.port, '/api/explain', { method: 'POST', body, ...bearer(token) });
    const request = {
      namespace: 'shop',
      pod: 'web-v1-abc12-x1',
      direction: 'outbound',
      method: 'get',
      url: 'http://nowhere.example:80/x',
      headers: { 'X-A': 'b' },
    };
    const { status: code, json, text } = await explain(request);
    assert.equal(code, 200, text);
    assert.equal(json.steps[0]?.stage, 'listener');
    assert.ok(json.steps.every((step) => step.text !== '' && Array.isArray(step.from)));
    assert.notEqual(json.summary, '');
    assert.match((await explain(request, watcher)).json.summary, /what istiod sends the proxy/);
    assert.equal((await explain(request, developer)).status, 403);
    for (const wrong of [
      { url: 'nowhere' },
      { direction: 'up' },
      { method: 'GET /' },
      { pod: '../x' },
      { caller: 'me' },
      { headers: { a: 1 } },
    ]) {
      const answer = await explain<ApiError>({ ...request, ...wrong });
      assert.deepEqual([answer.status, answer.json.field], [400, Object.keys(wrong)[0]], answer.text);
    }
  });

  test('traces: found by service; who sees one namespace sees its spans, and of others that they took time', async () => {
    const all = await ask<TraceList>(
      console.port,
      '/api/traces?service=shop/web&tags=a=b&minDuration=5&limit=3',
      bearer(admin),
    );
    assert.deepEqual(all.json.services, ['jaeger-query', 'pay.bank', 'web.shop']);
    assert.equal(all.json.items[0]?.spans, 2);
    const query = new URLSearchParams(jaeger.asked.at(-1)?.split('?')[1]);
    assert.deepEqual(
      [query.get('service'), query.get('tags'), query.get('minDuration'), query.get('limit')],
      ['web.shop', '{"a":"b"}', '5ms', '3'],
    );
    const mine = await ask<TraceList>(console.port, '/api/traces?service=shop/web', bearer(developer));
    assert.deepEqual(mine.json.services, ['web.shop']);
    assert.equal((await ask(console.port, '/api/traces?service=bank/pay', bearer(developer))).status, 403);
    const one = await ask<Trace>(console.port, '/api/traces/abc123', bearer(developer));
    assert.deepEqual(
      one.json.all.map(({ service, tags }) => [service, tags]),
      [
        ['web.shop', { secret: 'of p1' }],
        ['hidden', {}],
      ],
    );
    assert.equal((await ask(console.port, '/api/traces/..', bearer(admin))).status, 404);
    assert.equal((await ask(console.port, '/api/traces/xyz', bearer(admin))).status, 400);
    assert.equal((await ask(console.port, '/api/traces/fff', bearer(admin))).status, 404);
    assert.equal((await ask(console.port, '/api/traces?service=shop/web&tags=x', bearer(admin))).status, 400);
  });

  test('HTTPS, with a cookie that goes nowhere else', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'istio-ts-console-tls-'));
    const now = new Date();
    const authority = loadAuthority(createRootCertificate({ organization: 'test', now }));
    const issued = authority.issueServer({ dnsNames: ['console.test'], now });
    writeFileSync(join(folder, 'cert.pem'), issued.chain);
    writeFileSync(join(folder, 'key.pem'), issued.key);
    const secure = await cluster.console([
      `--tls-cert-file=${join(folder, 'cert.pem')}`,
      `--tls-key-file=${join(folder, 'key.pem')}`,
    ]);
    const cookie = await new Promise<string>((resolve, reject) => {
      const body = JSON.stringify({ token: admin });
      const outgoing = httpsRequest(
        {
          host: '127.0.0.1',
          port: secure.port,
          path: '/api/login',
          method: 'POST',
          agent: false,
          servername: 'console.test',
          ca: issued.root,
          headers: {
            'x-istio-console': '1',
            'content-type': 'application/json',
            'content-length': Buffer.byteLength(body),
          },
        },
        (response) => {
          response.resume();
          resolve(String(response.headers['set-cookie']?.[0]));
        },
      );
      outgoing.on('error', reject);
      outgoing.end(body);
    });
    rmSync(folder, { recursive: true, force: true });
    assert.match(cookie, /; HttpOnly; SameSite=Strict; Secure$/);
  });
});
