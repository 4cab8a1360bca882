import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DecodeError, decode } from '@istio-ts/envoy';
import { type OtelRecord, type PlainValue, recordsOf } from '../otel-logs/records.ts';
import { type Answer, json, text } from '../traces/answer.ts';
import { BodyError, bodyOf } from '../traces/http-handler.ts';
import { durationMs, LogQueryError, parseLogQuery, parseSelector } from './logql.ts';
import { type Range, runCountQuery, runLogQuery } from './run-query.ts';
import { type Entry, type LogLimits, LogRefused, LogStore } from './store.ts';

const MAX_BODY_BYTES = 16 * 1024 * 1024;
const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 5000;
const HOUR_MS = 3_600_000;
const NANO = 1_000_000n;

export const LOKI_NOTICE = [
  'This is not Loki but istio-ts in its place: the local cluster runs no containers and has no program of Loki.',
  'It keeps logs in memory, takes them by POST /loki/api/v1/push (JSON) and /otlp/v1/logs (protobuf), and answers',
  '/loki/api/v1/query_range, query, labels, label/NAME/values and series: selectors, |= != |~ !~, | json, | logfmt,',
  'comparisons of labels, count_over_time, rate, bytes_over_time, bytes_rate and sum by. The rest of LogQL is not built.',
  'On a cluster with containers samples/addons/loki.yaml brings the real Loki.',
].join('\n');

type Fields = Readonly<Record<string, unknown>>;
const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function textsOf(value: unknown, what: string): Readonly<Record<string, string>> {
  if (value === undefined) return {};
  if (!isFields(value)) throw new LogRefused(`${what} is no object`);
  for (const inner of Object.values(value))
    if (typeof inner !== 'string') throw new LogRefused(`${what} has a value that is no text`);
  return value as Readonly<Record<string, string>>;
}

function takePush(store: LogStore, body: Buffer): void {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString());
  } catch {
    throw new LogRefused('the body is no JSON');
  }
  const streams = isFields(parsed) ? parsed.streams : undefined;
  if (!Array.isArray(streams)) throw new LogRefused('there is no list of streams');
  for (const each of streams as readonly unknown[]) {
    const { stream, values } = isFields(each) ? each : {};
    if (!Array.isArray(values)) throw new LogRefused('a stream has no list of values');
    const entries = (values as readonly unknown[]).map((value): Entry => {
      const [time, line, metadata] = Array.isArray(value) ? (value as readonly unknown[]) : [];
      if (typeof time !== 'string' || !/^\d{1,19}$/.test(time) || typeof line !== 'string')
        throw new LogRefused('a value is [nanoseconds as text, line]');
      return { time: BigInt(time), line, metadata: textsOf(metadata, 'metadata of a value') };
    });
    store.add(textsOf(stream, 'stream'), entries);
  }
}

const shown = (value: PlainValue): string => (typeof value === 'string' ? value : JSON.stringify(value));
const labelName = (name: string): string => name.replace(/[^a-zA-Z0-9_]/g, '_').replace(/^(?=\d)/, '_');

/** Attributes of resources that become labels; the others are of the entry (Loki's documentation, "Ingesting logs using OpenTelemetry"). */
const INDEXED: ReadonlySet<string> = new Set([
  ...[
    'cloud.availability_zone',
    'cloud.region',
    'container.name',
    'deployment.environment',
    'deployment.environment.name',
  ],
  ...[
    'k8s.cluster.name',
    'k8s.container.name',
    'k8s.cronjob.name',
    'k8s.daemonset.name',
    'k8s.deployment.name',
    'k8s.job.name',
  ],
  ...['k8s.namespace.name', 'k8s.pod.name', 'k8s.replicaset.name', 'k8s.statefulset.name'],
  ...['service.instance.id', 'service.name', 'service.namespace'],
]);

function takeOtlp(store: LogStore, records: readonly OtelRecord[], nowMs: number): void {
  for (const { timeUnixNano, body, attributes, resource } of records) {
    const labels: Record<string, string> = { service_name: 'unknown_service' };
    const metadata: Record<string, string> = {};
    for (const [name, value] of Object.entries(resource))
      (INDEXED.has(name) ? labels : metadata)[labelName(name)] = shown(value);
    for (const [name, value] of Object.entries(attributes)) metadata[labelName(name)] = shown(value);
    const time = timeUnixNano === '0' ? BigInt(nowMs) * NANO : BigInt(timeUnixNano);
    store.add(labels, [{ time, line: shown(body).replace(/\n$/, ''), metadata }]);
  }
}

/** Nanoseconds, seconds with a fraction, or RFC 3339. */
function timeOf(written: string | null, fallback: bigint): bigint {
  if (written === null || written === '') return fallback;
  if (/^\d{11,19}$/.test(written)) return BigInt(written);
  if (/^\d+(?:\.\d+)?$/.test(written)) return BigInt(Math.round(Number(written) * 1e6)) * 1000n;
  const parsed = Date.parse(written);
  if (Number.isNaN(parsed)) throw new LogQueryError(`"${written}" is no time`);
  return BigInt(parsed) * NANO;
}

function rangeOf(parameters: URLSearchParams, nowMs: number): Range {
  const since = durationMs(parameters.get('since') ?? '1h') ?? HOUR_MS;
  const end = timeOf(parameters.get('end'), BigInt(nowMs) * NANO);
  const start = timeOf(parameters.get('start'), end - BigInt(since) * NANO);
  if (start > end) throw new LogQueryError('the end is before the start');
  return { start, end };
}

const success = (data: unknown): Answer => json({ status: 'success', data });

function answerQuery(store: LogStore, parameters: URLSearchParams, nowMs: number, isRange: boolean): Answer {
  const query = parseLogQuery(parameters.get('query') ?? '');
  if (!isRange) {
    if (query.kind === 'log') throw new LogQueryError('log queries are asked at /loki/api/v1/query_range');
    const at = timeOf(parameters.get('time'), BigInt(nowMs) * NANO);
    const result = runCountQuery(store, query, { start: at, end: at }, 1).flatMap(({ metric, values: [value] }) =>
      value === undefined ? [] : [{ metric, value }],
    );
    return success({ resultType: 'vector', result, stats: {} });
  }
  const range = rangeOf(parameters, nowMs);
  if (query.kind === 'metric') {
    const step = parameters.get('step');
    const fallback = Math.max(1000, Math.ceil(Number((range.end - range.start) / NANO) / 250));
    const stepMs = step === null ? fallback : (durationMs(step) ?? Math.round(Number(step) * 1000));
    if (!(stepMs >= 1)) throw new LogQueryError(`"${step}" is no step`);
    return success({ resultType: 'matrix', result: runCountQuery(store, query, range, stepMs), stats: {} });
  }
  const limit = Number(parameters.get('limit') ?? DEFAULT_LIMIT);
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT)
    throw new LogQueryError(`the limit is a number from 1 to ${MAX_LIMIT}`);
  const direction = (parameters.get('direction') ?? 'backward').toLowerCase();
  if (direction !== 'backward' && direction !== 'forward') throw new LogQueryError(`"${direction}" is no direction`);
  return success({ resultType: 'streams', result: runLogQuery(store, query, range, limit, direction), stats: {} });
}

const sorted = (values: Iterable<string>): readonly string[] => [...new Set(values)].sort();

function metricsText(store: LogStore): string {
  const { streams, bytes, received, evicted } = store.counts;
  const one = (name: string, type: 'gauge' | 'counter', help: string, value: number): string =>
    `# HELP log_store_${name} ${help}\n# TYPE log_store_${name} ${type}\nlog_store_${name} ${value}\n`;
  return [
    one('streams', 'gauge', 'Streams that are kept.', streams),
    one('bytes', 'gauge', 'Estimated memory of the entries.', bytes),
    one('received_total', 'counter', 'Entries that were taken.', received),
    one('evicted_total', 'counter', 'Entries that were forgotten, by age or for want of room.', evicted),
  ].join('');
}

/** Answers a request for what is kept. Undefined: there is no such path. Raises LogQueryError. */
function answer(store: LogStore, path: string, parameters: URLSearchParams, nowMs: number): Answer | undefined {
  switch (path) {
    case '/':
      return text(`${LOKI_NOTICE}\n`);
    case '/ready':
      return text('ready\n');
    case '/metrics':
      return text(metricsText(store));
    case '/loki/api/v1/query_range':
      return answerQuery(store, parameters, nowMs, true);
    case '/loki/api/v1/query':
      return answerQuery(store, parameters, nowMs, false);
    case '/loki/api/v1/labels':
      return success(sorted(store.streams().flatMap(({ labels }) => Object.keys(labels))));
    case '/loki/api/v1/series': {
      const selectors = parameters.getAll('match[]').concat(parameters.getAll('match'));
      const streams =
        selectors.length === 0 ? store.streams() : selectors.flatMap((one) => store.select(parseSelector(one)));
      return success([...new Set(streams)].map(({ labels }) => labels));
    }
    case '/loki/api/v1/status/buildinfo':
      return json({ version: 'istio-ts in the place of Loki' });
    default: {
      const [, name] = /^\/loki\/api\/v1\/label\/(\w+)\/values$/.exec(path) ?? [];
      if (name === undefined) return undefined;
      const selector = parameters.get('query');
      const streams = selector ? store.select(parseSelector(selector)) : store.streams();
      return success(sorted(streams.flatMap(({ labels }) => (labels[name] === undefined ? [] : [labels[name]]))));
    }
  }
}

export interface LogServerOptions {
  /** Default every interface. */
  readonly host?: string;
  /** 0 for any free one. */
  readonly port: number;
  readonly limits?: LogLimits;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export interface RunningLogServer {
  readonly port: number;
  readonly store: LogStore;
  close(): void;
}

/** Keeps logs and answers as Loki does, as far as LOKI_NOTICE says. Rejects when it cannot listen. */
export async function startLogServer({ host = '::', port, limits, now }: LogServerOptions): Promise<RunningLogServer> {
  const store = new LogStore(now, limits);
  const handle = async (request: IncomingMessage): Promise<Answer> => {
    const url = new URL(request.url ?? '/', 'http://loki');
    const type = (request.headers['content-type'] ?? '').split(';')[0]?.trim();
    if (url.pathname === '/loki/api/v1/push' || url.pathname === '/otlp/v1/logs') {
      const isPush = url.pathname === '/loki/api/v1/push';
      const wanted = isPush ? 'application/json' : 'application/x-protobuf';
      if (request.method !== 'POST') return text('POST\n', 405);
      if (type !== wanted) return text(`logs as "${type}" are not built here: send ${wanted}\n`, 415);
      const body = await bodyOf(request, MAX_BODY_BYTES);
      if (isPush) takePush(store, body);
      else
        takeOtlp(
          store,
          recordsOf(decode('opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest', body)),
          now(),
        );
      return text('', isPush ? 204 : 200);
    }
    const parameters = url.searchParams;
    if (request.method === 'POST' && type === 'application/x-www-form-urlencoded')
      for (const [name, value] of new URLSearchParams((await bodyOf(request, MAX_BODY_BYTES)).toString()))
        parameters.append(name, value);
    return (
      answer(store, url.pathname, parameters, now()) ?? text(`${url.pathname} is not built.\n\n${LOKI_NOTICE}\n`, 501)
    );
  };
  const server = createServer({ requestTimeout: 30_000, headersTimeout: 15_000 }, (request, response) => {
    const send = ({ status, type, body }: Answer): void => {
      request.resume();
      response.writeHead(status, { 'content-type': type, server: 'istio-ts' }).end(status === 204 ? undefined : body);
    };
    handle(request).then(send, (error: unknown) => {
      const message = `${error instanceof Error ? error.message : error}\n`;
      if (error instanceof LogRefused || error instanceof BodyError) send(text(message, error.status));
      else send(text(message, error instanceof LogQueryError || error instanceof DecodeError ? 400 : 500));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    store,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
