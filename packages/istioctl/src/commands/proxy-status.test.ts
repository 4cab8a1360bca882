import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isProxyOf } from './proxy-status.ts';

test('proxy-status -n shows the proxies of that namespace only', () => {
  assert.equal(isProxyOf('cart-1.shop', 'shop'), true);
  assert.equal(isProxyOf('cart-1.shop', 'hop'), false);
  assert.equal(isProxyOf('web.shop.blog', 'shop'), false, 'names of pods may have dots');
  assert.equal(isProxyOf('cart-1.shop', undefined), true);
});
