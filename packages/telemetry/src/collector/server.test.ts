import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { encode } from '@istio-ts/envoy';
import { type GrpcChannel, openGrpcChannel } from '@istio-ts/envoy/grpc';
import { freePort } from '@istio-ts/envoy/testing/free-port';
import { eventually } from '@istio-ts/envoy/testing/eventually';
import { promtoolComplaints } from '@istio-ts/metrics/promtool.test-support';
import { type RunningLogServer, startLogServer } from '../logs/server.ts';
import { type RunningTraceServer, startTraceServer } from '../traces/server.ts';
import { readCollectorConfig } from './config.ts';
import { type RunningCollector, startCollector } from './server.ts';

const service = (signal: string): string =>
  `/opentelemetry.proto.collector.${signal === 'traces' ? 'trace' : signal}.v1.${{ traces: 'Trace', metrics: 'Metrics', logs: 'Logs' }[signal]}Service/Export`;

const resource = {
  attributes: [
    { key: 'service.name', value: { stringValue: 'cart' } },
    { key: 'service.namespace', value: { stringValue: 'shop' } },
  ],
};

const traceRequest = (spanId: number): Uint8Array =>
  encode('opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest', {
    resourceSpans: [
      {
        resource,
        scopeSpans: [
          {
            spans: [
              {
                traceId: Buffer.alloc(16, 7).toString('base64'),
                spanId: Buffer.alloc(8, spanId).toString('base64'),
                name: 'checkout',
                kind: 'SPAN_KIND_SERVER',
                startTimeUnixNano: `${Date.now()}000000`,
                endTimeUnixNano: `${Date.now() + 5}000000`,
              },
            ],
          },
        ],
      },
    ],
  });

const logRequest = (body: string): Uint8Array =>
  encode('opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest', {
    resourceLogs: [
      {
        resource,
        scopeLogs: [
          {
            logRecords: [
              {
                timeUnixNano: `${Date.now()}000000`,
                body: { stringValue: body },
                attributes: [
                  { key: 'pod', value: { stringValue: 'cart-1' } },
                  { key: 'code', value: { intValue: '200' } },
                ],
              },
            ],
          },
        ],
      },
    ],
  });

// Messages of metrics, by hand: fields of length and of eight bytes.
const field = (number: number, ...parts: readonly Buffer[]): Buffer => {
  const inner = Buffer.concat(parts);
  const length: number[] = [];
  for (let left = inner.length; ; left >>>= 7) {
    length.push(left > 127 ? (left & 127) | 128 : left);
    if (left <= 127) break;
  }
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), inner]);
};
const eight = (number: number, write: (buffer: Buffer) => unknown): Buffer => {
  const bytes = Buffer.alloc(8);
  write(bytes);
  return Buffer.concat([Buffer.from([(number << 3) | 1]), bytes]);
};
const double = (number: number, value: number): Buffer => eight(number, (bytes) => bytes.writeDoubleLE(value));
const fixed = (number: number, value: number): Buffer => eight(number, (bytes) => bytes.writeBigInt64LE(BigInt(value)));
const small = (number: number, value: number): Buffer => Buffer.from([number << 3, value]);
const attribute = (number: number, key: string, value: string): Buffer =>
  field(number, Buffer.from(encode('opentelemetry.proto.common.v1.KeyValue', { key, value: { stringValue: value } })));
const text = (number: number, value: string): Buffer => field(number, Buffer.from(value));
const packedDoubles = (number: number, ...values: readonly number[]): Buffer =>
  field(number, ...values.map((value) => double(1, value).subarray(1)));
const packedCounts = (number: number, ...values: readonly number[]): Buffer =>
  field(number, ...values.map((value) => fixed(1, value).subarray(1)));

const DELTA = 1;
const metricsRequest = (temporality: number): Buffer =>
  field(
    1,
    field(1, attribute(1, 'service.name', 'cart')),
    field(
      2,
      field(
        2,
        text(1, 'orders'),
        text(2, 'Orders\ntaken.'),
        field(7, field(1, fixed(6, 5), attribute(7, 'kind', 'a "b"')), small(2, temporality), small(3, 1)),
      ),
      field(2, text(1, 'queue.size'), field(5, field(1, double(4, 1.5)))),
      field(
        2,
        ...[text(1, 'took'), text(3, 's')],
        field(
          9,
          field(1, fixed(4, 6), double(5, 2.5), packedCounts(6, 1, 2, 3), packedDoubles(7, 0.1, 1)),
          small(2, temporality),
        ),
      ),
      field(
        2,
        text(1, 'sizes'),
        text(3, 'By'),
        field(11, field(1, fixed(4, 2), double(5, 9), field(6, double(1, 0.5), double(2, 4)))),
      ),
    ),
  );

describe('in the place of the OpenTelemetry collector', () => {
  let traces: RunningTraceServer;
  let logs: RunningLogServer;
  let collector: RunningCollector;
  let channel: GrpcChannel;
  let latePort = 0;
  const printed: string[] = [];
  const errors: string[] = [];
  const started: RunningCollector[] = [];
  const start = async (yaml: string): Promise<RunningCollector> => {
    const running = await startCollector({
      config: readCollectorConfig(yaml),
      print: (line) => void printed.push(line),
      now: Date.now,
      onError: (message) => void errors.push(message),
    });
    started.push(running);
    return running;
  };

  before(async () => {
    traces = await startTraceServer({ host: '127.0.0.1', httpPorts: [0], grpcPorts: [0], version: 'test' });
    logs = await startLogServer({ host: '127.0.0.1', port: 0, now: Date.now });
    latePort = await freePort();
    collector = await start(`
receivers: {otlp: {protocols: {grpc: {endpoint: "127.0.0.1:0"}, http: {endpoint: "127.0.0.1:0"}}}}
processors:
  batch: {}
  attributes:
    actions:
    - {action: insert, key: loki.attribute.labels, value: pod}
    - {action: delete, key: code}
exporters:
  debug: {verbosity: detailed}
  otlp: {endpoint: "127.0.0.1:${traces.grpcPorts[0]}", tls: {insecure: true}}
  otlp/late: {endpoint: "127.0.0.1:${latePort}", tls: {insecure: true}}
  otlphttp: {endpoint: "http://127.0.0.1:${traces.httpPorts[0]}"}
  otlphttp/loki: {endpoint: "http://127.0.0.1:${logs.port}/otlp"}
  zipkin: {endpoint: "http://127.0.0.1:${traces.httpPorts[0]}/api/v2/spans"}
  loki: {endpoint: "http://127.0.0.1:${logs.port}/loki/api/v1/push"}
  prometheus: {endpoint: "127.0.0.1:0"}
service:
  pipelines:
    traces: {receivers: [otlp], exporters: [otlp, debug]}
    traces/late: {receivers: [otlp], exporters: [otlp/late]}
    traces/others: {receivers: [otlp], processors: [batch], exporters: [otlphttp, zipkin]}
    metrics: {receivers: [otlp], exporters: [prometheus]}
    logs: {receivers: [otlp], processors: [attributes], exporters: [loki, debug]}
    logs/otlp: {receivers: [otlp], exporters: [otlphttp/loki]}
`);
    channel = openGrpcChannel({ kind: 'tcp', host: '127.0.0.1', port: collector.grpcPort ?? 0 });
  });
  after(async () => {
    channel?.close();
    for (const one of started) await one.close();
    logs?.close();
    await traces?.close();
  });
  const post = (signal: string, body: Uint8Array, type = 'application/x-protobuf'): Promise<Response> =>
    fetch(`http://127.0.0.1:${collector.httpPort}/v1/${signal}`, {
      method: 'POST',
      headers: { 'content-type': type },
      body: new Uint8Array(body),
    });
  const spansIn = ({ store }: RunningTraceServer) => store.find({ service: 'cart', tags: {}, limit: 10 }).flat();

  it('hands traces on by OTLP over gRPC and HTTP and to Zipkin, and to a receiver that comes later', async () => {
    await channel.unary(service('traces'), traceRequest(1));
    // The same span by three ways: OTLP over gRPC, OTLP over HTTP, Zipkin.
    await eventually('the span by every way', () => traces.store.counts.received === 3);
    assert.equal((await post('traces', traceRequest(2))).status, 200);
    await eventually('the span that came by HTTP', () => spansIn(traces).some(({ id }) => id === '02'.repeat(8)));
    await eventually('a word about the receiver that is away', () =>
      errors.some((message) => message.startsWith('otlp/late: traces wait:')),
    );
    const late = await startTraceServer({ host: '127.0.0.1', httpPorts: [], grpcPorts: [latePort], version: 'test' });
    try {
      await eventually('both spans', () => new Set(spansIn(late).map(({ id }) => id)).size === 2);
    } finally {
      await late.close();
    }
    assert.ok(printed.some((line) => /^span (07){16}\/(01){8} cart: checkout \(server, 5\d* µs\)$/.test(line)));
  });

  it('hands logs on to Loki with the labels that attributes name, and prints them', async () => {
    await channel.unary(service('logs'), logRequest('GET /cart 200\n'));
    const query = async (text: string) => {
      const parameters = new URLSearchParams({ query: text });
      const response = await fetch(`http://127.0.0.1:${logs.port}/loki/api/v1/query_range?${parameters}`);
      const { data } = (await response.json()) as {
        data: { result: readonly { stream: object; values: readonly [string, string][] }[] };
      };
      return data.result[0];
    };
    const pushed = await eventually('the line', () => query('{pod="cart-1"}'));
    assert.deepEqual(pushed.stream, { exporter: 'OTLP', job: 'shop/cart', pod: 'cart-1' });
    assert.deepEqual(JSON.parse(pushed.values[0]?.[1] ?? ''), {
      body: 'GET /cart 200',
      resources: { 'service.name': 'cart', 'service.namespace': 'shop' },
    });
    const sent = await eventually('the line by OTLP', () => query('{service_name="cart"}'));
    assert.deepEqual(sent.stream, { service_name: 'cart', service_namespace: 'shop', pod: 'cart-1', code: '200' });
    assert.equal(sent.values[0]?.[1], 'GET /cart 200');
    assert.ok(printed.includes('GET /cart 200 {"pod":"cart-1","loki.attribute.labels":"pod"}'));
  });

  it('shows metrics to Prometheus; what comes as a difference is added up', async (t) => {
    const scrape = async (): Promise<string> =>
      (await fetch(`http://127.0.0.1:${collector.metricsPorts.get('prometheus')}/metrics`)).text();
    await channel.unary(service('metrics'), metricsRequest(DELTA));
    assert.equal((await post('metrics', metricsRequest(DELTA))).status, 200);
    const found = await eventually('both differences', async () => {
      const all = await scrape();
      return all.includes('orders_total{job="cart",kind="a \\"b\\""} 10') ? all : undefined;
    });
    assert.equal(
      found,
      `# HELP orders_total Orders\\ntaken.
# TYPE orders_total counter
orders_total{job="cart",kind="a \\"b\\""} 10
# TYPE queue_size gauge
queue_size{job="cart"} 1.5
# TYPE sizes_bytes summary
sizes_bytes{job="cart",quantile="0.5"} 4
sizes_bytes_sum{job="cart"} 9
sizes_bytes_count{job="cart"} 2
# TYPE took_seconds histogram
took_seconds_bucket{job="cart",le="0.1"} 2
took_seconds_bucket{job="cart",le="1"} 6
took_seconds_bucket{job="cart",le="+Inf"} 12
took_seconds_sum{job="cart"} 5
took_seconds_count{job="cart"} 12
`,
    );
    const complaints = promtoolComplaints(found, () => false);
    if (complaints === undefined) return t.diagnostic('promtool is not on this machine');
    assert.deepEqual(complaints, []);
  });

  it('refuses what it cannot read, and what no pipeline takes', async () => {
    assert.equal((await post('logs', Buffer.from([255, 255]))).status, 400);
    assert.match(
      await (await post('traces', Buffer.from('{}'), 'application/json')).text(),
      /"application\/json" is not built/,
    );
    await assert.rejects(channel.unary(service('metrics'), Buffer.from([255, 255])), { status: 'INVALID_ARGUMENT' });
    const onlyLogs = await start(`
receivers: {otlp: {protocols: {grpc: {endpoint: "127.0.0.1:0"}}}}
exporters: {logging: {}}
service: {pipelines: {logs: {receivers: [otlp], exporters: [logging]}}}
`);
    const other = openGrpcChannel({ kind: 'tcp', host: '127.0.0.1', port: onlyLogs.grpcPort ?? 0 });
    await assert.rejects(other.unary(service('traces'), traceRequest(3)), { status: 'UNIMPLEMENTED' });
    other.close();
  });
});
