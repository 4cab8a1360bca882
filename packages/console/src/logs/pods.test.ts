import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { ApiError, LogLine } from '../api.ts';
import { ask } from '../server.test-support.ts';
import { bearer, startShop } from '../shop.test-support.ts';

/** Logs of pods, one by one and those of a workload together. */

const { open, closed, developer, close } = await startShop();
after(close);

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
