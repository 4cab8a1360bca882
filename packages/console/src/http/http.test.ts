import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { isOwnPage, sessionCookie, sessionIdOf } from '../session/cookie.ts';
import { namespacesParam, numberParam } from './query.ts';
import { RateLimit } from './rate-limit.ts';
import { Router } from './router.ts';

const request = (headers: Readonly<Record<string, string>>, encrypted = false): IncomingMessage =>
  ({ headers, socket: { encrypted } }) as unknown as IncomingMessage;

test('routes', () => {
  const handle = async () => undefined;
  const router = new Router([
    { method: 'GET', path: '/api/config', handle },
    { method: 'POST', path: '/api/config/check', handle },
    { method: 'GET', path: '/api/config/:kind/:namespace/:name', handle },
  ]);
  const found = router.find('GET', '/api/config/Gateway/a%2eb/c');
  assert.deepEqual(found && 'params' in found && found.params, { kind: 'Gateway', namespace: 'a.b', name: 'c' });
  assert.deepEqual(router.find('DELETE', '/api/config'), { methods: ['GET'] });
  assert.equal(router.find('GET', '/api/nothing'), undefined);
  assert.equal(router.find('GET', '/api/config/%zz/a/b'), undefined);
  assert.equal(router.find('GET', '/api/config//a/b'), undefined);
  assert.ok(router.find('HEAD', '/api/config'));
});

test('only our own pages, and programs that say so, may change something', () => {
  const own = (headers: Readonly<Record<string, string>>): boolean =>
    isOwnPage(request({ host: 'console:20001', ...headers }));
  assert.equal(own({ 'sec-fetch-site': 'same-origin' }), true);
  for (const site of ['cross-site', 'same-site', 'none']) assert.equal(own({ 'sec-fetch-site': site }), false);
  assert.equal(own({ origin: 'http://console:20001' }), true);
  assert.equal(own({ origin: 'http://evil.example' }), false);
  assert.equal(own({ origin: 'null' }), false);
  assert.equal(own({ origin: 'https://mesh.example', 'x-forwarded-host': 'mesh.example' }), true);
  assert.equal(own({}), false);
  assert.equal(own({ 'x-istio-console': '1' }), true);
  // A page of another site may not set the header, but what the browser says counts first anyway.
  assert.equal(own({ 'x-istio-console': '1', 'sec-fetch-site': 'cross-site' }), false);
});

test('the cookie is for our server only, and over HTTPS only where that is spoken', () => {
  assert.equal(
    sessionCookie(request({}), 'x'.repeat(30)),
    `istio-console-session=${'x'.repeat(30)}; Path=/; HttpOnly; SameSite=Strict`,
  );
  assert.match(sessionCookie(request({}, true), 'y'), /; Secure$/);
  assert.match(sessionCookie(request({ 'x-forwarded-proto': 'https' }), undefined), /Max-Age=0$/);
  assert.equal(sessionIdOf(request({ cookie: `a=b; istio-console-session=${'z'.repeat(43)}` })), 'z'.repeat(43));
  assert.equal(sessionIdOf(request({ cookie: 'istio-console-session=short' })), undefined);
});

test('so many attempts in a time, and no more keys than fit', () => {
  const limit = new RateLimit(2, 1000);
  assert.deepEqual(
    [0, 1, 2, 3].map((now) => limit.attempt('a', now)),
    [0, 0, 998, 997],
  );
  assert.equal(limit.attempt('b', 3), 0);
  assert.equal(limit.attempt('a', 1000), 0);
  limit.succeeded('a');
  assert.equal(limit.attempt('a', 1001), 0);
  for (let at = 0; at < RateLimit.maxKeys * 2; at++) limit.attempt(`key-${at}`, 2000);
});

test('what cannot be a name or a number is refused', () => {
  assert.deepEqual(namespacesParam(new URLSearchParams('namespaces=a,b,,a')), ['a', 'b']);
  assert.throws(() => namespacesParam(new URLSearchParams('namespaces=a"}')), { status: 400 });
  assert.equal(numberParam(new URLSearchParams('d=30'), 'd', { min: 10, max: 60 }, 1), 30);
  assert.equal(numberParam(new URLSearchParams(), 'd', { min: 10, max: 60 }, undefined), undefined);
  for (const text of ['NaN', '1e99', '-1', 'x'])
    assert.throws(() => numberParam(new URLSearchParams({ d: text }), 'd', { min: 0, max: 60 }, 1), { status: 400 });
});
