import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unreachableText } from './pod-http.ts';

test('a port at which nothing listens is told without what the kubelet tried', () => {
  for (const detail of [
    'error forwarding port 15000 to pod: connect ECONNREFUSED 127.0.0.1:15000',
    'failed to connect to localhost:15000 inside namespace "x", IPv4: dial tcp4 127.0.0.1:15000: connect: connection refused',
  ]) {
    const text = unreachableText(
      'web.shop:15000',
      new Error(`Cannot forward to port 15000 of pod shop/web: ${detail}`),
    );
    assert.match(text, /^nothing listens at web\.shop:15000/);
    assert.doesNotMatch(text, /127\.0\.0\.1/);
  }
  assert.match(
    unreachableText('web.shop:15000', new Error('socket hang up')),
    /cannot reach web\.shop:15000: socket hang up/,
  );
});
