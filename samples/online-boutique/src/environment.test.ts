import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressFrom, durationMs, portFrom } from './environment.ts';

test('durations in the notation of Go', () => {
  assert.equal(durationMs('3s'), 3000);
  assert.equal(durationMs('5.5s'), 5500);
  assert.equal(durationMs('1m30s'), 90_000);
  assert.throws(() => durationMs('three'), /'three' is not a duration/);
  assert.throws(() => durationMs('3s!'), /not a duration/);
});

test('ports and addresses name the variable that is wrong', () => {
  assert.equal(portFrom({}, 8080), 8080);
  assert.throws(() => portFrom({ PORT: 'http' }, 1), /PORT must be a number/);
  assert.throws(() => addressFrom({}, 'CART_SERVICE_ADDR'), /CART_SERVICE_ADDR is not set/);
});
