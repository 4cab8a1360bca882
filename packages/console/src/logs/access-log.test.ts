import assert from 'node:assert/strict';
import { test } from 'node:test';
import { logLine, requestOf } from './access-log.ts';

test('lines of the default text format', () => {
  const line =
    '[2026-11-22T10:41:55.079Z] "GET /product/a b HTTP/1.1" 503 UF,URX upstream_reset - "delayed connect error: 111" 0 3639 33 30 "10.0.0.9" "curl/8 (x)" "id-1" "frontend" "10.244.0.8:8080" outbound|80||frontend.shop.svc.cluster.local 127.0.0.6:58928 10.244.0.8:8080 10.244.0.15:38146 - default';
  assert.deepEqual(requestOf(line), {
    method: 'GET',
    path: '/product/a b',
    status: 503,
    flags: 'UF,URX',
    durationMs: 33,
    upstream: 'outbound|80||frontend.shop.svc.cluster.local',
    authority: 'frontend',
  });
});

test('connections have no request line', () => {
  const line =
    '[2026-11-22T10:41:55.079Z] "- - -" 0 - - - "-" 120 300 5012 - "-" "-" "-" "-" "10.244.0.8:6379" outbound|6379||redis.shop.svc.cluster.local 10.0.0.1:1 10.0.0.2:2 10.0.0.3:3 - -';
  assert.deepEqual(requestOf(line), {
    method: '',
    path: '',
    status: 0,
    flags: '',
    durationMs: 5012,
    upstream: 'outbound|6379||redis.shop.svc.cluster.local',
    authority: '',
  });
});

test('lines of the JSON format', () => {
  const line = JSON.stringify({
    authority: 'reviews:9080',
    duration: 7,
    method: 'GET',
    path: '/reviews/0',
    response_code: 200,
    response_flags: '-',
    upstream_cluster: 'inbound|9080||',
    upstream_host: '10.0.0.1:9080',
  });
  assert.deepEqual(requestOf(line), {
    method: 'GET',
    path: '/reviews/0',
    status: 200,
    flags: '',
    durationMs: 7,
    upstream: 'inbound|9080||',
    authority: 'reviews:9080',
  });
});

test('everything else is a line of text', () => {
  for (const line of ['', '[info] started', '{"level":"info"}', '{not json', '[] "', 'GET / 200'])
    assert.equal(requestOf(line), undefined);
});

test('the time that the kubelet puts before a line', () => {
  assert.deepEqual(logLine('app', '2026-11-22T10:41:55.079123456Z hello  world'), {
    time: Date.parse('2026-11-22T10:41:55.079Z'),
    container: 'app',
    text: 'hello  world',
  });
  assert.deepEqual(logLine('app', 'hello'), { container: 'app', text: 'hello' });
  assert.deepEqual(logLine('app', '2026-11-22T10:41:55Z'), {
    time: Date.parse('2026-11-22T10:41:55Z'),
    container: 'app',
    text: '',
  });
});

test('a line of any length is read in time that grows with its length', () => {
  const long = `[x] "${'a '.repeat(100_000)}`;
  assert.equal(requestOf(long), undefined);
});
