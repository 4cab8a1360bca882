import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { add, exchange, format, multiply } from './money.ts';

const usd = (units: number, nanos = 0) => ({ currencyCode: 'USD', units, nanos });
const nanosOf = (m: { units: number; nanos: number }) => BigInt(m.units) * 1_000_000_000n + BigInt(m.nanos);

test('adding carries nanos into units', () => {
  assert.deepEqual(add(usd(1, 600_000_000), usd(2, 500_000_000)), usd(4, 100_000_000));
});

test('adding other currencies is refused', () => {
  assert.throws(() => add(usd(1), { currencyCode: 'EUR', units: 1, nanos: 0 }), /convert one of them first/);
});

test('multiplying is repeated adding', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 10_000 }),
      fc.integer({ min: 0, max: 999_999_999 }),
      fc.integer({ min: 0, max: 50 }),
      (units, nanos, times) => {
        const product = multiply(usd(units, nanos), times);
        assert.equal(nanosOf(product), nanosOf(usd(units, nanos)) * BigInt(times));
        assert.ok(Math.abs(product.nanos) < 1_000_000_000);
      },
    ),
  );
});

test('exchange and formatting', () => {
  assert.deepEqual(exchange(usd(10), 0.5, 'EUR'), { currencyCode: 'EUR', units: 5, nanos: 0 });
  assert.equal(format(usd(19, 990_000_000)), '$19.99');
});
