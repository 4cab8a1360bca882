import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import type {
  ApiError,
  CheckResult,
  ConfigDetail,
  DashboardList,
  DashboardName,
  Detail,
  Graph,
  ItemList,
  LogLine,
  NamespaceList,
  Session,
} from './api.ts';
import { deployment, meshed, namespace, service } from './mesh/objects.test-support.ts';
import type { RunningConsole } from './server.ts';
import { ask, fakePrometheus, startTestCluster, type TestCluster } from './server.test-support.ts';

const destinationRule = (connections: number, more = ''): string => `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: api
  namespace: shop
spec:
  host: api
  trafficPolicy:
    connectionPool:
      tcp:
        maxConnections: ${connections}
${more}`;

describe('a console on an API server', () => {
  let cluster: TestCluster;
  let prometheus: Awaited<ReturnType<typeof fakePrometheus>>;
  let open: RunningConsole & { readonly log: string[] };
  let closed: RunningConsole & { readonly log: string[] };
  let admin: string;
  let developer: string;

  before(async () => {
    cluster = await startTestCluster();
    prometheus = await fakePrometheus([
      { from: 'shop/web-v1@v1', to: 'shop/api-v1@v1', service: 'shop/api', rate: 8 },
      { from: 'shop/web-v1@v1', to: 'shop/api-v1@v1', service: 'shop/api', rate: 2, code: '500' },
      { from: 'shop/web-v1@v1', to: 'bank/pay-v1@v1', service: 'bank/pay', rate: 1 },
    ]);
    await cluster.create(
      meshed('shop'),
      meshed('bank'),
      namespace('istio-system'),
      ...deployment('shop', 'web', 'v1'),
      ...deployment('shop', 'api', 'v1'),
      ...deployment('bank', 'pay', 'v1'),
      service('shop', 'api'),
      service('bank', 'pay'),
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'ClusterRole',
        metadata: { name: 'shop-developer' },
        rules: [
          { apiGroups: ['', 'apps'], resources: ['*'], verbs: ['get', 'list'] },
          { apiGroups: ['networking.istio.io'], resources: ['*'], verbs: ['*'] },
        ],
      } as never,
    );
    admin = await cluster.token('admin', 'cluster-admin');
    developer = await cluster.token('developer', 'shop-developer', 'shop');
    const flags = [`--prometheus-url=http://127.0.0.1:${prometheus.port}`, '--tracing-url=http://127.0.0.1:1/jaeger'];
    open = await cluster.console([...flags, '--auth-strategy=anonymous']);
    closed = await cluster.console(flags);
  });
  after(async () => {
    await cluster?.close();
    prometheus?.close();
  });

  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
  const login = async (token: string) => {
    const answer = await ask<Session>(closed.port, '/api/login', { method: 'POST', body: { token } });
    return { answer, cookie: String(answer.headers['set-cookie']?.[0] ?? '').split(';')[0] ?? '' };
  };

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

  test('nobody in particular reads, and changes nothing', async () => {
    const { json } = await ask<Session>(open.port, '/api/session');
    assert.equal(json.user, 'anonymous');
    assert.equal(json.mayWrite, false);
    assert.deepEqual(
      json.addons.map(({ name, state }) => `${name} ${state}`),
      ['prometheus real', 'tracing absent', 'grafana absent', 'loki absent'],
    );
    for (const [method, path] of [
      ['POST', '/api/config'],
      ['PUT', '/api/config/DestinationRule/shop/api'],
      ['DELETE', '/api/config/DestinationRule/shop/api'],
    ] as const)
      assert.equal((await ask(open.port, path, { method, body: { yaml: destinationRule(1) } })).status, 403);
    // Who gives a token is somebody, here too.
    const answer = await ask<Session>(open.port, '/api/login', { method: 'POST', body: { token: admin } });
    assert.deepEqual([answer.status, answer.json.mayWrite], [200, true]);
    const cookie = String(answer.headers['set-cookie']?.[0] ?? '').split(';')[0] ?? '';
    assert.match((await ask<Session>(open.port, '/api/session', { headers: { cookie } })).json.user ?? '', /:admin$/);
    assert.equal((await ask<Session>(open.port, '/api/session', { headers: bearer('nonsense') })).json.user, undefined);
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

  test('with tokens: who has none learns nothing, who has one sees what they may', async () => {
    const session = await ask<Session>(closed.port, '/api/session');
    assert.deepEqual([session.json.user, session.json.addons, session.json.meshVersions], [undefined, [], []]);
    for (const path of [
      '/api/namespaces',
      '/api/graph',
      '/api/config',
      '/api/dashboards',
      '/api/proxies',
      '/api/query?query=up',
    ])
      assert.equal((await ask(closed.port, path)).status, 401, path);

    const { answer, cookie } = await login(developer);
    assert.equal(answer.status, 200);
    assert.match(String(answer.headers['set-cookie']?.[0]), /HttpOnly; SameSite=Strict$/);
    assert.equal(answer.text.includes(developer), false);
    assert.equal(answer.json.user, 'system:serviceaccount:default:developer');
    assert.equal(answer.json.mayWrite, true);
    const mine = { headers: { cookie } };
    const namespaces = await ask<NamespaceList>(closed.port, '/api/namespaces', mine);
    assert.deepEqual(
      namespaces.json.items.map(({ name }) => name),
      ['shop'],
    );
    assert.equal((await ask(closed.port, '/api/graph?namespaces=bank', mine)).status, 403);
    assert.equal((await ask(closed.port, '/api/workloads/bank/pay-v1', mine)).status, 403);
    assert.equal((await ask(closed.port, '/api/config/DestinationRule/bank/x', mine)).status, 403);
    // Metrics know no namespaces, so queries of one's own are for those who see all.
    assert.equal((await ask(closed.port, '/api/query?query=up', mine)).status, 403);
    assert.equal((await ask(closed.port, '/api/query?query=up', { headers: bearer(admin) })).status, 200);

    await ask(closed.port, '/api/logout', { method: 'POST', ...mine });
    assert.equal((await ask(closed.port, '/api/namespaces', mine)).status, 401);
    assert.equal(closed.log.join('\n').includes(developer), false);
  });

  test('other sites cannot change anything, nor log somebody in', async () => {
    const { cookie } = await login(admin);
    const others: readonly Readonly<Record<string, string>>[] = [
      { origin: 'http://evil.example' },
      { 'sec-fetch-site': 'cross-site' },
    ];
    for (const headers of others) {
      const put = await ask<ApiError>(closed.port, '/api/config', {
        method: 'POST',
        body: { yaml: destinationRule(1) },
        headers: { cookie, ...headers },
      });
      assert.equal(put.status, 403);
      assert.match(put.json.message, /another site/);
      assert.equal(
        (await ask(closed.port, '/api/login', { method: 'POST', body: { token: admin }, headers })).status,
        403,
      );
    }
    const form = await ask(closed.port, '/api/config', {
      method: 'POST',
      body: 'yaml=x',
      headers: { cookie, 'content-type': 'application/x-www-form-urlencoded' },
    });
    assert.equal(form.status, 415);
  });

  test('the graph: four queries, whatever there is to see', async () => {
    const before = prometheus.queries.length;
    const { json, status } = await ask<Graph>(open.port, '/api/graph?namespaces=shop&type=versionedApp&duration=77');
    assert.equal(status, 200);
    assert.equal(prometheus.queries.length - before, 4);
    assert.deepEqual(
      json.edges.map(({ id }) => id),
      [
        'app:shop/web/v1 service:bank/pay http',
        'app:shop/web/v1 service:shop/api http',
        'service:bank/pay app:bank/pay/v1 http',
        'service:shop/api app:shop/api/v1 http',
      ],
    );
    assert.equal((await ask(open.port, '/api/graph?type=nonsense')).status, 400);
    assert.equal((await ask(open.port, '/api/graph?namespaces=nowhere')).status, 403);
    assert.equal((await ask(open.port, '/api/graph?duration=1')).status, 400);
  });

  test('a graph without metrics shows what runs, and says what is missing', async () => {
    const blind = await cluster.console(['--prometheus-url=http://127.0.0.1:1', '--auth-strategy=anonymous']);
    const { json } = await ask<Graph>(blind.port, '/api/graph?namespaces=shop');
    assert.equal(json.nodes.length, 2);
    assert.match(json.warnings[0] ?? '', /There are no metrics: .*nothing listens there/);
    assert.equal((await ask(blind.port, '/api/query?query=up')).status, 502);
    const detail = await ask<Detail>(blind.port, '/api/workloads/shop/api-v1');
    assert.deepEqual([detail.status, detail.json.charts], [200, []]);
  });

  test('lists and details', async () => {
    const list = await ask<ItemList>(open.port, '/api/workloads?namespaces=shop');
    const api = list.json.items.find(({ name }) => name === 'api-v1');
    assert.equal(api?.traffic.requestsPerSecond, 10);
    assert.equal(api?.traffic.errorRate, 0.2);
    assert.equal(api?.health.state, 'failing');
    assert.deepEqual(api?.proxies, { ready: 1, total: 1 });
    const detail = await ask<Detail>(open.port, '/api/services/shop/api?duration=600');
    assert.equal(detail.status, 200);
    assert.deepEqual(detail.json.workloads, [{ kind: 'Deployment', namespace: 'shop', name: 'api-v1' }]);
    assert.ok(detail.json.charts.length >= 3);
    assert.deepEqual(
      detail.json.neighbours.nodes.map(({ id }) => id),
      ['service:shop/api', 'workload:shop/api-v1', 'workload:shop/web-v1'],
    );
    const app = await ask<Detail>(open.port, '/api/apps/shop/web');
    assert.equal(app.json.neighbours.edges.length, 2);
    assert.equal((await ask(open.port, '/api/services/shop/none')).status, 404);
    assert.equal((await ask(open.port, '/api/services/shop/..%2f..')).status, 400);
  });

  test('namespaces summed up, with the mode of mutual TLS that holds', async () => {
    const mode = async () => {
      const { json } = await ask<NamespaceList>(closed.port, '/api/namespaces', {
        headers: bearer(await cluster.token(`m${modes++}`, 'cluster-admin')),
      });
      return Object.fromEntries(json.items.map((item) => [item.name, item.mutualTls]));
    };
    let modes = 0;
    assert.equal((await mode()).shop, 'PERMISSIVE');
    const policy = (where: string, value: string) => ({
      apiVersion: 'security.istio.io/v1',
      kind: 'PeerAuthentication',
      metadata: { name: 'default', namespace: where },
      spec: { mtls: { mode: value } },
    });
    await cluster.create(policy('istio-system', 'STRICT'), policy('bank', 'DISABLE'));
    const found = await mode();
    assert.deepEqual([found.shop, found.bank, found.default], ['STRICT', 'DISABLE', 'STRICT']);
  });

  test('configuration: made, opened, changed, found stale, deleted', async () => {
    const mine = { headers: bearer(developer) };
    const path = '/api/config/DestinationRule/shop/api';
    const made = await ask(closed.port, '/api/config', {
      method: 'POST',
      body: { yaml: destinationRule(100) },
      ...mine,
    });
    assert.equal(made.status, 200, made.text);
    const opened = await ask<ConfigDetail>(closed.port, path, mine);
    assert.match(opened.json.yaml, /maxConnections: 100/);
    assert.doesNotMatch(opened.json.yaml, /managedFields|resourceVersion/);
    assert.deepEqual(opened.json.references, [{ kind: 'Service', namespace: 'shop', name: 'api' }]);
    const { resourceVersion } = opened.json;
    const changed = await ask<ConfigDetail>(closed.port, path, {
      method: 'PUT',
      body: { yaml: destinationRule(200), resourceVersion },
      ...mine,
    });
    assert.equal(changed.status, 200, changed.text);
    assert.match(changed.json.yaml, /maxConnections: 200/);
    const stale = await ask<ApiError>(closed.port, path, {
      method: 'PUT',
      body: { yaml: destinationRule(300), resourceVersion },
      ...mine,
    });
    assert.equal(stale.status, 409);
    assert.deepEqual(stale.json.object, { kind: 'DestinationRule', namespace: 'shop', name: 'api' });
    const other = await ask(closed.port, path, {
      method: 'PUT',
      body: { yaml: destinationRule(1).replace('name: api', 'name: other') },
      ...mine,
    });
    assert.equal(other.status, 422);
    const unknown = await ask<ApiError>(closed.port, path, {
      method: 'PUT',
      body: { yaml: destinationRule(1, '        nonsense: 1') },
      ...mine,
    });
    assert.equal(unknown.status, 400);
    assert.match(unknown.json.message, /nonsense/);
    // Elsewhere the API server says no, in its own words.
    const elsewhere = await ask<ApiError>(closed.port, '/api/config', {
      method: 'POST',
      body: { yaml: destinationRule(1).replace('namespace: shop', 'namespace: bank') },
      ...mine,
    });
    assert.equal(elsewhere.status, 403);
    assert.match(elsewhere.json.message, /developer/);
    assert.equal((await ask(closed.port, path, { method: 'DELETE', ...mine })).status, 200);
    assert.equal((await ask(closed.port, path, mine)).status, 404);
  });

  test('a console that is read only refuses even those who may', async () => {
    const fixed = await cluster.console(['--read-only']);
    const mine = { headers: bearer(admin) };
    assert.equal((await ask<Session>(fixed.port, '/api/session', mine)).json.mayWrite, false);
    const answer = await ask<ApiError>(fixed.port, '/api/config', {
      method: 'POST',
      body: { yaml: destinationRule(1) },
      ...mine,
    });
    assert.deepEqual([answer.status, /--read-only/.test(answer.json.message)], [403, true]);
  });

  test('checking: syntax, schema, and what the cluster has to do with it, with lines', async () => {
    const check = async (yaml: string) =>
      (await ask<CheckResult>(open.port, '/api/config/check', { method: 'POST', body: { yaml } })).json;
    const broken = await check('kind: [');
    assert.equal(broken.messages[0]?.code, 'YAML');
    assert.ok((broken.messages[0]?.column ?? 0) >= 1);
    const { object, messages } = await check(`apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: api
  namespace: shop
spec:
  hosts: [api]
  http:
  - route:
    - destination:
        host: api
        subset: none
    colour: red
`);
    assert.deepEqual(object, { kind: 'VirtualService', namespace: 'shop', name: 'api' });
    const short = messages.map(({ code, line, field }) => `${code} ${line} ${field}`);
    assert.ok(short.includes('IST0101 12 spec.http[0].route[0].destination.subset'), short.join());
    assert.ok(short.includes('IST0106 13 spec.http[0].colour'), short.join());
  });

  test('dashboards, and queries in Prometheus’ own form', async () => {
    assert.deepEqual((await ask<DashboardList>(open.port, '/api/dashboards')).json.items, [
      { uid: 'mesh', title: 'Mesh', description: '' },
    ]);
    assert.equal((await ask<DashboardName>(open.port, '/api/dashboards/mesh')).json.title, 'Mesh');
    assert.equal((await ask(open.port, '/api/dashboards/none')).status, 404);
    assert.match(open.log.join('\n'), /dashboard broken.json is left out/);
    const range = await ask<{ readonly data: { readonly resultType: string } }>(
      open.port,
      '/api/query_range?query=up&start=1000&end=1600&step=15',
    );
    assert.equal(range.json.data.resultType, 'matrix');
    assert.equal((await ask(open.port, '/api/query_range?query=up&start=0&end=1e9&step=1')).status, 400);
    assert.equal((await ask(open.port, '/api/query')).status, 400);
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

  test('logs as events', async () => {
    const { text, headers, status } = await ask(open.port, '/api/logs/shop/api-v1-abc12-x1?container=app');
    assert.equal(status, 200);
    assert.equal(headers['content-type'], 'text/event-stream; charset=utf-8');
    assert.match(text, /^data: \{.*"container":"app".*\}\n\n/);
    const both = await ask(open.port, '/api/logs/shop/api-v1-abc12-x1');
    assert.deepEqual(
      both.text
        .trim()
        .split('\n\n')
        .map((event) => JSON.parse(event.slice('data: '.length)).container)
        .sort(),
      ['app', 'istio-proxy'],
    );
    assert.equal((await ask(open.port, '/api/logs/shop/api-v1-abc12-x1?container=none')).status, 404);
    assert.equal((await ask(open.port, '/api/logs/shop/none')).status, 404);
  });

  test('logs of all pods of a workload, an application or a service together', async () => {
    const lines = async (query: string) => {
      const { text, status } = await ask(open.port, `/api/logs?${query}`);
      assert.equal(status, 200, text);
      return text
        .trim()
        .split('\n\n')
        .map((event) => JSON.parse(event.slice('data: '.length)) as LogLine)
        .map(({ pod, container }) => `${pod}/${container}`)
        .sort();
    };
    const both = ['api-v1-abc12-x1/app', 'api-v1-abc12-x1/istio-proxy'];
    assert.deepEqual(await lines('workload=shop/api-v1'), both);
    assert.deepEqual(await lines('app=shop/api'), both);
    assert.deepEqual(await lines('service=shop/api'), both);
    assert.deepEqual(await lines('service=shop/api&container=app&contains=LOG'), both.slice(0, 1));
    const refused = async (query: string, token?: string) => {
      const port = token === undefined ? open.port : closed.port;
      const headers = token === undefined ? {} : bearer(token);
      const { status, json } = await ask<ApiError>(port, `/api/logs?${query}`, { headers });
      return [status, json.message];
    };
    assert.deepEqual(await refused('app=shop/none'), [404, 'there is no app shop/none']);
    assert.deepEqual(await refused('app=shop/api&container=none'), [
      404,
      'app shop/api has no container "none": it has app, istio-proxy',
    ]);
    assert.equal((await refused('app=shop/api&workload=shop/api-v1'))[0], 400);
    assert.equal((await refused('app=shop/..%2f'))[0], 400);
    assert.equal((await refused('tail=5'))[0], 400);
    assert.deepEqual(await refused('app=bank/pay', developer), [
      403,
      'there is no namespace bank, or you may not look into it',
    ]);
  });

  test('wrong tokens are counted', async () => {
    const fresh = await cluster.console([]);
    const statuses: number[] = [];
    for (let at = 0; at < 12; at++)
      statuses.push((await ask(fresh.port, '/api/login', { method: 'POST', body: { token: `wrong-${at}` } })).status);
    assert.deepEqual([...new Set(statuses.slice(0, 10))], [401]);
    assert.deepEqual([...new Set(statuses.slice(10))], [429]);
    assert.equal(fresh.log.join('\n').includes('wrong-'), false);
    // By the other way too.
    const other = await cluster.console([]);
    const codes: number[] = [];
    for (let at = 0; at < 12; at++)
      codes.push((await ask(other.port, '/api/namespaces', { headers: bearer(`wrong-${at}`) })).status);
    assert.deepEqual([...new Set(codes.slice(0, 10)), ...new Set(codes.slice(10))], [401, 429]);
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
});
