// `npm run bench -- console [--services N]`: what a graph of many services costs the console's server. Every service has three others that it calls;
// their metrics come from the metrics store, which scrapes them from here, the objects from an API server of the local cluster. Prints CPU seconds of
// the console's process for each request, the second and later ones of the same page, and the sizes of the answers.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { config, deployment, meshed, service } from '@istio-ts/console/mesh/objects.test-support';
import { ask, listen, startTestCluster } from '@istio-ts/console/server.test-support';
import { freePorts } from '../../e2e/support/ports.ts';
import { until } from '../../e2e/support/shell.ts';

const { values } = parseArgs({
  args: process.argv.slice(3),
  options: { services: { type: 'string', default: '500' }, profile: { type: 'string' } },
});
const count = Number(values.services);
const namespaces = ['one', 'two', 'three', 'four', 'five'];
const placeOf = (index: number): string => namespaces[index % namespaces.length] ?? '';
const callees = (index: number): readonly number[] => [1, 7, 31].map((step) => (index + step) % count);
const bounds = ['0.5', '1', '5', '10', '25', '50', '100', '250', '500', '1000', '2500', '5000', '10000', '+Inf'];
const started = Date.now();

/** The exposition of all proxies in one, as it is now. */
function exposition(): string {
  const requests = Math.round((Date.now() - started) / 100);
  const lines: string[] = ['# TYPE istio_requests_total counter'];
  const flows: string[] = [];
  for (let from = 0; from < count; from++)
    for (const to of callees(from))
      for (const reporter of ['source', 'destination']) {
        const side = (name: string, index: number) =>
          `${name}_workload="s${index}-v1",${name}_workload_namespace="${placeOf(index)}",${name}_canonical_service="s${index}",${name}_canonical_revision="v1"`;
        flows.push(
          `reporter="${reporter}",${side('source', from)},${side('destination', to)},destination_service="s${to}.${placeOf(to)}.svc.cluster.local",destination_service_name="s${to}",destination_service_namespace="${placeOf(to)}",request_protocol="http",response_code="200",response_flags="-",connection_security_policy="${reporter === 'source' ? 'unknown' : 'mutual_tls'}"`,
        );
      }
  for (const flow of flows) lines.push(`istio_requests_total{${flow}} ${requests}`);
  lines.push('# TYPE istio_request_duration_milliseconds histogram');
  for (const flow of flows) {
    for (const [at, le] of bounds.entries())
      lines.push(`istio_request_duration_milliseconds_bucket{${flow},le="${le}"} ${at < 3 ? 0 : requests}`);
    lines.push(`istio_request_duration_milliseconds_sum{${flow}} ${requests * 7}`);
    lines.push(`istio_request_duration_milliseconds_count{${flow}} ${requests}`);
  }
  return `${lines.join('\n')}\n`;
}

const folder = mkdtempSync(join(tmpdir(), 'istio-ts-bench-console-'));
const bin = join(import.meta.dirname, '..', '..', 'dist', 'bin');
const children: ChildProcess[] = [];
const start = (program: string, args: readonly string[], flags: readonly string[] = []): ChildProcess => {
  const child = spawn(process.execPath, [...flags, join(bin, program), ...args], { stdio: 'ignore', cwd: folder });
  children.push(child);
  return child;
};
/** CPU seconds of a process, user and system. */
const cpuOf = ({ pid }: ChildProcess): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
};

const metrics = createServer((_request, response) => {
  response.setHeader('content-type', 'text/plain; version=0.0.4');
  response.end(exposition());
});
const cluster = await startTestCluster();
try {
  const scraped = await listen(metrics);
  const [storePort = 0, port = 0] = await freePorts(2);
  const configFile = join(folder, 'prometheus.yml');
  writeFileSync(
    configFile,
    `global: {scrape_interval: 15s, scrape_timeout: 15s}\nscrape_configs: [{job_name: mesh, static_configs: [{targets: ["127.0.0.1:${scraped}"]}]}]\n`,
  );
  start('metrics-store.mjs', [
    `--config.file=${configFile}`,
    `--web.listen-address=127.0.0.1:${storePort}`,
    '--memory.max-megabytes=1024',
  ]);
  await cluster.create(...namespaces.map(meshed));
  for (let index = 0; index < count; index++) {
    const place = placeOf(index);
    await cluster.create(
      ...deployment(place, `s${index}`, 'v1'),
      service(place, `s${index}`),
      config('VirtualService', place, `s${index}`, {
        hosts: [`s${index}`],
        http: [{ timeout: '5s', route: [{ destination: { host: `s${index}`, subset: 'v1' } }] }],
      }),
      config('DestinationRule', place, `s${index}`, {
        host: `s${index}`,
        subsets: [{ name: 'v1', labels: { version: 'v1' } }],
      }),
      config(
        'AuthorizationPolicy',
        place,
        `s${index}`,
        { selector: { matchLabels: { app: `s${index}` } }, rules: [{}] },
        'security.istio.io/v1',
      ),
    );
  }
  const console_ = start(
    'console.mjs',
    [
      'server',
      '--host=127.0.0.1',
      `--port=${port}`,
      `--kubeconfig=${join(cluster.server.directory, 'kubeconfig')}`,
      `--prometheus-url=http://127.0.0.1:${storePort}`,
      '--auth-strategy=anonymous',
    ],
    values.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${values.profile}`],
  );
  await until('the graph to have its edges', async () => {
    const { json } = await ask<{ readonly edges: readonly unknown[] }>(port, '/api/graph?type=app&duration=60');
    return json.edges.length >= count * 3 || undefined;
  });
  for (const path of [
    '/api/graph?type=versionedApp&duration=60',
    '/api/graph?type=service&duration=60',
    '/api/services?duration=60',
    '/api/namespaces?duration=60',
    '/api/services/one/s0?duration=600',
  ]) {
    const costs: number[] = [];
    let size = 0;
    for (let round = 0; round < 5; round++) {
      // Beyond the time for which lists and answers of Prometheus are remembered.
      await new Promise((resolve) => setTimeout(resolve, 5_000));
      const before = cpuOf(console_);
      const { status, text } = await ask(port, path);
      if (status !== 200) throw new Error(`${path}: ${status} ${text.slice(0, 300)}`);
      size = text.length;
      costs.push(cpuOf(console_) - before);
    }
    console.log(
      `${path.padEnd(46)} ${costs.map((cost) => `${(cost * 1000).toFixed(0)} ms`).join(', ')} of CPU; ${Math.round(size / 1024)} KiB`,
    );
  }
  const ended = new Promise((resolve) => console_.once('exit', resolve));
  console_.kill('SIGTERM');
  await ended;
} finally {
  for (const child of children) child.kill('SIGKILL');
  metrics.close();
  metrics.closeAllConnections();
  await cluster.close();
  rmSync(folder, { recursive: true, force: true });
}
