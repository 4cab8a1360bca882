// `npm run bench -- ratelimit`: a real Envoy under 1000 requests per second whose limit is half of that, counted in memory, in Redis, and in a Redis that two
// services share: how many are admitted against how many should be, and what a decision costs the service. CPU seconds and counts are what matters; latencies
// say something on an idle machine only.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { freePorts } from '@istio-ts/envoy/testing/free-port';
import { eventually } from '@istio-ts/envoy/testing/eventually';
import { LoadClient, startLimitedEnvoy } from '@istio-ts/ratelimit/testing/limited-envoy';
import { startRedis, withoutRedis } from '@istio-ts/ratelimit/testing/redis';
import { cpuSeconds, residentMib } from '../xds/process-usage.ts';

if (process.argv.includes('--help')) {
  console.log('npm run bench -- ratelimit [--quick]: what is admitted of 1000 requests per second, and at what cost');
  process.exit(0);
}
const seconds = process.argv.includes('--quick') ? 3 : 15;
const RATE = 1000;
const LIMIT = 500;
const program = join(import.meta.dirname, '..', '..', 'dist', 'bin', 'ratelimit.mjs');
const folder = mkdtempSync(join(tmpdir(), 'bench-ratelimit-'));
mkdirSync(join(folder, 'config'));
writeFileSync(
  join(folder, 'config', 'config.yaml'),
  `domain: load\ndescriptors: [{key: PATH, rate_limit: {unit: second, requests_per_unit: ${LIMIT}}}]\n`,
);

interface Service {
  readonly child: ChildProcess;
  readonly grpcPort: number;
}

async function startService(redisPort: number | undefined): Promise<Service> {
  const [grpcPort = 0, httpPort = 0, debugPort = 0] = await freePorts(3);
  const child = spawn(process.execPath, [program], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      ...process.env,
      RUNTIME_ROOT: folder,
      USE_STATSD: 'false',
      HOST: '127.0.0.1',
      GRPC_HOST: '127.0.0.1',
      PORT: String(httpPort),
      GRPC_PORT: String(grpcPort),
      DEBUG_PORT: String(debugPort),
      ...(redisPort !== undefined && { REDIS_SOCKET_TYPE: 'tcp', REDIS_URL: `127.0.0.1:${redisPort}` }),
    },
  });
  await eventually('the service', async () => (await fetch(`http://127.0.0.1:${httpPort}/healthcheck`)).ok);
  return { child, grpcPort };
}

/** Sends at the rate whatever comes back, from the beginning of a second on. */
async function load(
  port: number,
): Promise<{ admitted: number; refused: number; failed: number; p99: number; took: number }> {
  const client = new LoadClient(port, 64);
  await client.get('/warm-up');
  const result = { admitted: 0, refused: 0, failed: 0, p99: 0, took: 0 };
  const latencies: number[] = [];
  await wait(1000 - (Date.now() % 1000));
  const began = performance.now();
  const pending: Promise<void>[] = [];
  for (let sent = 0; sent < RATE * seconds; ) {
    const due = Math.min(RATE * seconds, Math.floor(((performance.now() - began) / 1000) * RATE));
    for (; sent < due; sent++) {
      const at = performance.now();
      pending.push(
        client.get('/limited').then(
          ({ status }) => {
            latencies.push(performance.now() - at);
            if (status === 200) result.admitted++;
            else if (status === 429) result.refused++;
            else result.failed++;
          },
          () => void result.failed++,
        ),
      );
    }
    await wait(2);
  }
  await Promise.all(pending);
  result.took = (performance.now() - began) / 1000;
  client.close();
  latencies.sort((a, b) => a - b);
  result.p99 = latencies[Math.floor(latencies.length * 0.99)] ?? 0;
  return result;
}

console.log(
  `${RATE} requests per second for ${seconds} s, limit ${LIMIT} per second; load average ${loadavg()[0]?.toFixed(1)}`,
);
for (const [name, services, inRedis] of [
  ['one service, in memory', 1, false],
  ['one service, in Redis', 1, true],
  ['two services, one Redis', 2, true],
] as const) {
  if (inRedis && withoutRedis !== false) {
    console.log(`  ${name.padEnd(26)} left out: ${withoutRedis}`);
    continue;
  }
  const redis = inRedis ? await startRedis() : undefined;
  const running: Service[] = [];
  for (let index = 0; index < services; index++) running.push(await startService(redis?.port));
  const envoy = await startLimitedEnvoy(running.map(({ grpcPort }) => grpcPort));
  const cpu = (): number => running.reduce((sum, { child }) => sum + cpuSeconds(child.pid ?? 0), 0);
  const before = cpu();
  const { admitted, refused, failed, p99, took } = await load(envoy.port);
  const spent = cpu() - before;
  const wanted = LIMIT * seconds;
  const deviation = ((admitted - wanted) / wanted) * 100;
  const memory = running.map(({ child }) => `${Math.round(residentMib(child.pid ?? 0, 'now'))} MiB`);
  console.log(
    `  ${name.padEnd(26)} admitted ${admitted} of ${wanted} (${deviation >= 0 ? '+' : ''}${deviation.toFixed(2)} %), refused ${refused}, failed ${failed}; ` +
      `${((spent / (RATE * seconds)) * 1e6).toFixed(0)} µs of CPU per decision, ${memory.join(' + ')}, p99 ${p99.toFixed(1)} ms`,
  );
  // Late requests fall into windows of their own, and are rightly admitted there.
  if (took > seconds + 0.5)
    console.log(
      `  ${''.padEnd(26)} it took ${took.toFixed(1)} s: this machine is too busy for the rate, and the deviation says nothing`,
    );
  await envoy.proxy.stop();
  for (const { child } of running) child.kill();
  await redis?.stop();
}
rmSync(folder, { recursive: true });
