import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Labels, labelPairs, labelValue, METRIC_NAME } from '../labels.ts';
import { numberText } from './values.ts';

const find = (program: string): string | undefined =>
  (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, program))
    .find((path) => existsSync(path));

/** Why tests beside the real Prometheus cannot run here. */
export const prometheusMissing: string | false =
  find('prometheus') && find('promtool')
    ? false
    : 'there is no prometheus and promtool in PATH (Debian: package prometheus)';

export interface GivenSeries {
  readonly labels: Labels;
  /** Milliseconds and values. */
  readonly samples: readonly (readonly [time: number, value: number])[];
}

/** As OpenMetrics has it, for `promtool tsdb create-blocks-from openmetrics`. */
function openMetrics(series: readonly GivenSeries[]): string {
  const families = new Map<string, string[]>();
  for (const { labels, samples } of series) {
    const name = labelValue(labels, METRIC_NAME);
    const inner = [...labelPairs(labels)]
      .filter(([label]) => label !== METRIC_NAME)
      .map(([label, value]) => `${label}="${value.replace(/[\\"]/g, (sign) => `\\${sign}`).replaceAll('\n', '\\n')}"`)
      .join(',');
    const lines = families.get(name) ?? [];
    families.set(name, lines);
    for (const [time, value] of samples)
      lines.push(`${name}{${inner}} ${numberText(value)} ${(time / 1000).toFixed(3)}`);
  }
  return `${[...families].map(([name, lines]) => `# TYPE ${name} unknown\n${lines.join('\n')}`).join('\n')}\n# EOF\n`;
}

export interface RealPrometheus {
  readonly url: string;
  close(): Promise<void>;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A Prometheus that has these samples and scrapes nothing. */
export async function startPrometheus(series: readonly GivenSeries[]): Promise<RealPrometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'istio-ts-prometheus-'));
  const input = join(folder, 'samples.txt');
  const data = join(folder, 'data');
  writeFileSync(input, openMetrics(series));
  execFileSync('promtool', ['tsdb', 'create-blocks-from', 'openmetrics', input, data], { stdio: 'pipe' });
  writeFileSync(join(folder, 'prometheus.yml'), 'global: {}\n');
  const port = await freePort();
  const child = spawn(
    'prometheus',
    [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${data}`,
      '--storage.tsdb.retention.time=100y',
      `--web.listen-address=127.0.0.1:${port}`,
      '--enable-feature=promql-negative-offset,promql-at-modifier',
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], cwd: folder },
  );
  let log = '';
  child.stderr.on('data', (text: Buffer) => {
    log += text.toString();
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const close = async (): Promise<void> => {
    child.kill('SIGTERM');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  const url = `http://127.0.0.1:${port}`;
  for (const deadline = Date.now() + 60_000; ; await delay(50)) {
    const ready = await fetch(`${url}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (ready) return { url, close };
    if (child.exitCode !== null || Date.now() > deadline) {
      await close();
      throw new Error(`Prometheus did not start:\n${log.slice(-2000)}`);
    }
  }
}
