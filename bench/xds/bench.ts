// `npm run bench -- xds [--quick] [--sizes 1000x200,...] [--changes endpoint,...] [--reps N] [--whole] [--xdsload PROGRAM]`: many simulated sidecars on one istiod.
import { type ChildProcess, execFileSync, fork, spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { customResourceDefinitions } from '@istio-ts/api/crds';
import { istioTypes, kubernetesTypes } from '@istio-ts/api/resource-types';
import { createKubeClient, type KubeClient, loadKubeConfig } from '@istio-ts/kube';
import * as fixture from './fixture.ts';
import { Load, listening } from './load.ts';
import type { Kind } from './proxy.ts';

const root = join(import.meta.dirname, '..', '..');
const { values: flags } = parseArgs({
  args: process.argv.slice(2).filter((word) => word !== 'xds'),
  options: {
    quick: { type: 'boolean', default: false },
    sizes: { type: 'string' },
    whole: { type: 'boolean', default: false },
    xdsload: { type: 'string' },
    reps: { type: 'string', default: '10' },
    changes: { type: 'string' },
    program: { type: 'string', default: join(root, 'dist', 'bin', 'pilot-discovery.mjs') },
    profile: { type: 'string' },
    kubeconfig: { type: 'string' },
  },
});
const sizes = (flags.sizes ?? (flags.quick ? '100x50,1000x200' : '100x50,1000x200,1000x1000,5000x200'))
  .split(',')
  .map((text) => text.split('x').map(Number) as [number, number]);

if (!existsSync(flags.program)) {
  console.log(`${flags.program} is not there: npm run build`);
  process.exit(1);
}
const directory = mkdtempSync(join(tmpdir(), 'istio-ts-bench-'));
const children: ChildProcess[] = [];
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

async function apiServer(): Promise<string> {
  if (flags.kubeconfig !== undefined) return flags.kubeconfig;
  const child = fork(join(import.meta.dirname, 'api-server.ts'), [directory], { stdio: 'inherit' });
  children.push(child);
  await new Promise((resolve, reject) => {
    child.once('message', resolve);
    child.once('exit', (code) => reject(new Error(`the API server ended with ${code}`)));
  });
  return join(directory, 'kubeconfig');
}

const kubeconfig = await apiServer();
const client: KubeClient = createKubeClient(loadKubeConfig({ env: {}, kubeconfig }));
const crdType = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  resource: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
} as const;
const ifAbsent = (error: { readonly reason?: string }): void => {
  if (error.reason !== 'AlreadyExists') throw error;
};

async function inParallel(count: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      while (next < count) await work(next++);
    }),
  );
}

async function prepare(): Promise<void> {
  for (const crd of customResourceDefinitions()) await client.create(crdType, crd as never).catch(ifAbsent);
  await client
    .create(kubernetesTypes.Namespace, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'istio-system' } })
    .catch(ifAbsent);
}

/** Makes what is not there yet; a smaller mesh is part of a larger one. */
let seeded = 0;
async function seed(size: fixture.Size): Promise<void> {
  if (seeded === 0)
    await inParallel(size.namespaces, (n) =>
      client.create(kubernetesTypes.Namespace, fixture.namespaceObject(n)).catch(ifAbsent),
    );
  const first = seeded;
  await inParallel(size.services - first, async (index) => {
    const s = first + index;
    const namespace = fixture.namespaceOf(size, s);
    for (let e = 0; e < size.endpoints; e++) {
      const pod = fixture.podObject(size, s, e);
      for (let attempt = 0; ; attempt++) {
        try {
          await client.create(kubernetesTypes.Pod, pod);
          break;
        } catch (error) {
          // A real cluster's service account controller needs a moment in a new namespace.
          const { reason } = error as { reason?: string };
          if (reason === 'AlreadyExists') break;
          if (reason !== 'Forbidden' || attempt > 200) throw error;
          await sleep(250);
        }
      }
      await client.patch(
        kubernetesTypes.Pod,
        fixture.podName(s, e),
        namespace,
        'strategic',
        fixture.podStatus(fixture.address(s * size.endpoints + e)) as never,
        { subresource: 'status' },
      );
    }
    await client
      .create(kubernetesTypes.Service, fixture.serviceObject(fixture.serviceName(s), namespace))
      .catch(ifAbsent);
    await client.create(kubernetesTypes.EndpointSlice, fixture.sliceObject(size, s)).catch(ifAbsent);
  });
  seeded = Math.max(seeded, size.services);
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => new Promise((resolve) => server.once('listening', resolve))));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  for (const server of servers) server.close();
  return ports;
}

interface Istiod {
  readonly pid: number;
  readonly port: number;
  readonly readyMs: number;
  encoded(): Promise<number>;
  stop(): Promise<void>;
}

async function startIstiod(): Promise<Istiod> {
  const [grpc = 0, secure, http = 0, https, monitoring = 0, ctrlz] = await freePorts(6);
  const started = performance.now();
  const log = openSync(join(tmpdir(), 'istio-ts-bench-istiod.log'), 'w');
  const child = spawn(
    process.execPath,
    [
      // As the image of istiod starts it.
      '--max-semi-space-size=4',
      ...(flags.profile ? ['--cpu-prof', `--cpu-prof-dir=${flags.profile}`] : []),
      flags.program,
      'discovery',
      `--kubeconfig=${kubeconfig}`,
      `--grpcAddr=127.0.0.1:${grpc}`,
      `--secureGRPCAddr=127.0.0.1:${secure}`,
      `--httpAddr=127.0.0.1:${http}`,
      `--httpsAddr=127.0.0.1:${https}`,
      `--monitoringAddr=127.0.0.1:${monitoring}`,
      `--ctrlz_port=${ctrlz}`,
      '--log_output_level=default:warn',
    ],
    {
      stdio: ['ignore', log, log],
      env: { ...process.env, POD_NAMESPACE: 'istio-system', POD_NAME: 'istiod-bench', ...throttle },
    },
  );
  children.push(child);
  await listening('127.0.0.1', http, 30_000);
  for (;;) {
    const ok = await fetch(`http://127.0.0.1:${http}/ready`).then(
      (answer) => answer.ok,
      () => false,
    );
    if (ok) break;
    if (performance.now() - started > 120_000) throw new Error('istiod does not become ready');
    await sleep(10);
  }
  const readyMs = performance.now() - started;
  return {
    pid: child.pid ?? 0,
    port: grpc,
    readyMs,
    encoded: async () => {
      const text = await (await fetch(`http://127.0.0.1:${monitoring}/metrics`)).text();
      return [...text.matchAll(/^istiod_xds_resources_encoded_total(?:\{[^}]*\})? (\S+)/gm)].reduce(
        (sum, match) => sum + Number(match[1]),
        0,
      );
    },
    stop: async () => {
      child.kill('SIGTERM');
      await Promise.race([new Promise((resolve) => child.once('exit', resolve)), sleep(flags.profile ? 60_000 : 5000)]);
      child.kill('SIGKILL');
    },
  };
}

/** The benchmark measures the engine, not the limit for new streams. */
const throttle = { PILOT_MAX_REQUESTS_PER_SECOND: process.env.PILOT_MAX_REQUESTS_PER_SECOND ?? '100' };

const ticks = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' })) || 100;
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticks;
}
function memory(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) / 1024;
}
const percentile = (sorted: readonly number[], p: number): number =>
  sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * p) - 1)] ?? Number.NaN;
const mib = (bytes: number): string => (bytes / 1024 / 1024).toFixed(bytes < 100 * 1024 * 1024 ? 2 : 0);

interface Change {
  readonly name: string;
  readonly kinds: readonly Kind[];
  /** Makes change number `k`; returns what to look for and the write. */
  readonly make: (k: number) => { readonly marker: string; readonly write: () => Promise<unknown> };
  readonly undo: () => Promise<unknown>;
}

const apply = (type: Parameters<KubeClient['patch']>[0], object: { metadata: { name?: string; namespace?: string } }) =>
  client.patch(type, object.metadata.name ?? '', object.metadata.namespace, 'apply', object as never, {
    fieldManager: 'bench',
    force: true,
  });

/** All changes, as fresh values each time so that nothing is remembered from before. */
function changes(size: fixture.Size, run: number): readonly Change[] {
  const target = 0;
  const namespace = fixture.namespaceOf(size, target);
  const made: string[] = [];
  return [
    {
      name: 'endpoint',
      kinds: ['eds'],
      make: (k) => {
        const marker = fixture.markerAddress(run * 100 + k);
        return {
          marker,
          write: () => apply(kubernetesTypes.EndpointSlice, fixture.sliceObject(size, target, [marker])),
        };
      },
      undo: () => apply(kubernetesTypes.EndpointSlice, fixture.sliceObject(size, target)),
    },
    {
      name: 'virtualservice',
      kinds: ['rds', 'vhds'],
      make: (k) => {
        const marker = `bench-value-${run}-${k}-`;
        return {
          marker,
          write: () => apply(istioTypes.VirtualService, fixture.virtualServiceObject(size, target, marker)),
        };
      },
      undo: () => client.delete(istioTypes.VirtualService, 'bench', namespace),
    },
    {
      name: 'destinationrule',
      kinds: ['cds'],
      make: (k) => {
        const marker = `bench-subset-${run}-${k}x`;
        return {
          marker,
          write: () => apply(istioTypes.DestinationRule, fixture.destinationRuleObject(size, target, marker)),
        };
      },
      undo: () => client.delete(istioTypes.DestinationRule, 'bench', namespace),
    },
    {
      name: 'service',
      kinds: ['cds'],
      make: (k) => {
        const marker = `bench-new-${run}-${k}x`;
        made.push(marker);
        return {
          marker: `${marker}.${namespace}`,
          write: () => client.create(kubernetesTypes.Service, fixture.serviceObject(marker, namespace)),
        };
      },
      undo: async () => {
        for (const name of made) await client.delete(kubernetesTypes.Service, name, namespace);
      },
    },
  ];
}

let run = 0;
async function measure(services: number, proxies: number, incrementalRoutes: boolean): Promise<void> {
  const size: fixture.Size = { services, namespaces: 10, endpoints: 2 };
  run++;
  const istiod = await startIstiod();
  const load = new Load({ size, proxies, address: { host: '127.0.0.1', port: istiod.port }, incrementalRoutes });
  try {
    const ready = { cpu: cpuSeconds(istiod.pid), rss: memory(istiod.pid, 'VmRSS') };
    const clientBefore = process.cpuUsage();
    const initial = await load.start(600_000);
    await load.settle(1000);
    const cpu = cpuSeconds(istiod.pid) - ready.cpu;
    const used = process.cpuUsage(clientBefore);
    console.log(
      `\n(${services}, ${proxies}), routes ${incrementalRoutes ? 'host by host' : 'whole'}: ready in ${(istiod.readyMs / 1000).toFixed(2)} s (${ready.cpu.toFixed(1)} CPU s, ${ready.rss.toFixed(0)} MiB)`,
    );
    console.log(
      `  all configured after ${initial.seconds.toFixed(1)} s, ${cpu.toFixed(1)} CPU s, ${mib(initial.bytes)} MiB sent, RSS ${memory(istiod.pid, 'VmRSS').toFixed(0)} MiB, peak ${memory(istiod.pid, 'VmHWM').toFixed(0)} MiB; client ${((used.user + used.system) / 1e6).toFixed(1)} CPU s; ${initial.retries} streams turned away`,
    );
    console.log('  change            p50 ms   p99 ms   max ms    CPU s      MiB  responses  encoded  missing');
    const wanted = flags.changes?.split(',');
    for (const change of changes(size, run)) {
      if (wanted !== undefined && !wanted.includes(change.name)) continue;
      const latencies: number[] = [];
      const sum = { cpu: 0, bytes: 0, responses: 0, encoded: 0, missing: 0 };
      const reps = Number(flags.reps);
      for (let k = -1; k < reps; k++) {
        const { marker, write } = change.make(k + 1);
        const encodedBefore = await istiod.encoded();
        const before = cpuSeconds(istiod.pid);
        const arrival = await load.change(change.kinds, marker, write, { timeoutMs: 30_000, quietMs: 500 });
        // The first one warms up.
        if (k < 0) continue;
        sum.cpu += cpuSeconds(istiod.pid) - before;
        sum.encoded += (await istiod.encoded()) - encodedBefore;
        sum.bytes += arrival.bytes;
        sum.responses += arrival.responses;
        sum.missing += arrival.missing;
        latencies.push(...arrival.latencies);
      }
      latencies.sort((a, b) => a - b);
      const cell = (value: string, width: number): string => value.padStart(width);
      console.log(
        `  ${change.name.padEnd(16)}${cell(percentile(latencies, 0.5).toFixed(0), 8)}${cell(percentile(latencies, 0.99).toFixed(0), 9)}${cell((latencies.at(-1) ?? Number.NaN).toFixed(0), 9)}${cell((sum.cpu / reps).toFixed(2), 9)}${cell(mib(sum.bytes / reps), 9)}${cell((sum.responses / reps).toFixed(0), 11)}${cell((sum.encoded / reps).toFixed(1), 9)}${cell(String(sum.missing), 9)}`,
      );
      await change.undo();
      await load.settle(500);
    }
    console.log(
      `  at the end: RSS ${memory(istiod.pid, 'VmRSS').toFixed(0)} MiB, peak ${memory(istiod.pid, 'VmHWM').toFixed(0)} MiB`,
    );
  } finally {
    load.close();
    await istiod.stop();
  }
}

/** The public load generator, built outside of the repository, where it and Go are there. */
function xdsload(services: number, proxies: number, istiod: Istiod): void {
  const program = flags.xdsload ?? buildXdsload();
  if (program === undefined) return;
  const result = spawnSync(
    program,
    [
      'run',
      '--addr',
      `127.0.0.1:${istiod.port}`,
      '--kubeconfig',
      kubeconfig,
      '--proxies',
      String(proxies),
      '--services',
      String(services),
      '--namespaces',
      '10',
      '--endpoints',
      '2',
      '--reps',
      flags.reps,
      '--pid',
      String(istiod.pid),
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  if (result.status !== 0) console.log(`  xdsload ended with ${result.status ?? result.signal}`);
}

function buildXdsload(): string | undefined {
  const source = join(root, '..', 'shared', 'bench', 'xdsload');
  if (!existsSync(source) || spawnSync('go', ['version']).status !== 0) {
    console.log('  xdsload is left out: its sources or Go are not here');
    return undefined;
  }
  const copy = join(directory, 'xdsload');
  cpSync(source, copy, { recursive: true });
  const built = spawnSync('go', ['build', '-o', 'xdsload', '.'], { cwd: copy, stdio: 'inherit' });
  return built.status === 0 ? join(copy, 'xdsload') : undefined;
}

await prepare();
for (const [services, proxies] of sizes) {
  const started = performance.now();
  await seed({ services, namespaces: 10, endpoints: 2 });
  console.log(`\nseeded ${services} services in ${((performance.now() - started) / 1000).toFixed(0)} s`);
  await measure(services, proxies, true);
  if (flags.whole) await measure(services, proxies, false);
  if (flags.xdsload !== undefined) {
    const istiod = await startIstiod();
    xdsload(services, proxies, istiod);
    await istiod.stop();
  }
}
process.exit(0);
