import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { ApiError, NamespaceList, Session } from '../api.ts';
import { ask } from '../server.test-support.ts';
import { bearer, destinationRule, login, startShop } from '../shop.test-support.ts';

/** Who asks a console, and what they may then see and do. */

const { cluster, open, closed, admin, developer, close } = await startShop();
after(close);

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
  const { answer, cookie } = await login(open.port, admin);
  assert.deepEqual([answer.status, answer.json.mayWrite], [200, true]);
  assert.match((await ask<Session>(open.port, '/api/session', { headers: { cookie } })).json.user ?? '', /:admin$/);
  assert.equal((await ask<Session>(open.port, '/api/session', { headers: bearer('nonsense') })).json.user, undefined);
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

  const { answer, cookie } = await login(closed.port, developer);
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
  const { cookie } = await login(closed.port, admin);
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
