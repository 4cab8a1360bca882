import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually } from '@istio-ts/envoy/testing/eventually';
import { CountersUnavailable, type Hit } from './counters.ts';
import { startRedis, withoutRedis } from './testing/redis.ts';
import { createRedisCounters } from './redis-counters.ts';
import { RespReader } from './resp.ts';
import { openRespClient, type RespClientOptions } from './resp-client.ts';

const WINDOW = { windowSeconds: 3600, windowStart: 1_700_000_000, limit: 10 };
const hit = (key: string, hits = 1, more: Partial<Hit> = {}): Hit => ({ key, hits, ...WINDOW, ...more });
const at = (port: number, more: Partial<RespClientOptions> = {}): RespClientOptions => ({
  address: { kind: 'tcp', host: '127.0.0.1', port },
  ...more,
});

describe('counters in Redis', { skip: withoutRedis }, () => {
  it('are shared, expire with their window, and count many at a time', async () => {
    const redis = await startRedis();
    const [one, two] = [createRedisCounters({ redis: at(redis.port) }), createRedisCounters({ redis: at(redis.port) })];
    const client = openRespClient(at(redis.port));
    try {
      assert.deepEqual(await one.add([hit('a'), hit('b', 5)]), [1, 5]);
      assert.deepEqual(await two.add([hit('a', 2), hit('b', -9)]), [3, 0]);
      const all = await Promise.all(
        Array.from({ length: 2000 }, (_, index) => (index % 2 ? one : two).add([hit('c')])),
      );
      assert.equal(new Set(all.map(([value]) => value)).size, 2000, 'each sees a count of its own');
      const [ttl] = await client.pipeline([['TTL', 'a_1700000000']]);
      assert.ok(typeof ttl === 'number' && ttl > 0 && ttl <= 3600, String(ttl));
    } finally {
      for (const each of [one, two, client]) each.close();
      await redis.stop();
    }
  });

  it('fail while Redis is away and go on when it is back', async () => {
    const redis = await startRedis();
    const counters = createRedisCounters({ redis: at(redis.port), needsConnection: true });
    await eventually('a connection', () => counters.healthy);
    await counters.add([hit('a')]);
    await redis.stop();
    await eventually('the loss is seen', () => !counters.healthy);
    await assert.rejects(async () => counters.add([hit('a')]), CountersUnavailable);
    const again = await startRedis(redis.port);
    try {
      assert.deepEqual(await eventually('an answer', () => counters.add([hit('a')])), [1]);
      assert.equal(counters.healthy, true);
    } finally {
      counters.close();
      await again.stop();
    }
  });

  it('keep limits per second in a Redis of their own, and say who they are', async () => {
    const [all, second] = [await startRedis(), await startRedis(undefined, ['--requirepass', 'secret'])];
    const counters = createRedisCounters({ redis: at(all.port), perSecond: at(second.port, { auth: 'secret' }) });
    const wrong = createRedisCounters({ redis: at(second.port, { auth: 'other' }) });
    const client = openRespClient(at(second.port, { auth: 'secret' }));
    try {
      assert.deepEqual(await counters.add([hit('a'), hit('a', 1, { windowSeconds: 1 })]), [1, 1]);
      assert.deepEqual(await client.pipeline([['DBSIZE']]), [1]);
      await assert.rejects(async () => wrong.add([hit('a')]), /the store of the counters cannot be asked/);
    } finally {
      for (const each of [counters, wrong, client]) each.close();
      for (const each of [all, second]) await each.stop();
    }
  });

  it('do not ask again for what is over its limit, where the process remembers it', async () => {
    const redis = await startRedis();
    const counters = createRedisCounters({ redis: at(redis.port), rememberedOverLimit: 100 });
    const client = openRespClient(at(redis.port));
    try {
      await counters.add([hit('a', 10)]);
      const [value] = await counters.add([hit('a')]);
      assert.ok((value ?? 0) > 10);
      assert.deepEqual(await client.pipeline([['GET', 'a_1700000000']]), ['10']);
    } finally {
      counters.close();
      client.close();
      await redis.stop();
    }
  });
});

it('replies of Redis are read in pieces of any size; what is no reply raises an error', () => {
  const bytes = Buffer.from('+OK\r\n:-12\r\n$5\r\nhe\r\no\r\n$-1\r\n*2\r\n:1\r\n$1\r\nä\r\n'.replace('ä', 'a'));
  for (const size of [1, 2, 3, 7, bytes.length]) {
    const reader = new RespReader();
    const values = [];
    for (let start = 0; start < bytes.length; start += size)
      values.push(...reader.push(bytes.subarray(start, start + size)));
    assert.deepEqual(values, ['OK', -12, 'he\r\no', null, [1, 'a']]);
  }
  assert.throws(() => new RespReader().push(Buffer.from('HTTP/1.1 200\r\n')), /no Redis/);
  assert.throws(() => new RespReader().push(Buffer.from('$99999999999\r\n')), /impossible length/);
  assert.throws(() => new RespReader().push(Buffer.from(':x\r\n')), /for a number/);
});
