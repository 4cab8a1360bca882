import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogScopes } from '../log-scopes.ts';
import { controlZRoutes } from './controlz.ts';

function scopes() {
  const made = new LogScopes({ outputLevels: new Map(), stackTraceLevels: new Map(), callers: new Set() });
  made.register('ads', 'Proxies');
  const routes = controlZRoutes({ version: '1', args: [], env: {}, scopes: made, uptimeSeconds: () => 0 });
  const ask = async (method: string, path: string, body = '') => {
    const handler = routes[path] ?? routes['/scopej/'];
    assert.ok(handler);
    const answer = await handler({
      method,
      path,
      query: new URLSearchParams(),
      headers: {},
      body: Buffer.from(body),
      remoteAddress: '127.0.0.1',
    });
    return { status: answer.status, body: String(answer.body) };
  };
  return { made, ask };
}

test('scopes are listed and changed', async () => {
  const { made, ask } = scopes();
  const all = JSON.parse((await ask('GET', '/scopej/')).body) as { name: string }[];
  assert.deepEqual(
    all.map(({ name }) => name),
    ['ads', 'default'],
  );
  const { status, body } = await ask('PUT', '/scopej/ads', '{"name":"ads","output_level":"debug"}');
  assert.equal(status, 202);
  assert.equal(JSON.parse(body).output_level, 'debug');
  assert.equal(made.get('ads')?.outputLevel, 'debug');
  assert.equal(made.get('ads')?.stackTraceLevel, 'none');
});

test('what cannot be done changes nothing', async () => {
  const { made, ask } = scopes();
  assert.equal((await ask('PUT', '/scopej/none', '{}')).status, 404);
  assert.equal((await ask('PUT', '/scopej/ads', 'x')).status, 400);
  assert.equal((await ask('PUT', '/scopej/ads', '{"output_level":"loud","stack_trace_level":"debug"}')).status, 400);
  assert.equal((await ask('DELETE', '/scopej/ads')).status, 405);
  assert.equal(made.get('ads')?.outputLevel, 'info');
  assert.equal(made.get('ads')?.stackTraceLevel, 'none');
});
