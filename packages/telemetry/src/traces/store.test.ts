import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assemble, dependencies } from './assemble.ts';
import { span } from './spans.test-support.ts';
import { createTraceStore, DEFAULT_LIMITS } from './store.ts';

const START = 1_700_000_000_000_000;
const all = { tags: {}, limit: 100 };

test('spans of a trace come in any order, late and twice', () => {
  const store = createTraceStore();
  store.add([span({ id: '02', parentId: '01', service: 'cart' })], 0);
  store.add([span({ id: '01' })], 1);
  store.add([span({ id: '02', parentId: '01', service: 'cart', tags: { more: 'yes' } })], 5000);
  const trace = store.trace('00000000000000aa');
  assert.equal(trace?.length, 2);
  assert.equal(trace?.find(({ id }) => id === '02')?.tags.more, 'yes');
  assert.deepEqual(store.services(), ['cart', 'shop']);
  assert.deepEqual(store.counts.spans, 2);
  assert.deepEqual(store.counts.received, 3);
});

test('the limits of spans, traces, bytes and age hold, and what goes is what was longest without a new span', () => {
  for (const limits of [{ maxSpans: 10 }, { maxTraces: 10 }, { maxBytes: 6000 }]) {
    const store = createTraceStore({ ...DEFAULT_LIMITS, ...limits });
    for (let i = 1; i <= 100; i++) {
      store.add([span({ id: '01', traceId: String(i).padStart(16, '0'), service: `s${i}`, name: `n${i}` })], i);
      // The first trace stays in use.
      store.add([span({ id: '01', traceId: '0'.repeat(15).concat('1'), service: 's1', name: 'n1' })], i);
    }
    assert.ok(store.counts.spans <= 15 && store.counts.spans >= 8, `${store.counts.spans}`);
    assert.ok(store.counts.bytes <= DEFAULT_LIMITS.maxBytes);
    assert.ok(store.trace('0000000000000001'), 'in use');
    assert.ok(store.trace('0000000000000100'), 'the newest');
    assert.equal(store.trace('0000000000000050'), undefined);
    assert.equal(store.services().length, store.counts.traces, 'services of forgotten traces are forgotten');
    assert.deepEqual(store.operations('s50'), []);
  }
  const store = createTraceStore({ ...DEFAULT_LIMITS, maxAgeMs: 1000 });
  store.add([span({ id: '01' })], 0);
  store.expire(1000);
  assert.equal(store.counts.traces, 1);
  store.expire(1001);
  assert.deepEqual(
    { ...store.counts, received: 0 },
    { traces: 0, spans: 0, bytes: 0, received: 0, dropped: 0, evicted: 0 },
  );
});

test('a trace without end takes no more than its share', () => {
  const store = createTraceStore({ ...DEFAULT_LIMITS, maxSpansPerTrace: 3 });
  for (let i = 1; i <= 10; i++) store.add([span({ id: String(i) })], i);
  assert.equal(store.counts.spans, 3);
  assert.equal(store.counts.dropped, 7);
});

test('searches: service, operation, tags, duration, time, limit, the latest first', () => {
  const store = createTraceStore();
  const trace = (n: number) => n.toString(16).padStart(16, '0');
  for (let n = 1; n <= 5; n++)
    store.add(
      [
        span({
          id: '01',
          traceId: trace(n),
          start: START + n * 1e6,
          duration: n * 1000,
          tags: { n: String(n), code: 200 },
        }),
        span({
          id: '02',
          parentId: '01',
          traceId: trace(n),
          start: START + n * 1e6,
          service: 'cart',
          name: `op${n % 2}`,
        }),
      ],
      n,
    );
  const found = (query: object) =>
    store.find({ ...all, ...query }).map(([first]) => Number.parseInt(first?.traceId ?? '', 16));
  assert.deepEqual(found({ service: 'shop' }), [5, 4, 3, 2, 1]);
  assert.deepEqual(found({ service: 'shop', limit: 2 }), [5, 4]);
  assert.deepEqual(found({ service: 'nobody' }), []);
  assert.deepEqual(found({ service: 'cart', operation: 'op1' }), [5, 3, 1]);
  assert.deepEqual(found({ service: 'shop', operation: 'op1' }), [], 'of the same span');
  assert.deepEqual(found({ service: 'shop', tags: { n: '3' } }), [3]);
  assert.deepEqual(found({ service: 'shop', tags: { n: '3', code: '200' } }), [3]);
  assert.deepEqual(found({ service: 'cart', tags: { n: '3' } }), []);
  assert.deepEqual(found({ service: 'shop', tags: { code: null } }).length, 5);
  assert.deepEqual(found({ service: 'shop', minDuration: 3000, maxDuration: 4000 }), [4, 3]);
  assert.deepEqual(found({ service: 'shop', start: START + 2e6, end: START + 3e6 }), [3, 2]);
});

test('the server’s half of a shared span becomes the client’s child and takes over its children', () => {
  const spans = assemble([
    span({ id: '0c', parentId: '0b', service: 'cart', kind: 'client', start: START + 20 }),
    span({ id: '0b', service: 'shop', kind: 'client', start: START }),
    span({ id: '0b', service: 'cart', kind: 'server', shared: true, start: START + 10 }),
  ]);
  const [client, server, next] = spans;
  assert.equal(client?.id, '0b');
  assert.equal(client?.parentId, undefined);
  assert.equal(server?.parentId, '0b');
  assert.match(server?.id ?? '', /^[0-9a-f]{16}$/);
  assert.equal(next?.parentId, server?.id);
  assert.deepEqual(
    dependencies([
      spans,
      [span({ id: '01', service: 'a' }), span({ id: '02', parentId: '01', service: 'b', tags: { error: true } })],
    ]),
    [
      { parent: 'a', child: 'b', calls: 1, errors: 1 },
      { parent: 'shop', child: 'cart', calls: 1, errors: 0 },
    ],
  );
});
