import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { decode, encode } from '@istio-ts/envoy';
import { openGrpcChannel } from '@istio-ts/envoy/grpc';
import { type RunningTraceServer, startTraceServer } from './server.ts';

let server: RunningTraceServer;
let url = '';
before(async () => {
  server = await startTraceServer({
    host: '127.0.0.1',
    httpPorts: [0],
    grpcPorts: [0],
    version: '1',
    now: () => NOW / 1000,
  });
  url = `http://127.0.0.1:${server.httpPorts[0]}`;
});
after(() => server.close());

/** Microseconds. */
const NOW = 1_700_000_010_000_000;
const START = NOW - 5_000_000;

// biome-ignore lint/suspicious/noExplicitAny: answers are looked into deeply, and a wrong shape fails the test.
type Json = any;

async function get(path: string): Promise<{ status: number; body: Json }> {
  const answer = await fetch(`${url}${path}`);
  const text = await answer.text();
  return {
    status: answer.status,
    body: answer.headers.get('content-type') === 'application/json' ? JSON.parse(text) : text,
  };
}
const post = (path: string, contentType: string, body: string | Uint8Array<ArrayBuffer>, headers = {}) =>
  fetch(`${url}${path}`, { method: 'POST', body, headers: { 'content-type': contentType, ...headers } });

const zipkin = [
  {
    traceId: '0000000000000000463ac35c9f6413ad',
    id: '463ac35c9f6413ad',
    kind: 'CLIENT',
    name: 'cart:80/*',
    timestamp: START,
    duration: 2000,
    localEndpoint: { serviceName: 'shop.default', ipv4: '10.0.0.1', port: 0 },
    remoteEndpoint: { ipv4: '10.0.0.2', port: 8080 },
    tags: { 'http.status_code': '503', error: 'true', component: 'proxy' },
    annotations: [{ timestamp: START + 1, value: 'retry' }],
  },
  {
    traceId: '463ac35c9f6413ad',
    id: '463ac35c9f6413ad',
    kind: 'SERVER',
    shared: true,
    name: 'cart:80/*',
    timestamp: START + 500,
    duration: 1000,
    localEndpoint: { serviceName: 'cart.default', ipv4: '10.0.0.2' },
  },
];

test('Zipkin in, Jaeger and Zipkin out', async () => {
  assert.equal((await post('/api/v2/spans', 'application/json', JSON.stringify(zipkin))).status, 202);
  assert.deepEqual((await get('/jaeger/api/services')).body, {
    data: ['cart.default', 'shop.default'],
    total: 2,
    limit: 0,
    offset: 0,
    errors: null,
  });
  assert.deepEqual((await get('/jaeger/api/services/shop.default/operations')).body.data, ['cart:80/*']);
  assert.deepEqual((await get('/api/operations?service=cart.default&spanKind=server')).body.data, [
    { name: 'cart:80/*', spanKind: 'server' },
  ]);
  const trace = (await get('/jaeger/api/traces/463ac35c9f6413ad')).body.data[0];
  assert.equal(trace.traceID, '463ac35c9f6413ad');
  const [client, shared] = trace.spans;
  assert.deepEqual(client.references, []);
  assert.equal(client.startTime, START);
  assert.equal(client.duration, 2000);
  assert.deepEqual(
    client.tags.find(({ key }: { key: string }) => key === 'error'),
    { key: 'error', type: 'bool', value: true },
  );
  assert.deepEqual(
    client.tags.find(({ key }: { key: string }) => key === 'span.kind'),
    { key: 'span.kind', type: 'string', value: 'client' },
  );
  assert.deepEqual(client.logs, [{ timestamp: START + 1, fields: [{ key: 'event', type: 'string', value: 'retry' }] }]);
  assert.deepEqual(shared.references, [
    { refType: 'CHILD_OF', traceID: '463ac35c9f6413ad', spanID: '463ac35c9f6413ad' },
  ]);
  assert.equal(trace.processes[shared.processID].serviceName, 'cart.default');
  const found = async (query: string) => (await get(`/jaeger/api/traces?${query}`)).body.data?.length;
  assert.equal(await found('service=shop.default'), 1);
  assert.equal(
    await found('service=shop.default&operation=cart:80/*&minDuration=1ms&maxDuration=1.5s&limit=20&lookback=1h'),
    1,
  );
  assert.equal(await found('service=shop.default&minDuration=3ms'), 0);
  assert.equal(await found(`service=shop.default&tags=${encodeURIComponent('{"error":"true"}')}`), 1);
  assert.equal(await found(`service=shop.default&tag=http.status_code:503&tag=component:proxy`), 1);
  assert.equal(await found(`service=shop.default&tag=http.status_code:200`), 0);
  assert.equal(await found(`service=shop.default&start=${START + 1}&end=${NOW}`), 0);
  assert.equal(await found('traceID=463ac35c9f6413ad&traceID=1'), 1);
  assert.deepEqual((await get('/jaeger/api/dependencies?lookback=60000')).body.data, [
    { parent: 'shop.default', child: 'cart.default', callCount: 1 },
  ]);
  assert.deepEqual((await get('/zipkin/api/v2/services')).body, ['cart.default', 'shop.default']);
  assert.deepEqual((await get('/zipkin/api/v2/spans?serviceName=cart.default')).body, ['cart:80/*']);
  assert.deepEqual((await get('/zipkin/api/v2/remoteServices?serviceName=shop.default')).body, ['cart.default']);
  const again = (await get('/api/v2/trace/463ac35c9f6413ad')).body;
  assert.deepEqual(
    again.map(({ shared: isShared }: { shared?: boolean }) => isShared),
    [undefined, true],
  );
  assert.deepEqual(again[0].tags, zipkin[0]?.tags);
  assert.equal((await get('/zipkin/api/v2/traces?serviceName=shop.default&annotationQuery=error')).body.length, 1);
  assert.equal((await get('/zipkin/api/v2/traces?serviceName=shop.default&minDuration=2001')).body.length, 0);
  assert.deepEqual((await get(`/zipkin/api/v2/dependencies?endTs=${NOW / 1000}`)).body, [
    { parent: 'shop.default', child: 'cart.default', callCount: 1 },
  ]);
});

test('Zipkin’s first version: both sides of a span in one', async () => {
  const host = (serviceName: string) => ({ serviceName, ipv4: '10.0.0.9' });
  const span = {
    traceId: '00000000000000f1',
    id: '00000000000000f2',
    name: 'get',
    annotations: [
      { timestamp: START, value: 'cs', endpoint: host('old-client') },
      { timestamp: START + 10, value: 'sr', endpoint: host('old-server') },
      { timestamp: START + 20, value: 'ss', endpoint: host('old-server') },
      { timestamp: START + 40, value: 'cr', endpoint: host('old-client') },
    ],
    binaryAnnotations: [{ key: 'http.path', value: '/x', endpoint: host('old-client') }],
  };
  assert.equal((await post('/api/v1/spans', 'application/json', JSON.stringify([span]))).status, 202);
  const { spans, processes } = (await get('/jaeger/api/traces/f1')).body.data[0];
  assert.deepEqual(
    spans.map((each: Json) => [processes[each.processID].serviceName, each.duration]),
    [
      ['old-client', 40],
      ['old-server', 10],
    ],
  );
});

const otlp = (id: string) => ({
  resourceSpans: [
    {
      resource: { attributes: [{ key: 'service.name', value: { stringValue: `otlp-${id[0]}` } }] },
      scopeSpans: [
        {
          spans: [
            {
              traceId: Buffer.from(id.repeat(32), 'hex').toString('base64'),
              spanId: Buffer.from(id.repeat(16), 'hex').toString('base64'),
              name: 'work',
              kind: 'SPAN_KIND_SERVER' as const,
              startTimeUnixNano: `${START}000`,
              endTimeUnixNano: `${START + 7}000`,
              attributes: [
                { key: 'count', value: { intValue: '3' } },
                { key: 'yes', value: { boolValue: true } },
                { key: 'list', value: { arrayValue: { values: [{ stringValue: 'a' }] } } },
              ],
              status: { code: 'STATUS_CODE_ERROR' as const, message: 'no' },
            },
          ],
        },
      ],
    },
  ],
});

test('OTLP over gRPC, and over HTTP as protobuf, packed, and as JSON', async () => {
  const name = 'opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest';
  const bytes = (id: string) => new Uint8Array(encode(name, otlp(id)));
  const channel = openGrpcChannel({ kind: 'tcp', host: '127.0.0.1', port: server.grpcPorts[0] ?? 0 });
  try {
    const answer = await channel.unary('/opentelemetry.proto.collector.trace.v1.TraceService/Export', bytes('a'));
    assert.deepEqual(decode('opentelemetry.proto.collector.trace.v1.ExportTraceServiceResponse', answer), {});
  } finally {
    channel.close();
  }
  assert.equal((await post('/v1/traces', 'application/x-protobuf', bytes('b'))).status, 200);
  const packed = new Uint8Array(gzipSync(bytes('c')));
  assert.equal(
    (await post('/v1/traces', 'application/x-protobuf', packed, { 'content-encoding': 'gzip' })).status,
    200,
  );
  const written = JSON.stringify(otlp('d'), (key, value) =>
    key === 'traceId' || key === 'spanId'
      ? Buffer.from(value, 'base64').toString('hex')
      : key === 'kind'
        ? 2
        : key === 'code'
          ? 2
          : value,
  );
  assert.equal((await post('/v1/traces', 'application/json', written)).status, 200);
  for (const id of ['a', 'b', 'c', 'd']) {
    const [span] = (await get(`/jaeger/api/traces/${id.repeat(32)}`)).body.data[0].spans;
    const tag = (key: string) => span.tags.find((each: { key: string }) => each.key === key);
    assert.equal(span.duration, 7);
    assert.deepEqual(tag('count'), { key: 'count', type: 'int64', value: 3 });
    assert.deepEqual(tag('yes'), { key: 'yes', type: 'bool', value: true });
    assert.deepEqual(tag('list'), { key: 'list', type: 'string', value: '["a"]' });
    assert.deepEqual(tag('error'), { key: 'error', type: 'bool', value: true });
    assert.deepEqual(tag('span.kind')?.value, 'server');
  }
});

test('what is wrong or not built is said', async () => {
  const refused = async (path: string, type: string, body: string) => {
    const answer = await post(path, type, body);
    return `${answer.status} ${await answer.text()}`;
  };
  assert.match(await refused('/api/v2/spans', 'application/json', '[{"traceId":"x","id":"1"}]'), /^400 .*traceId/);
  assert.match(await refused('/api/v2/spans', 'application/json', '{'), /^400 .*JSON/);
  assert.match(await refused('/api/v2/spans', 'application/x-protobuf', 'x'), /^415 /);
  assert.match(await refused('/v1/traces', 'application/x-protobuf', 'xxx'), /^400 /);
  assert.match(await refused('/api/traces?format=jaeger.thrift', 'application/x-thrift', 'x'), /^400 .*Thrift/);
  assert.match(await refused('/elsewhere', 'application/json', 'x'), /^404 /);
  const missing = await get('/jaeger/api/traces/1234');
  assert.equal(missing.status, 404);
  assert.deepEqual(missing.body.errors, [{ code: 404, msg: 'trace not found', traceID: '1234' }]);
  assert.match((await get('/jaeger/api/traces')).body.errors[0].msg, /service/);
  assert.match((await get('/jaeger/api/traces?service=a&minDuration=x')).body.errors[0].msg, /minDuration/);
  assert.equal((await get('/zipkin/api/v2/trace/1234')).status, 404);
  assert.match((await get('/')).body, /istio-ts/);
  assert.equal((await get('/health')).body.status, 'UP');
  assert.match((await get('/metrics')).body, /^trace_store_received_spans_total \d+$/m);
});
