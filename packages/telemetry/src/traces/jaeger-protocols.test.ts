import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { decode, encode } from '@istio-ts/envoy';
import { type GrpcChannel, GrpcStatus, openGrpcChannel } from '@istio-ts/envoy/grpc';
import { readJaegerThrift } from './jaeger-receive.ts';
import { type RunningTraceServer, startTraceServer } from './server.ts';
import { SpanError } from './span.ts';
import { span } from './spans.test-support.ts';
import { double, field, i32, i64, list, struct, text } from './thrift.test-support.ts';

/** Microseconds. */
const NOW = 1_700_000_010_000_000;
const START = NOW - 5_000_000;

let server: RunningTraceServer;
let channel: GrpcChannel;
before(async () => {
  server = await startTraceServer({
    host: '127.0.0.1',
    httpPorts: [0],
    grpcPorts: [0],
    version: '1',
    now: () => NOW / 1000,
  });
  channel = openGrpcChannel({ kind: 'tcp', host: '127.0.0.1', port: server.grpcPorts[0] ?? 0 });
});
after(async () => {
  channel.close();
  await server.close();
});

const QUERY = '/jaeger.api_v2.QueryService';
const base64 = (hex: string): string => Buffer.from(hex, 'hex').toString('base64');

async function spansOf(method: 'GetTrace' | 'FindTraces', request: Uint8Array) {
  const call = await channel.stream(`${QUERY}/${method}`);
  await call.write(request);
  call.end();
  const spans = [];
  let chunks = 0;
  for await (const bytes of call.messages()) {
    chunks++;
    spans.push(...(decode('jaeger.api_v2.SpansResponseChunk', bytes).spans ?? []));
  }
  return { spans, chunks };
}
const trace = (hex: string) => spansOf('GetTrace', encode('jaeger.api_v2.GetTraceRequest', { traceId: base64(hex) }));

test('what Jaeger’s collector takes by gRPC is found by its query API', async () => {
  const traceId = base64('0000000000000000000000000000abcd');
  const at = (microseconds: number) => new Date(microseconds / 1000).toISOString();
  const batch = {
    process: {
      serviceName: 'shop',
      tags: [
        { key: 'hostname', vStr: 'h1' },
        { key: 'ip', vStr: '10.0.0.1' },
      ],
    },
    spans: [
      {
        traceId,
        spanId: base64('00000000000000a1'),
        operationName: 'GET /',
        startTime: at(START),
        duration: '0.002s',
        tags: [{ key: 'span.kind', vStr: 'server' }],
      },
      {
        traceId,
        spanId: base64('00000000000000a2'),
        operationName: 'ask',
        references: [
          { traceId: base64('000000000000000000000000000000ff'), spanId: base64('00000000000000a9') },
          { traceId, spanId: base64('00000000000000a1') },
        ],
        startTime: at(START + 1000),
        duration: '0.000500s',
        tags: [
          { key: 'span.kind', vStr: 'client' },
          { key: 'error', vType: 'BOOL' as const, vBool: true },
          { key: 'n', vType: 'INT64' as const, vInt64: '7' },
          { key: 'big', vType: 'INT64' as const, vInt64: '9223372036854775807' },
          { key: 'f', vType: 'FLOAT64' as const, vFloat64: 1.5 },
          { key: 'raw', vType: 'BINARY' as const, vBinary: 'AAE=' },
          { key: 'peer.ipv4', vType: 'INT64' as const, vInt64: String(0x0a000002) },
          { key: 'peer.port', vType: 'INT64' as const, vInt64: '8080' },
        ],
        logs: [{ timestamp: at(START + 1000), fields: [{ key: 'event', vStr: 'retry' }] }],
        process: { serviceName: 'cart' },
      },
    ],
  };
  await channel.unary('/jaeger.api_v2.CollectorService/PostSpans', encode('jaeger.api_v2.PostSpansRequest', { batch }));

  const { spans } = await trace('0000000000000000000000000000abcd');
  const [root, child] = spans;
  assert.equal(spans.length, 2);
  assert.equal(root?.traceId, traceId);
  assert.equal(root?.process?.serviceName, 'shop');
  assert.deepEqual(
    root?.process?.tags?.map(({ key, vStr }) => [key, vStr]),
    [
      ['hostname', 'h1'],
      ['ip', '10.0.0.1'],
    ],
  );
  assert.equal(child?.process?.serviceName, 'cart');
  assert.equal(Date.parse(child?.startTime ?? ''), (START + 1000) / 1000);
  assert.equal(child?.duration, '0.000500s');
  assert.deepEqual(child?.references, [{ traceId, spanId: base64('00000000000000a1') }]);
  const tags = Object.fromEntries(
    (child?.tags ?? []).map(({ key, vType, ...value }) => [key, Object.values(value)[0]]),
  );
  assert.deepEqual(tags, {
    error: true,
    n: '7',
    big: '9223372036854775807',
    f: 1.5,
    raw: 'AAE=',
    'span.kind': 'client',
    'peer.ipv4': '10.0.0.2',
    'peer.port': '8080',
    'internal.span.format': 'proto',
  });
  assert.equal(child?.logs?.[0]?.fields?.[0]?.vStr, 'retry');
});

test('FindTraces searches as the query over HTTP does', async () => {
  const other = {
    traceId: '00000000000000bb',
    service: 'lone',
    name: 'work',
    start: START,
    tags: { 'http.status_code': '503' },
  };
  server.store.add([span({ id: '00000000000000b1', ...other, duration: 3000 })], NOW / 1000);
  server.store.add(
    [span({ id: '00000000000000b2', ...other, traceId: '00000000000000bc', duration: 9000, tags: {} })],
    NOW / 1000,
  );
  const found = async (query: object) => {
    const request = encode('jaeger.api_v2.FindTracesRequest', { query: { serviceName: 'lone', ...query } });
    return (await spansOf('FindTraces', request)).spans.map(({ spanId }) =>
      Buffer.from(spanId ?? '', 'base64').toString('hex'),
    );
  };
  // What a program in Go sends of a time that it leaves out.
  const unset = '0001-01-01T00:00:00Z';
  assert.deepEqual((await found({ startTimeMin: unset, startTimeMax: unset, durationMin: '0s' })).sort(), [
    '00000000000000b1',
    '00000000000000b2',
  ]);
  assert.deepEqual(await found({ tags: { 'http.status_code': '503' } }), ['00000000000000b1']);
  assert.deepEqual(await found({ durationMin: '0.005s' }), ['00000000000000b2']);
  assert.deepEqual(await found({ durationMax: '0.005s' }), ['00000000000000b1']);
  assert.equal((await found({ searchDepth: 1 })).length, 1);
  assert.deepEqual(await found({ operationName: 'rest' }), []);
  assert.deepEqual(await found({ startTimeMin: new Date(START / 1000 + 1).toISOString() }), []);
  await assert.rejects(found({ durationMin: '2s', durationMax: '1s' }), /duration_max/);
  // Of whatever service.
  assert.deepEqual(await found({ serviceName: '', tags: { 'http.status_code': '503' } }), ['00000000000000b1']);
});

test('services, operations and who calls whom; what is missing or not built is said', async () => {
  const ask = async (method: string, request: Uint8Array) => channel.unary(`${QUERY}/${method}`, request);
  const { services } = decode('jaeger.api_v2.GetServicesResponse', await ask('GetServices', new Uint8Array()));
  for (const name of ['shop', 'cart', 'lone']) assert.ok(services?.includes(name), name);
  const operations = async (request: object) =>
    decode(
      'jaeger.api_v2.GetOperationsResponse',
      await ask('GetOperations', encode('jaeger.api_v2.GetOperationsRequest', request)),
    );
  assert.deepEqual(await operations({ service: 'cart' }), {
    operationNames: ['ask'],
    operations: [{ name: 'ask', spanKind: 'client' }],
  });
  assert.deepEqual(await operations({ service: 'cart', spanKind: 'server' }), {});
  const { dependencies } = decode(
    'jaeger.api_v2.GetDependenciesResponse',
    await ask('GetDependencies', new Uint8Array()),
  );
  assert.deepEqual(dependencies, [{ parent: 'shop', child: 'cart', callCount: '1' }]);
  await assert.rejects(trace('00000000000000000000000000001234'), { code: GrpcStatus.NOT_FOUND });
  await assert.rejects(trace('00'), { code: GrpcStatus.INVALID_ARGUMENT });
  await assert.rejects(ask('ArchiveTrace', new Uint8Array()), { code: GrpcStatus.UNIMPLEMENTED });
  await assert.rejects(ask('GetOperations', new Uint8Array([0xff])), { code: GrpcStatus.INVALID_ARGUMENT });
});

test('a trace of many bytes comes in messages that clients take', async () => {
  const tags = { text: 'x'.repeat(200_000) };
  const many = Array.from({ length: 30 }, (_, i) =>
    span({ id: (i + 1).toString(16).padStart(16, '0'), traceId: '00000000000000cc', tags }),
  );
  server.store.add(many, NOW / 1000);
  const { spans, chunks } = await trace('cc');
  assert.equal(spans.length, 30);
  assert.ok(chunks >= 6, `${chunks}`);
});

const tag = (key: string, type: number, value: Buffer) =>
  struct(field(11, 1, text(key)), field(8, 2, i32(type)), value);
const BATCH = struct(
  field(12, 1, struct(field(11, 1, text('old')), field(15, 2, list(12, tag('hostname', 0, field(11, 3, text('h1'))))))),
  field(
    15,
    2,
    list(
      12,
      struct(
        field(10, 1, i64(0x2cn)),
        field(10, 2, i64(0x1bn)),
        field(10, 3, i64(-1n)),
        field(10, 4, i64(5n)),
        field(11, 5, text('call')),
        field(
          15,
          6,
          list(
            12,
            struct(field(8, 1, i32(1)), field(10, 2, i64(0x2cn)), field(10, 3, i64(0x1bn)), field(10, 4, i64(6n))),
          ),
        ),
        field(8, 7, i32(1)),
        field(10, 8, i64(BigInt(START))),
        field(10, 9, i64(1234n)),
        field(
          15,
          10,
          list(
            12,
            tag('span.kind', 0, field(11, 3, text('client'))),
            tag('d', 1, field(4, 4, double(2.5))),
            tag('b', 2, field(2, 5, Buffer.from([1]))),
            tag('n', 3, field(10, 6, i64(-7n))),
          ),
        ),
        field(
          15,
          11,
          list(
            12,
            struct(
              field(10, 1, i64(BigInt(START + 5))),
              field(15, 2, list(12, tag('event', 0, field(11, 3, text('hm'))))),
            ),
          ),
        ),
        // A field of a later version: a map of texts to lists.
        field(13, 99, Buffer.concat([Buffer.from([11, 15]), i32(1), text('k'), list(8, i32(1), i32(2))])),
      ),
    ),
  ),
);

test('Thrift over HTTP, as Jaeger’s older clients send it', async () => {
  const url = `http://127.0.0.1:${server.httpPorts[0]}/api/traces?format=jaeger.thrift`;
  const post = (type: string, body: Buffer) =>
    fetch(url, { method: 'POST', headers: { 'content-type': type }, body: new Uint8Array(body) });
  assert.equal((await post('application/x-thrift', BATCH)).status, 202);
  const { spans } = await trace('000000000000001b000000000000002c');
  const [only] = spans;
  assert.equal(only?.spanId, base64('ffffffffffffffff'));
  assert.deepEqual(only?.references, [
    { traceId: base64('000000000000001b000000000000002c'), spanId: base64('0000000000000005') },
  ]);
  assert.equal(only?.operationName, 'call');
  assert.equal(only?.duration, '0.001234s');
  assert.equal(only?.process?.serviceName, 'old');
  const tags = Object.fromEntries((only?.tags ?? []).map(({ key, vType, ...value }) => [key, Object.values(value)[0]]));
  assert.deepEqual(tags, { 'span.kind': 'client', d: 2.5, b: true, n: '-7', 'internal.span.format': 'jaeger' });
  assert.equal(only?.logs?.[0]?.fields?.[0]?.vStr, 'hm');
  assert.equal((await post('text/plain', BATCH)).status, 415);
  assert.equal((await post('application/vnd.apache.thrift.binary', BATCH.subarray(0, 40))).status, 400);
});

test('no bytes do more than raise an error', () => {
  for (let end = 0; end < BATCH.length; end++)
    assert.throws(() => readJaegerThrift(BATCH.subarray(0, end)), SpanError, `the first ${end} bytes`);
  for (let at = 0; at < BATCH.length; at++)
    for (const byte of [0, 0x0f, 0x7f, 0xff]) {
      const changed = Buffer.from(BATCH);
      changed[at] = byte;
      try {
        readJaegerThrift(changed);
      } catch (error) {
        assert.ok(error instanceof SpanError, `byte ${at} as ${byte}: ${error}`);
      }
    }
  // As many items as four bytes can say, and lists in lists without end.
  assert.throws(() => readJaegerThrift(field(15, 2, Buffer.concat([Buffer.from([12]), i32(0x7fffffff)]))), /items/);
  const nested = Buffer.concat(Array.from({ length: 100 }, () => Buffer.from([15, 0, 0, 0, 1])));
  assert.throws(() => readJaegerThrift(field(15, 50, nested)), /levels/);
});
