// `npm run bench -- xds`: many simulated sidecars on one istiod. `--help` lists the flags.
import { type ChildProcess, fork } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { istioTypes, kubernetesTypes } from '@istio-ts/api/resource-types';
import { createKubeClient, type KubeClient, loadKubeConfig } from '@istio-ts/kube';
import { type IstiodProcess, startIstiod } from '../../e2e/support/istiod-process.ts';
import { startRealApiServer } from '../../e2e/support/real-api-server.ts';
import * as fixture from './fixture.ts';
import { Load } from './load.ts';
import { type Client, type Options, OptionsError, readOptions } from './options.ts';
import { cpuSeconds, residentMib } from './process-usage.ts';
import type { Kind } from './proxy.ts';
import { prepareCluster, Seeder } from './seed.ts';
import { buildXdsload, runXdsload } from './xdsload.ts';

function optionsOrEnd(): Options {
  try {
    return readOptions(process.argv.slice(2).filter((word) => word !== 'xds'));
  } catch (error) {
    if (!(error instanceof OptionsError)) throw error;
    console.log(error.message);
    process.exit(process.argv.includes('--help') || process.argv.includes('-h') ? 0 : 1);
  }
}
const options = optionsOrEnd();
if (!existsSync(options.program)) {
  console.log(`${options.program} is not there: npm run build`);
  process.exit(1);
}
const directory = mkdtempSync(join(tmpdir(), 'istio-ts-bench-'));
const children: ChildProcess[] = [];
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

/** The kubeconfig of the API server that the benchmark runs on. */
async function apiServer(): Promise<string> {
  switch (options.apiServer.kind) {
    case 'running':
      return options.apiServer.kubeconfig;
    case 'real':
      return (await startRealApiServer(join(directory, 'kubernetes'))).kubeconfig;
    case 'local': {
      const child = fork(join(import.meta.dirname, 'api-server.ts'), [directory], { stdio: 'inherit' });
      children.push(child);
      await new Promise((resolve, reject) => {
        child.once('message', resolve);
        child.once('exit', (code) => reject(new Error(`the API server ended with ${code}`)));
      });
      return join(directory, 'kubeconfig');
    }
  }
}

const kubeconfig = await apiServer();
const client: KubeClient = createKubeClient(loadKubeConfig({ env: {}, kubeconfig }));

const start = (): Promise<IstiodProcess> =>
  startIstiod({
    kubeconfig,
    log: join(tmpdir(), 'istio-ts-bench-istiod.log'),
    program: options.program,
    nodeFlags: options.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profile}`],
    flags: ['--log_output_level=default:warn'],
    // The benchmark measures the engine, not the limit for new streams.
    env: { PILOT_MAX_REQUESTS_PER_SECOND: process.env.PILOT_MAX_REQUESTS_PER_SECOND ?? '100' },
    readyTimeoutMs: 120_000,
  });
const stop = (istiod: IstiodProcess): Promise<void> => istiod.stop(options.profile ? 60_000 : 5000);

/** How many resources istiod has encoded so far. */
async function encoded({ ports }: IstiodProcess): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${ports.monitoring}/metrics`)).text();
  return [...text.matchAll(/^istiod_xds_resources_encoded_total(?:\{[^}]*\})? (\S+)/gm)].reduce(
    (sum, match) => sum + Number(match[1]),
    0,
  );
}

const percentile = (sorted: readonly number[], p: number): number =>
  sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * p) - 1)] ?? Number.NaN;
const mib = (bytes: number): string => (bytes / 1024 / 1024).toFixed(bytes < 100 * 1024 * 1024 ? 2 : 0);

const CLIENT_NAMES: Readonly<Record<Client, string>> = {
  hosts: 'routes host by host',
  whole: 'routes whole',
  xdsload: 'xdsload, delta',
  'xdsload-sotw': 'xdsload, state of the world',
};
/** Says what is measured, how busy the machine is, and what istiod's start took. */
function heading(services: number, proxies: number, which: Client, istiod: IstiodProcess): void {
  console.log(
    `\n(${services}, ${proxies}), ${CLIENT_NAMES[which]}; load average ${loadavg()
      .map((value) => value.toFixed(1))
      .join(' ')}`,
  );
  console.log(
    `  istiod ready in ${(istiod.readyMs / 1000).toFixed(2)} s, ${cpuSeconds(istiod.pid).toFixed(1)} CPU s, RSS ${residentMib(istiod.pid, 'now').toFixed(0)} MiB, peak ${residentMib(istiod.pid, 'peak').toFixed(0)} MiB`,
  );
}

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

/** How late a slow proxy acknowledges. */
const SLOW_MS = 2000;

/** Makes each change some times and prints what it took. */
async function table(load: Load, istiod: IstiodProcess, all: readonly Change[]): Promise<void> {
  console.log('  change            p50 ms   p99 ms   max ms    CPU s   client s      MiB  responses  encoded  missing');
  for (const change of all) {
    if (!options.changes.includes(change.name)) continue;
    const latencies: number[] = [];
    const sum = { cpu: 0, client: 0, bytes: 0, responses: 0, encoded: 0, missing: 0 };
    const { reps } = options;
    for (let k = -1; k < reps; k++) {
      const { marker, write } = change.make(k + 1);
      const encodedBefore = await encoded(istiod);
      const before = cpuSeconds(istiod.pid);
      const clientBefore = process.cpuUsage();
      const arrival = await load.change(change.kinds, marker, write, { timeoutMs: 30_000, quietMs: 500 });
      // The first one warms up.
      if (k < 0) continue;
      sum.cpu += cpuSeconds(istiod.pid) - before;
      const client = process.cpuUsage(clientBefore);
      sum.client += (client.user + client.system) / 1e6;
      sum.encoded += (await encoded(istiod)) - encodedBefore;
      sum.bytes += arrival.bytes;
      sum.responses += arrival.responses;
      sum.missing += arrival.missing;
      latencies.push(...arrival.latencies);
    }
    latencies.sort((a, b) => a - b);
    const cell = (value: string, width: number): string => value.padStart(width);
    console.log(
      `  ${change.name.padEnd(16)}${cell(percentile(latencies, 0.5).toFixed(0), 8)}${cell(percentile(latencies, 0.99).toFixed(0), 9)}${cell((latencies.at(-1) ?? Number.NaN).toFixed(0), 9)}${cell((sum.cpu / reps).toFixed(2), 9)}${cell((sum.client / reps).toFixed(2), 11)}${cell(mib(sum.bytes / reps), 9)}${cell((sum.responses / reps).toFixed(0), 11)}${cell((sum.encoded / reps).toFixed(1), 9)}${cell(String(sum.missing), 9)}`,
    );
    await change.undo();
    await load.settle(500);
  }
}

let run = 0;
async function measure(size: fixture.Size, proxies: number, which: 'hosts' | 'whole'): Promise<void> {
  run++;
  const istiod = await start();
  const address = { host: '127.0.0.1', port: istiod.ports.grpc };
  const load = new Load({ size, proxies, address, incrementalRoutes: which === 'hosts' });
  try {
    heading(size.services, proxies, which, istiod);
    const ready = { cpu: cpuSeconds(istiod.pid) };
    const clientBefore = process.cpuUsage();
    const initial = await load.start(600_000);
    await load.settle(1000);
    const cpu = cpuSeconds(istiod.pid) - ready.cpu;
    const used = process.cpuUsage(clientBefore);
    console.log(
      `  all configured after ${initial.seconds.toFixed(1)} s, ${cpu.toFixed(1)} CPU s, ${mib(initial.bytes)} MiB sent, RSS ${residentMib(istiod.pid, 'now').toFixed(0)} MiB, peak ${residentMib(istiod.pid, 'peak').toFixed(0)} MiB; client ${((used.user + used.system) / 1e6).toFixed(1)} CPU s; ${initial.retries} streams turned away`,
    );
    await table(load, istiod, changes(size, run));
    if (options.hindered) {
      run++;
      const before = residentMib(istiod.pid, 'now');
      load.hinder(SLOW_MS);
      console.log(
        `  with one proxy that acknowledges after ${SLOW_MS / 1000} s and one that reads nothing any more, the other ${proxies - 2}:`,
      );
      await table(load, istiod, changes(size, run));
      console.log(`  RSS ${before.toFixed(0)} MiB before, ${residentMib(istiod.pid, 'now').toFixed(0)} MiB after`);
    }
    console.log(
      `  at the end: RSS ${residentMib(istiod.pid, 'now').toFixed(0)} MiB, peak ${residentMib(istiod.pid, 'peak').toFixed(0)} MiB`,
    );
  } finally {
    load.close();
    await stop(istiod);
  }
}

let xdsloadProgram = options.xdsload;
async function measureWithXdsload(
  size: fixture.Size,
  proxies: number,
  which: 'xdsload' | 'xdsload-sotw',
): Promise<void> {
  if (xdsloadProgram === undefined) {
    const built = buildXdsload(directory);
    if (built.program === undefined) {
      console.log(`\n${CLIENT_NAMES[which]} is left out: ${built.reason}`);
      return;
    }
    xdsloadProgram = built.program;
  }
  const istiod = await start();
  try {
    heading(size.services, proxies, which, istiod);
    runXdsload(xdsloadProgram, {
      ...size,
      proxies,
      port: istiod.ports.grpc,
      pid: istiod.pid,
      kubeconfig,
      changes: options.changes,
      reps: options.reps,
      stateOfTheWorld: which === 'xdsload-sotw',
    });
    console.log(
      `  at the end: RSS ${residentMib(istiod.pid, 'now').toFixed(0)} MiB, peak ${residentMib(istiod.pid, 'peak').toFixed(0)} MiB`,
    );
  } finally {
    await stop(istiod);
  }
}

const seeder = new Seeder(client);
await prepareCluster(client);
for (const { services, proxies } of options.sizes) {
  const started = performance.now();
  const size: fixture.Size = { services, namespaces: 10, endpoints: 2 };
  await seeder.seed(size);
  console.log(`\nseeded ${services} services in ${((performance.now() - started) / 1000).toFixed(0)} s`);
  for (const which of options.clients) {
    switch (which) {
      case 'hosts':
      case 'whole':
        await measure(size, proxies, which);
        break;
      case 'xdsload':
      case 'xdsload-sotw':
        await measureWithXdsload(size, proxies, which);
        break;
    }
  }
}
if (options.unseed) await seeder.unseed();
process.exit(0);
