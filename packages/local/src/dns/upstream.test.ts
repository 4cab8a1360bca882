import assert from 'node:assert/strict';
import { it } from 'node:test';
import { exchangeWith } from './upstream.ts';

it('a name server that there is no way to is no answer', async () => {
  // An IPv6 address of another interface's scope, and the address that nothing may be sent to: connect() fails with both.
  assert.equal(await exchangeWith(['fe80::1', '255.255.255.255'], Buffer.alloc(16)), undefined);
});
