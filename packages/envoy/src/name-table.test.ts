import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeNameTable, encodeNameTable } from './name-table.ts';

test('a table of names survives its encoding', () => {
  const table = new Map([
    [
      'web.shop.svc.cluster.local',
      { ips: ['10.0.0.1', 'fd00::1'], registry: 'Kubernetes', shortname: 'web', namespace: 'shop' },
    ],
    ['*.example.test', { ips: ['240.240.0.1'], registry: 'External', shortname: '', namespace: 'shop' }],
  ]);
  const bytes = encodeNameTable(table);
  assert.deepEqual(decodeNameTable(bytes), table);
  // The first entry as protobuf has it: map entry, key, value.
  assert.equal(bytes[0], 0x0a);
  assert.equal(Buffer.from(bytes.subarray(4, 4 + 26)).toString(), 'web.shop.svc.cluster.local');
  assert.deepEqual(decodeNameTable(new Uint8Array()), new Map());
  assert.throws(() => decodeNameTable(bytes.subarray(0, 20)), /ends too early/);
});
