import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { FlagError, headers, last, milliseconds, number, on, readFlags } from './flags.ts';
import { report, runLoad } from './load.ts';
import { echoServer } from './server.ts';

test('a load sends as many calls as asked and counts the answers by status', async (context) => {
  const server = echoServer().listen(0, '127.0.0.1');
  context.after(() => server.close());
  await once(server, 'listening');
  const load = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/?status=418`,
    headers: {},
    connections: 3,
    qps: 0,
    calls: 20,
    durationMs: 1000,
    timeoutMs: 5000,
    keepAlive: true,
  };
  const result = await runLoad(load, () => performance.now());
  assert.deepEqual([...result.codes], [[418, 20]]);
  assert.equal(result.sockets, 3);
  assert.match(report(result, load), /^Code 418 : 20 \(100\.0 %\)$/m);
});

test('flags in the way of Go', () => {
  const known = { c: 'value', H: 'value', quiet: 'switch', t: 'value' } as const;
  const flags = readFlags(['-c', '2', '--quiet', '-H', 'a: b', '-H=c:d', '-t=1m1.5s', 'http://x', '-c', '9'], known);
  assert.deepEqual(flags.rest, ['http://x', '-c', '9']);
  assert.deepEqual(
    [number(flags, 'c', 1), on(flags, 'quiet'), headers(flags), milliseconds(flags, 't', 0), last(flags, 'none')],
    [2, true, { a: 'b', c: 'd' }, 61_500, undefined],
  );
  assert.throws(() => readFlags(['-z'], known), FlagError);
});
