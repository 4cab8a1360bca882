import type { IncomingMessage, ServerResponse } from 'node:http';
import { http } from '../builtins.ts';
import type { AdminOptions } from '../envoy/admin.ts';
import { adminStream } from '../envoy/admin.ts';
import type { Json } from '../json.ts';
import { asObject, textField } from '../json.ts';
import type { Logger } from '../log.ts';
import type { AgentMetrics } from './agent-metrics.ts';
import { FoldedMetrics } from './folded-metrics.ts';
import { istioMetricNames, LineChunks } from './metric-names.ts';
import { fillMissingLabels } from './missing-labels.ts';

/** Where the application's own metrics are (`ISTIO_PROMETHEUS_ANNOTATIONS`, from the pod's `prometheus.io/*`). */
export interface ApplicationScrape {
  readonly port: number;
  readonly path: string;
}

/** Raises nothing: a wrong value means that there is nothing to scrape. The proxy's own port is refused, it would scrape itself. */
export function readApplicationScrape(text: string, statusPort: number): ApplicationScrape | undefined {
  if (text === '') return undefined;
  let parsed: Json;
  try {
    parsed = JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
  const settings = asObject(parsed);
  if (textField(settings, 'scrape') === 'false') return undefined;
  const port = Number(textField(settings, 'port') || 80);
  const path = textField(settings, 'path') || '/metrics';
  if (
    !Number.isInteger(port) ||
    port < 1 ||
    port > 65535 ||
    port === statusPort ||
    [15000, 15090, 15021].includes(port)
  )
    return undefined;
  return { port, path: path.startsWith('/') ? path : `/${path}` };
}

export interface MergeOptions {
  readonly admin: AdminOptions;
  readonly metrics: AgentMetrics;
  readonly application: ApplicationScrape | undefined;
  readonly log: Logger;
}

export const PROMETHEUS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Envoy's statistics as Istio shows them, batch by batch of lines; `end` gives what could be told only at the end. */
function istioMetrics(): TextChange {
  const folded = new FoldedMetrics();
  return {
    change: (text) => folded.take(fillMissingLabels(istioMetricNames(text))),
    end: () => folded.end(),
  };
}

/** Envoy's statistics with Istio's names and values, passed through as they come. */
export async function sendEnvoyMetrics(query: string, options: MergeOptions, response: ServerResponse): Promise<void> {
  try {
    const envoy = await adminStream('GET', `/stats/prometheus${query}`, { ...options.admin, timeoutMs: 30_000 });
    response.writeHead(envoy.statusCode ?? 502, { 'content-type': PROMETHEUS_TYPE });
    await pass(envoy, response, istioMetrics());
    response.end();
  } catch (error) {
    options.metrics.scrapeFailure('envoy');
    if (!response.headersSent) response.writeHead(503, { 'content-type': 'text/plain' });
    response.end(`${error instanceof Error ? error.message : String(error)}\n`);
  }
}

/** Agent, Envoy and application in one answer. A part that fails is left out and counted. */
export async function sendMergedMetrics(
  request: IncomingMessage,
  query: string,
  options: MergeOptions,
  response: ServerResponse,
): Promise<void> {
  const { metrics, log } = options;
  metrics.scrape();
  response.writeHead(200, { 'content-type': PROMETHEUS_TYPE });
  response.write(metrics.render());
  try {
    const envoy = await adminStream('GET', `/stats/prometheus${query}`, { ...options.admin, timeoutMs: 30_000 });
    if (envoy.statusCode !== 200) throw new Error(`status ${envoy.statusCode}`);
    await pass(envoy, response, istioMetrics());
  } catch (error) {
    metrics.scrapeFailure('envoy');
    log.warn("Envoy's metrics cannot be had", { error: error instanceof Error ? error.message : String(error) });
  }
  if (options.application !== undefined) {
    try {
      const application = await scrapeApplication(options.application, request);
      await pass(application, response, { change: withoutEnd, end: () => '' });
    } catch (error) {
      metrics.scrapeFailure('application');
      log.warn("the application's metrics cannot be had", {
        port: options.application.port,
        path: options.application.path,
        error: error instanceof Error ? error.message : String(error),
      });
    }
  }
  response.end();
}

/** OpenMetrics marks the end; in the middle of an answer that would be wrong. */
function withoutEnd(text: string): string {
  return text.replace(/^# EOF\s*$/gm, '');
}

function scrapeApplication(target: ApplicationScrape, request: IncomingMessage): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const timeoutSeconds = Number(request.headers['x-prometheus-scrape-timeout-seconds']) || 10;
    const outgoing = http.request(
      {
        host: '127.0.0.1',
        port: target.port,
        path: target.path,
        agent: false,
        headers: { accept: 'text/plain;version=0.0.4', 'user-agent': 'pilot-agent', connection: 'close' },
      },
      (response) => {
        if (response.statusCode === 200) resolve(response);
        else {
          response.resume();
          reject(new Error(`status ${response.statusCode}`));
        }
      },
    );
    outgoing.setTimeout(timeoutSeconds * 1000, () => outgoing.destroy(new Error('no answer in time')));
    outgoing.on('error', reject);
    outgoing.end();
  });
}

/** What happens to batches of whole lines on their way. */
interface TextChange {
  readonly change: (lines: string) => string;
  /** What comes after the last batch. */
  readonly end: () => string;
}

/** Copies with a change per batch of lines, no faster than the reader reads. */
function pass(source: IncomingMessage, target: ServerResponse, { change, end }: TextChange): Promise<void> {
  return new Promise((resolve, reject) => {
    const lines = new LineChunks();
    const put = (text: string): void => {
      if (text !== '' && !target.write(Buffer.from(text, 'latin1'))) {
        source.pause();
        target.once('drain', () => source.resume());
      }
    };
    const putChanged = (text: string): void => put(text === '' ? '' : change(text));
    source.on('data', (chunk: Buffer) => putChanged(lines.push(chunk)));
    source.on('end', () => {
      putChanged(lines.end());
      put(end());
      resolve();
    });
    source.on('error', reject);
    target.on('close', () => source.destroy());
    source.on('close', () => resolve());
  });
}
