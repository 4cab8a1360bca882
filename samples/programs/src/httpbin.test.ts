import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { httpbin } from './httpbin.ts';

const server = createServer((request, response) => void httpbin(request, response));
let base = '';
before(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => server.close());

test('shows what was sent', async () => {
  const answer = (await (
    await fetch(`${base}/anything/x?a=1&a=2`, { method: 'PUT', body: '{"k":1}', headers: { 'x-one': 'two' } })
  ).json()) as Record<string, unknown>;
  assert.deepEqual(answer.args, { a: ['1', '2'] });
  assert.deepEqual(answer.json, { k: 1 });
  assert.equal(answer.method, 'PUT');
  assert.equal((answer.headers as Record<string, string>)['X-One'], 'two');
});

test('has a page', async () => {
  const answer = await fetch(`${base}/html`);
  assert.match(answer.headers.get('content-type') ?? '', /^text\/html/);
  assert.match(await answer.text(), /<h1>/);
});

test('answers with the wanted status', async () => {
  assert.equal((await fetch(`${base}/status/418`)).status, 418);
  assert.equal((await fetch(`${base}/status/abc`)).status, 400);
  assert.equal((await fetch(`${base}/nothing`)).status, 404);
});

test('sends the wanted headers and redirects', async () => {
  assert.equal((await fetch(`${base}/response-headers?x-a=b`)).headers.get('x-a'), 'b');
  assert.equal((await fetch(`${base}/redirect/2`, { redirect: 'manual' })).headers.get('location'), '/redirect/1');
});
