import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { encode } from '@istio-ts/envoy';
import { promtoolComplaints } from '@istio-ts/metrics/promtool.test-support';
import { LogQueryError, parseLogQuery } from './logql.ts';
import { type RunningLogServer, startLogServer } from './server.ts';
import { LogStore } from './store.ts';

const NOW = Date.parse('2026-05-01T12:00:00Z');
/** So many seconds before now, in nanoseconds. */
const ago = (seconds: number): string => `${NOW - seconds * 1000}000000`;

describe('in the place of Loki', () => {
  let server: RunningLogServer;
  const url = (path: string): string => `http://127.0.0.1:${server.port}${path}`;
  const push = (streams: unknown, type = 'application/json'): Promise<Response> =>
    fetch(url('/loki/api/v1/push'), {
      method: 'POST',
      headers: { 'content-type': type },
      body: typeof streams === 'string' ? streams : JSON.stringify({ streams }),
    });
  const get = async (path: string, parameters: Readonly<Record<string, string>> = {}): Promise<Response> =>
    fetch(`${url(`/loki/api/v1/${path}`)}?${new URLSearchParams(parameters)}`);
  const ask = async (query: string, more: Readonly<Record<string, string>> = {}) => {
    const response = await get('query_range', { query, ...more });
    assert.equal(response.status, 200, await response.clone().text());
    return ((await response.json()) as { data: { resultType: string; result: Record<string, unknown>[] } }).data;
  };
  const lines = async (query: string, more: Readonly<Record<string, string>> = {}): Promise<readonly string[]> =>
    (await ask(query, more)).result.flatMap(({ values }) => (values as [string, string][]).map(([, line]) => line));

  before(async () => {
    server = await startLogServer({ host: '127.0.0.1', port: 0, now: () => NOW });
    const pushed = await push([
      {
        stream: { app: 'web', namespace: 'shop' },
        values: [
          [ago(30), '{"path": "/a", "status": 200, "user": {"name": "anna"}}'],
          [ago(20), '{"path": "/b", "status": 503, "user": {"name": "bert"}}', { pod: 'web-1' }],
          [ago(40), 'no JSON'],
        ],
      },
      { stream: { app: 'cart', namespace: 'shop' }, values: [[ago(10), 'level=warn msg="it is slow" took=12']] },
      { stream: { app: 'other', namespace: 'infra' }, values: [[ago(7200), 'too long ago for the default range']] },
    ]);
    assert.equal(pushed.status, 204);
  });
  after(() => server.close());

  it('finds lines by labels and content, the newest first unless asked otherwise', async () => {
    assert.deepEqual((await ask('{app="cart"}')).result, [
      { stream: { app: 'cart', namespace: 'shop' }, values: [[ago(10), 'level=warn msg="it is slow" took=12']] },
    ]);
    assert.equal((await lines('{app="web"}'))[2], 'no JSON');
    assert.equal((await lines('{app="web"}', { direction: 'forward' }))[0], 'no JSON');
    assert.deepEqual(await lines('{app="web"}', { direction: 'forward', limit: '1' }), ['no JSON']);
    assert.equal((await lines('{namespace=~"sh.p", app!="cart"}')).length, 3);
    assert.deepEqual(await lines('{namespace="shop"} |= "slow" != "fast"'), ['level=warn msg="it is slow" took=12']);
    assert.equal((await lines('{namespace="shop"} |~ `"/[ab]"` !~ "20."')).length, 1);
    assert.deepEqual(await lines('{namespace="infra"}'), []);
    assert.equal((await lines('{namespace="infra"}', { since: '3h' })).length, 1);
    assert.equal((await lines('{app="web"}', { start: ago(35), end: ago(20) })).length, 1);
    assert.equal((await lines('{app="web"}', { start: '2026-05-01T11:59:25Z' })).length, 2);
  });

  it('takes labels out of lines and compares them', async () => {
    const [found] = (await ask('{app="web"} | json | status >= 500 | user_name="bert"')).result;
    assert.deepEqual(found?.stream, {
      ...{ app: 'web', namespace: 'shop', pod: 'web-1' },
      ...{ path: '/b', status: '503', user_name: 'bert' },
    });
    assert.deepEqual(await lines('{app="web"} | json | __error__="JSONParserErr"'), ['no JSON']);
    assert.equal((await lines('{app="cart"} | logfmt | took > 11 | msg =~ ".*slow"')).length, 1);
    assert.equal((await lines('{app="web"} | pod = "web-1"')).length, 1);
  });

  it('counts', async () => {
    const at = String(NOW / 1000);
    const instant = async (query: string) => {
      const { data } = (await (await get('query', { query, time: at })).json()) as {
        data: { resultType: string; result: readonly { metric: object; value: readonly [number, string] }[] };
      };
      assert.equal(data.resultType, 'vector');
      return data.result.map(({ metric, value: [, value] }) => [metric, value]);
    };
    assert.deepEqual(await instant('sum by (app) (count_over_time({namespace="shop"}[1m]))'), [
      [{ app: 'web' }, '3'],
      [{ app: 'cart' }, '1'],
    ]);
    assert.deepEqual(await instant('sum(count_over_time({namespace="shop"}[15s]))'), [[{}, '1']]);
    assert.deepEqual(await instant('rate({app="cart"}[1m])'), [[{ app: 'cart', namespace: 'shop' }, String(1 / 60)]]);
    assert.deepEqual(await instant('sum(bytes_over_time({app="web"} |= "no"[1m]))'), [[{}, '7']]);
    const { resultType, result } = await ask('sum(count_over_time({app="web"}[20s]))', {
      ...{ start: String(NOW / 1000 - 40), end: at, step: '10' },
    });
    assert.equal(resultType, 'matrix');
    assert.deepEqual(
      ((result[0]?.values ?? []) as [number, string][]).map(([time, value]) => [time - NOW / 1000, value]),
      [
        [-40, '1'],
        [-30, '2'],
        [-20, '2'],
        [-10, '1'],
      ],
    );
  });

  it('tells labels, their values and streams', async () => {
    const data = async (path: string, parameters = {}) =>
      ((await (await get(path, parameters)).json()) as { data: unknown }).data;
    assert.deepEqual(await data('labels'), ['app', 'namespace']);
    assert.deepEqual(await data('label/app/values'), ['cart', 'other', 'web']);
    assert.deepEqual(await data('label/app/values', { query: '{namespace="shop"}' }), ['cart', 'web']);
    assert.deepEqual(await data('series', { 'match[]': '{app="cart"}' }), [{ app: 'cart', namespace: 'shop' }]);
  });

  it('takes OTLP: what names the workload becomes labels, the rest belongs to the entry', async () => {
    const bytes = encode('opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest', {
      resourceLogs: [
        {
          resource: {
            attributes: [
              { key: 'service.name', value: { stringValue: 'otel' } },
              { key: 'node_name', value: { stringValue: 'n1' } },
            ],
          },
          scopeLogs: [
            {
              logRecords: [
                {
                  timeUnixNano: ago(5),
                  body: { stringValue: 'a line\n' },
                  attributes: [{ key: 'http.status', value: { intValue: '200' } }],
                },
              ],
            },
          ],
        },
      ],
    });
    const response = await fetch(url('/otlp/v1/logs'), {
      method: 'POST',
      headers: { 'content-type': 'application/x-protobuf' },
      body: new Uint8Array(bytes),
    });
    assert.equal(response.status, 200);
    assert.deepEqual((await ask('{service_name="otel"} | http_status=200')).result, [
      { stream: { service_name: 'otel', node_name: 'n1', http_status: '200' }, values: [[ago(5), 'a line']] },
    ]);
  });

  it('says what it is and what is not built, and refuses what is wrong', async (t) => {
    assert.match(await (await fetch(url('/'))).text(), /This is not Loki but istio-ts/);
    assert.equal((await get('tail')).status, 501);
    assert.equal((await push('x', 'application/x-protobuf')).status, 415);
    for (const [streams, reason] of [
      [[{ stream: {}, values: [[ago(1), 'x']] }], /at least one label/],
      [[{ stream: { app: 'x' }, values: [['now', 'x']] }], /nanoseconds/],
      [[{ stream: { app: 'x' }, values: [[ago(169 * 3600), 'x']] }], /older than 168 h/],
      [[{ stream: { 'a-b': 'x' }, values: [[ago(1), 'x']] }], /no name of a label/],
      ['{', /no JSON/],
    ] as const) {
      const response = await push(streams);
      assert.equal(response.status, 400);
      assert.match(await response.text(), reason);
    }
    const refused = await get('query_range', { query: '{app="web"} | pattern "<x>"' });
    assert.equal(refused.status, 400);
    assert.match(await refused.text(), /pattern .*is not built here: there are selectors/);
    for (const query of [
      ...[
        '',
        '{}',
        '{app=~".*"}',
        '{app="a"',
        '{app="a"} |= ',
        '{app=~"("}',
        'avg_over_time({app="a"} | unwrap x [1m])',
      ],
      ...[
        'topk(3, rate({app="a"}[1m]))',
        'rate({app="a"}[5])',
        '{app="a"} | line_format "x"',
        'sum(rate({app="a"}[1m])) > 1',
      ],
    ])
      assert.throws(() => parseLogQuery(query), LogQueryError, query);
    const complaints = promtoolComplaints(await (await fetch(url('/metrics'))).text(), () => true);
    if (complaints === undefined) return t.diagnostic('promtool is not on this machine');
    assert.deepEqual(complaints, []);
  });
});

describe('the store of logs', () => {
  const limits = { maxBytes: 100_000, maxStreams: 3, maxLineBytes: 100, maxAgeMs: 3_600_000 };
  it('stays within its room: the oldest entries go, whatever stream they are of', () => {
    const store = new LogStore(() => NOW, limits);
    for (let index = 0; index < 5000; index++)
      store.add({ stream: String(index % 3) }, [
        { time: BigInt(NOW) * 1_000_000n + BigInt(index), line: `line ${index}`, metadata: {} },
      ]);
    const { bytes, received, evicted } = store.counts;
    assert.ok(bytes <= limits.maxBytes);
    assert.equal(received, 5000);
    const left = store.streams().flatMap(({ entries }) => entries);
    assert.equal(left.length, received - evicted);
    assert.ok(left.some(({ line }) => line === 'line 4999'));
    const times = new Set(left.map(({ time }) => Number(time - BigInt(NOW) * 1_000_000n)));
    assert.equal(Math.min(...times), evicted);
  });

  it('forgets what is old, and takes no more streams than it may', () => {
    let now = NOW;
    const store = new LogStore(() => now, limits);
    const entry = { time: BigInt(NOW) * 1_000_000n, line: 'x', metadata: {} };
    for (const stream of ['a', 'b', 'c']) store.add({ stream }, [entry]);
    assert.throws(() => store.add({ stream: 'd' }, [entry]), /3 streams already/);
    assert.throws(() => store.add({ stream: 'a' }, [{ ...entry, line: 'x'.repeat(101) }]), /more than 100 bytes/);
    now += limits.maxAgeMs + 1;
    assert.deepEqual(store.streams(), []);
    assert.equal(store.counts.bytes, 0);
  });
});
