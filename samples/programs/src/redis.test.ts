import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDatabase } from './redis.ts';
import { CommandReader, encodeReply } from './resp.ts';

test('hashes, counters and expiry', () => {
  let now = 1000;
  const call = createDatabase(() => now);
  assert.equal(call(['HINCRBY', 'cart:a', 'mug', '2']), 2);
  assert.equal(call(['hincrby', 'cart:a', 'mug', '3']), 5);
  assert.deepEqual(call(['HGETALL', 'cart:a']), ['mug', '5']);
  assert.equal(call(['EXPIRE', 'cart:a', '10']), 1);
  now += 10_001;
  assert.deepEqual(call(['HGETALL', 'cart:a']), []);
  assert.equal(call(['INCR', 'n']), 1);
  assert.match((call(['HGET', 'n', 'f']) as { error: string }).error, /WRONGTYPE/);
  assert.match((call(['GEOADD']) as { error: string }).error, /unknown command/);
});

test('commands arrive in pieces of any size', () => {
  const bytes = Buffer.from(
    '*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\nä\r\nPING\r\n'.replace('$2\r\nä', `$${Buffer.byteLength('ä')}\r\nä`),
  );
  for (let size = 1; size < bytes.length; size++) {
    const reader = new CommandReader();
    const commands = [];
    for (let at = 0; at < bytes.length; at += size) commands.push(...reader.push(bytes.subarray(at, at + size)));
    assert.deepEqual(commands, [['SET', 'k', 'ä'], ['PING']]);
  }
  assert.throws(() => new CommandReader().push(Buffer.from('*99999999\r\n')), /Protocol error/);
});

test('replies', () => {
  assert.equal(
    encodeReply([1, 'a', null, { ok: 'OK' }, { error: 'ERR x' }]),
    '*5\r\n:1\r\n$1\r\na\r\n$-1\r\n+OK\r\n-ERR x\r\n',
  );
});
