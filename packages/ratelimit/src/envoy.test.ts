import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { withoutEnvoy } from '@istio-ts/envoy/testing/binary';
import type { Counters } from './counters.ts';
import { createMemoryCounters } from './memory-counters.ts';
import { createRedisCounters } from './redis-counters.ts';
import { type RunningRateLimit, startRateLimit } from './server.ts';
import { readSettings } from './settings.ts';
import { admittedBy, LoadClient, startLimitedEnvoy } from './testing/limited-envoy.ts';
import { startRedis, withoutRedis } from './testing/redis.ts';

const silent = { debug() {}, info() {}, warning() {}, error() {} };
const folder = mkdtempSync(join(tmpdir(), 'ratelimit-envoy-'));
mkdirSync(join(folder, 'config'));
const LIMIT = 40;
writeFileSync(
  join(folder, 'config', 'config.yaml'),
  `domain: load
descriptors:
  - key: PATH
    value: /second
    rate_limit: { unit: second, requests_per_unit: ${LIMIT} }
  - key: PATH
    value: /week
    rate_limit: { unit: week, requests_per_unit: 500 }
`,
);
const cleanups: (() => unknown)[] = [() => rmSync(folder, { recursive: true })];
after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

/** The counters, and how much each window of a key was asked for. */
function watched(counters: Counters): { readonly counters: Counters; readonly asked: Map<string, number> } {
  const asked = new Map<string, number>();
  return {
    asked,
    counters: {
      add(hits) {
        for (const { key, windowStart, hits: by } of hits) {
          const window = `${key}@${windowStart}`;
          asked.set(window, (asked.get(window) ?? 0) + by);
        }
        return counters.add(hits);
      },
      get healthy() {
        return counters.healthy;
      },
      close: () => counters.close(),
    },
  };
}

async function start(counters: Counters): Promise<RunningRateLimit> {
  const running = await startRateLimit({
    settings: readSettings({
      RUNTIME_ROOT: folder,
      USE_STATSD: 'false',
      PORT: '0',
      GRPC_PORT: '0',
      DEBUG_PORT: '0',
      HOST: '127.0.0.1',
      GRPC_HOST: '127.0.0.1',
    }),
    now: Date.now,
    log: silent,
    counters,
  });
  cleanups.push(() => running.close());
  return running;
}

/** Asks from many connections at once until enough windows have refused requests; says what was admitted and what the windows admit. */
async function load(port: number, windowsOf: () => Iterable<readonly [string, number]>) {
  const client = new LoadClient(port, 24);
  let [admitted, refused] = [0, 0];
  const mine = (): number[] =>
    [...windowsOf()].filter(([window]) => window.includes('/second')).map(([, hits]) => hits);
  const deadline = Date.now() + 120_000;
  const isOver = (): boolean => mine().filter((hits) => hits > LIMIT).length >= 4 || Date.now() > deadline;
  await Promise.all(
    Array.from({ length: 24 }, async () => {
      while (!isOver()) {
        const { status } = await client.get('/second');
        assert.ok(status === 200 || status === 429, String(status));
        if (status === 200) admitted++;
        else refused++;
      }
    }),
  );
  client.close();
  return { admitted, refused, expected: admittedBy(mine(), LIMIT), windows: mine().length };
}

describe('rate limits through a real Envoy', { skip: withoutEnvoy }, () => {
  it('hold in memory, whatever is asked at a time', async () => {
    const { counters, asked } = watched(createMemoryCounters());
    const service = await start(counters);
    const { port, proxy } = await startLimitedEnvoy([service.grpcPort]);
    cleanups.push(() => proxy.stop());
    const result = await load(port, () => asked);
    assert.ok(result.windows >= 4 && result.refused > 0, JSON.stringify(result));
    assert.equal(result.admitted, result.expected, JSON.stringify(result));

    const client = new LoadClient(port, 20);
    const answers = await Promise.all(Array.from({ length: 700 }, () => client.get('/week')));
    client.close();
    assert.equal(answers.filter(({ status }) => status === 200).length, 500);
    const { headers } = answers.find(({ status }) => status === 429) ?? {};
    assert.equal(headers?.['x-ratelimit-limit'], '500, 500;w=604800');
    assert.equal(headers?.['x-ratelimit-remaining'], '0');
    assert.ok(Number(headers?.['x-ratelimit-reset']) > 0);
  });

  it('hold in Redis, which two services share', { skip: withoutRedis }, async () => {
    const redis = await startRedis();
    cleanups.push(() => redis.stop());
    const stores = [1, 2].map(() =>
      watched(
        createRedisCounters({
          redis: { address: { kind: 'tcp', host: '127.0.0.1', port: redis.port } },
          expirationJitterSeconds: 3600,
        }),
      ),
    );
    const services = [];
    for (const { counters } of stores) services.push(await start(counters));
    const { port, proxy } = await startLimitedEnvoy(services.map(({ grpcPort }) => grpcPort));
    cleanups.push(() => proxy.stop());
    const together = (): Map<string, number> => {
      const all = new Map<string, number>();
      for (const { asked } of stores)
        for (const [window, hits] of asked) all.set(window, (all.get(window) ?? 0) + hits);
      return all;
    };
    const result = await load(port, together);
    assert.ok(result.windows >= 4 && result.refused > 0, JSON.stringify(result));
    assert.equal(result.admitted, result.expected, JSON.stringify(result));
    for (const { asked } of stores) assert.ok(asked.size > 0, 'both services were asked');
  });

  it('refuses when the counters cannot be asked and the proxy is told so', async () => {
    const service = await start(
      createRedisCounters({ redis: { address: { kind: 'unix', path: join(folder, 'no-redis') } } }),
    );
    const { port, proxy } = await startLimitedEnvoy([service.grpcPort]);
    cleanups.push(() => proxy.stop());
    const client = new LoadClient(port, 1);
    assert.equal((await client.get('/second')).status, 500);
    client.close();
  });
});
