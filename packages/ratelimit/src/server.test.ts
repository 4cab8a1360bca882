import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { decode, encode } from '@istio-ts/envoy';
import { openGrpcChannel } from '@istio-ts/envoy/grpc';
import { eventually } from '@istio-ts/envoy/testing/eventually';
import { RATE_LIMIT_METHOD, type RunningRateLimit, startRateLimit } from './server.ts';
import { readSettings } from './settings.ts';
import { startRedis, withoutRedis } from './testing/redis.ts';

const silent = { debug() {}, info() {}, warning() {}, error() {} };
const cleanups: (() => unknown)[] = [];
after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

const limitOf = (requests: number): string =>
  `domain: d\ndescriptors: [{key: k, rate_limit: {unit: year, requests_per_unit: ${requests}}}]\n`;

/** A folder as kubelet mounts a ConfigMap: the files are links into a folder that is swapped as a whole. */
class MountedConfigMap {
  readonly root = mkdtempSync(join(tmpdir(), 'ratelimit-'));
  readonly #folder = join(this.root, 'ratelimit', 'config');
  #turn = 0;

  constructor() {
    mkdirSync(this.#folder, { recursive: true });
    cleanups.push(() => rmSync(this.root, { recursive: true }));
  }

  write(text: string): void {
    const version = `..version-${this.#turn++}`;
    mkdirSync(join(this.#folder, version));
    writeFileSync(join(this.#folder, version, 'config.yaml'), text);
    symlinkSync(version, join(this.#folder, '..data_tmp'));
    renameSync(join(this.#folder, '..data_tmp'), join(this.#folder, '..data'));
    if (this.#turn === 1) symlinkSync(join('..data', 'config.yaml'), join(this.#folder, 'config.yaml'));
  }
}

async function start(root: string, env: Readonly<Record<string, string>> = {}): Promise<RunningRateLimit> {
  const running = await startRateLimit({
    settings: readSettings({
      RUNTIME_ROOT: root,
      RUNTIME_SUBDIRECTORY: 'ratelimit',
      RUNTIME_WATCH_ROOT: 'false',
      RUNTIME_IGNOREDOTFILES: 'true',
      USE_STATSD: 'false',
      PORT: '0',
      GRPC_PORT: '0',
      DEBUG_PORT: '0',
      HOST: '127.0.0.1',
      GRPC_HOST: '127.0.0.1',
      ...env,
    }),
    now: Date.now,
    log: silent,
    watchEveryMs: 20,
  });
  cleanups.push(() => running.close());
  return running;
}

const page = async (port: number, path: string): Promise<string> =>
  (await fetch(`http://127.0.0.1:${port}${path}`)).text();

describe('the rate limit service', () => {
  it('answers by gRPC and by HTTP, shows its limits and counts', async () => {
    const folder = new MountedConfigMap();
    folder.write(limitOf(1));
    const running = await start(folder.root, { LIMIT_RESPONSE_HEADERS_ENABLED: 'true' });
    const channel = openGrpcChannel({ kind: 'tcp', host: '127.0.0.1', port: running.grpcPort });
    cleanups.push(() => channel.close());
    const request = { domain: 'd', descriptors: [{ entries: [{ key: 'k', value: 'v' }] }] };
    const bytes = encode('envoy.service.ratelimit.v3.RateLimitRequest', request);
    const ask = async () =>
      decode('envoy.service.ratelimit.v3.RateLimitResponse', await channel.unary(RATE_LIMIT_METHOD, bytes));
    const first = await ask();
    assert.equal(first.overallCode, 'OK');
    assert.deepEqual(first.statuses?.[0]?.currentLimit, { requestsPerUnit: 1, unit: 'YEAR' });
    assert.deepEqual(first.responseHeadersToAdd?.map(({ key, value }) => [key, value]).slice(0, 2), [
      ['RateLimit-Limit', '1'],
      ['RateLimit-Remaining', '0'],
    ]);
    assert.equal((await ask()).overallCode, 'OVER_LIMIT');
    await assert.rejects(channel.unary(RATE_LIMIT_METHOD, encode('envoy.service.ratelimit.v3.RateLimitRequest', {})), {
      status: 'INVALID_ARGUMENT',
    });

    const post = (body: string) => fetch(`http://127.0.0.1:${running.httpPort}/json`, { method: 'POST', body });
    const refused = await post(JSON.stringify(request));
    assert.equal(refused.status, 429);
    assert.equal(((await refused.json()) as { overallCode: string }).overallCode, 'OVER_LIMIT');
    assert.equal((await post('{"domain": 1}')).status, 400);

    assert.equal(
      await page(running.debugPort, '/rlconfig'),
      'd.k: unit=YEAR requests_per_unit=1, shadow_mode: false\n',
    );
    assert.match(await page(running.debugPort, '/stats'), /^ratelimit\.service\.rate_limit\.d\.k\.over_limit: 2$/m);
    assert.match(
      await page(running.debugPort, '/metrics'),
      /^ratelimit_service_rate_limit_total_hits\{domain="d",key1="k"\} 3$/m,
    );
    const health = await channel.unary('/grpc.health.v1.Health/Check', encode('grpc.health.v1.HealthCheckRequest', {}));
    assert.equal(decode('grpc.health.v1.HealthCheckResponse', health).status, 'SERVING');
  });

  it('takes a ConfigMap that was swapped, and keeps the last one that was good', async () => {
    const folder = new MountedConfigMap();
    const running = await start(folder.root, { HEALTHY_WITH_AT_LEAST_ONE_CONFIG_LOADED: 'true' });
    const health = async () => (await fetch(`http://127.0.0.1:${running.httpPort}/healthcheck`)).status;
    const limits = () => page(running.debugPort, '/rlconfig');
    assert.equal(await health(), 500);
    folder.write(limitOf(1));
    await eventually('the first one', async () => (await limits()).includes('requests_per_unit=1,'));
    assert.equal(await health(), 200);
    folder.write('domain: d\ndescriptors: [{key: k, rate_limit: {unit: eon}}]\n');
    await eventually('the refusal', () => running.service.problem?.includes('"eon" is none of'));
    assert.match(await limits(), /requests_per_unit=1,/);
    folder.write(limitOf(7));
    await eventually('the next good one', async () => (await limits()).includes('requests_per_unit=7,'));
    assert.equal(running.service.problem, undefined);
  });

  it('sends counters to statsd, and to Prometheus in a form that promtool takes', async () => {
    const folder = new MountedConfigMap();
    folder.write(limitOf(5));
    let received = '';
    const statsd = createServer((socket) => socket.on('data', (chunk) => (received += chunk.toString())));
    await new Promise<void>((resolve) => statsd.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => statsd.close());
    const running = await start(folder.root, {
      USE_STATSD: 'true',
      STATSD_HOST: '127.0.0.1',
      STATSD_PORT: String((statsd.address() as AddressInfo).port),
      STATS_FLUSH_INTERVAL: '100ms',
    });
    const request = { domain: 'd', descriptors: [{ entries: [{ key: 'k', value: 'v' }] }], hitsAddend: 3 };
    await running.service.shouldRateLimit(request);
    await eventually('statistics', () => received.includes('ratelimit.service.rate_limit.d.k.total_hits:3|c\n'));

    const scraped = await start(folder.root, { USE_PROMETHEUS: 'true', PROMETHEUS_ADDR: '127.0.0.1:0' });
    await scraped.service.shouldRateLimit(request);
    const text = await page(scraped.prometheusPort ?? 0, '/metrics');
    assert.match(text, /ratelimit_service_rate_limit_within_limit\{domain="d",key1="k"\} 3/);
    try {
      execFileSync('promtool', ['check', 'metrics'], { input: text, stdio: ['pipe', 'pipe', 'pipe'] });
    } catch (error) {
      const { code, stderr } = error as { code?: string; stderr?: Buffer };
      // Names are those of the service that this one stands in for, which promtool's linter would have end in _total.
      if (code !== 'ENOENT')
        for (const line of String(stderr).trim().split('\n')) assert.match(line, /"_total" suffix/, line);
    }
  });

  it('tells who watches its health each change, when it happens', { skip: withoutRedis }, async () => {
    const redis = await startRedis();
    const folder = new MountedConfigMap();
    const running = await start(folder.root, {
      HEALTHY_WITH_AT_LEAST_ONE_CONFIG_LOADED: 'true',
      REDIS_HEALTH_CHECK_ACTIVE_CONNECTION: 'true',
      REDIS_SOCKET_TYPE: 'tcp',
      REDIS_URL: `127.0.0.1:${redis.port}`,
    });
    const channel = openGrpcChannel({ kind: 'tcp', host: '127.0.0.1', port: running.grpcPort });
    cleanups.push(() => channel.close());
    const watch = await channel.stream('/grpc.health.v1.Health/Watch');
    await watch.write(encode('grpc.health.v1.HealthCheckRequest', {}));
    const messages = watch.messages();
    const next = async (): Promise<string | undefined> => {
      const { value, done } = await messages.next();
      return done ? 'the end' : decode('grpc.health.v1.HealthCheckResponse', value).status;
    };
    assert.equal(await next(), 'NOT_SERVING');
    folder.write(limitOf(1));
    assert.equal(await next(), 'SERVING');
    await redis.stop();
    assert.equal(await next(), 'NOT_SERVING');
    const again = await startRedis(redis.port);
    cleanups.push(() => again.stop());
    assert.equal(await next(), 'SERVING');
    watch.cancel();
  });

  const ASKED = 800;
  const AT_ONCE = 200;

  /** Asks 800 times, 200 at once, over several connections to each service; how many were admitted. */
  async function admitted(services: readonly RunningRateLimit[]): Promise<number> {
    const channels = services.flatMap(({ grpcPort }) =>
      Array.from({ length: 4 }, () => openGrpcChannel({ kind: 'tcp', host: '127.0.0.1', port: grpcPort })),
    );
    try {
      const descriptors = [{ entries: [{ key: 'k', value: 'v' }] }];
      const bytes = encode('envoy.service.ratelimit.v3.RateLimitRequest', { domain: 'd', descriptors });
      const answers: (string | undefined)[] = [];
      let asked = 0;
      const ask = async (): Promise<void> => {
        while (asked < ASKED) {
          const answer = await channels[asked++ % channels.length]?.unary(RATE_LIMIT_METHOD, bytes);
          answers.push(decode('envoy.service.ratelimit.v3.RateLimitResponse', answer ?? Buffer.alloc(0)).overallCode);
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, ask));
      assert.equal(answers.length, ASKED);
      const counts = Map.groupBy(answers, (code) => code);
      assert.deepEqual([...counts.keys()].sort(), ['OK', 'OVER_LIMIT']);
      return counts.get('OK')?.length ?? 0;
    } finally {
      for (const channel of channels) channel.close();
    }
  }
  const LIMIT = 345;

  it('admits exactly its limit of hundreds of requests at once, in memory', async () => {
    const folder = new MountedConfigMap();
    folder.write(limitOf(LIMIT));
    const running = await start(folder.root);
    assert.equal(await admitted([running]), LIMIT);
    const statistics = new Map(running.statistics.values());
    assert.equal(statistics.get('ratelimit.service.rate_limit.d.k.total_hits'), ASKED);
    assert.equal(statistics.get('ratelimit.service.rate_limit.d.k.within_limit'), LIMIT);
    assert.equal(statistics.get('ratelimit.service.rate_limit.d.k.over_limit'), ASKED - LIMIT);
  });

  it('so do two services that share a Redis, also with what they remember themselves', {
    skip: withoutRedis,
  }, async () => {
    const redis = await startRedis();
    cleanups.push(() => redis.stop());
    const folder = new MountedConfigMap();
    folder.write(limitOf(LIMIT));
    const shared = { REDIS_SOCKET_TYPE: 'tcp', REDIS_URL: `127.0.0.1:${redis.port}` };
    for (const [prefix, more] of [
      ['plain', {}],
      ['remembered', { LOCAL_CACHE_SIZE_IN_BYTES: '100000' }],
    ] as const) {
      const env = { ...shared, CACHE_KEY_PREFIX: prefix, ...more };
      assert.equal(await admitted([await start(folder.root, env), await start(folder.root, env)]), LIMIT);
    }
  });

  it('refuses settings that ask for what it does not do, and names them', () => {
    assert.throws(() => readSettings({ BACKEND_TYPE: 'memcache' }), /BACKEND_TYPE: "memcache" is not built/);
    assert.throws(() => readSettings({ REDIS_URL: 'r:1', REDIS_TYPE: 'cluster' }), /REDIS_TYPE: CLUSTER is not built/);
    assert.throws(() => readSettings({ CONFIG_TYPE: 'GRPC_XDS_SOTW' }), /CONFIG_TYPE: .* does not do/);
    assert.throws(() => readSettings({ PORT: 'x' }), /PORT: "x" is no number/);
    assert.throws(() => readSettings({ USE_STATSD: 'maybe' }), /USE_STATSD: "maybe" is neither/);
    const { store, configFolder, log } = readSettings({
      REDIS_SOCKET_TYPE: 'tcp',
      REDIS_URL: 'redis:6379',
      RUNTIME_ROOT: '/data',
      RUNTIME_SUBDIRECTORY: 'ratelimit',
      LOG_LEVEL: 'debug',
    });
    assert.ok(store.kind === 'redis');
    assert.deepEqual(store.redis.address, { kind: 'tcp', host: 'redis', port: 6379 });
    assert.deepEqual([configFolder, log.level], ['/data/ratelimit/config', 'debug']);
  });
});
