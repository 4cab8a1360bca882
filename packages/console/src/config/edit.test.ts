import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { ApiError, CheckResult, ConfigDetail } from '../api.ts';
import { ask } from '../server.test-support.ts';
import { bearer, destinationRule, startShop } from '../shop.test-support.ts';

/** Configuration as the console writes and checks it. */

const { open, closed, developer, close } = await startShop();
after(close);

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
