import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { DashboardList, DashboardName, Detail, Graph, ItemList, NamespaceList } from '../api.ts';
import { ask } from '../server.test-support.ts';
import { bearer, startShop } from '../shop.test-support.ts';

/** What a console shows of a mesh: the graph, lists, details, dashboards. */

const { cluster, prometheus, open, closed, close } = await startShop();
after(close);

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
  let modes = 0;
  const mode = async () => {
    const { json } = await ask<NamespaceList>(closed.port, '/api/namespaces', {
      headers: bearer(await cluster.token(`m${modes++}`, 'cluster-admin')),
    });
    return Object.fromEntries(json.items.map((item) => [item.name, item.mutualTls]));
  };
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
