import assert from 'node:assert/strict';
import { test } from 'node:test';
import { namespaceOfService, readTrace } from './jaeger.ts';

const jaeger = {
  traceID: 'abc',
  processes: { p1: { serviceName: 'web.shop' }, p2: { serviceName: 'api.shop' } },
  spans: [
    {
      spanID: 'b',
      processID: 'p2',
      operationName: 'api:80/*',
      references: [{ refType: 'CHILD_OF', traceID: 'abc', spanID: 'a' }],
      startTime: 1_700_000_000_002_500,
      duration: 1500,
      tags: [
        { key: 'span.kind', type: 'string', value: 'server' },
        { key: 'http.status_code', type: 'string', value: '503' },
      ],
      logs: [
        {
          timestamp: 1_700_000_000_003_000,
          fields: [
            { key: 'event', value: 'retry' },
            { key: 'n', value: 2 },
          ],
        },
      ],
    },
    {
      spanID: 'a',
      processID: 'p1',
      operationName: 'web:80/*',
      startTime: 1_700_000_000_000_000,
      duration: 5000,
      tags: [
        { key: 'span.kind', type: 'string', value: 'client' },
        { key: 'error', type: 'bool', value: false },
      ],
    },
  ],
};

test('traces of Jaeger: the root, times in milliseconds, failures, services', () => {
  const trace = readTrace(jaeger);
  assert.ok(trace);
  const { all, ...summary } = trace;
  assert.deepEqual(summary, {
    id: 'abc',
    root: 'web.shop',
    operation: 'web:80/*',
    start: 1_700_000_000_000,
    duration: 5,
    spans: 2,
    errors: 1,
    services: [
      { name: 'api.shop', spans: 1 },
      { name: 'web.shop', spans: 1 },
    ],
  });
  assert.equal(all[1]?.parent, 'a');
  assert.equal(all[1]?.start, 1_700_000_000_002.5);
  assert.equal(all[1]?.kind, 'server');
  assert.equal(all[1]?.error, true);
  assert.equal(all[0]?.error, false);
  assert.deepEqual(all[1]?.logs, [{ time: 1_700_000_000_003, message: 'retry n=2' }]);
});

test('a trace whose root has not come yet begins with its first span', () => {
  const [child] = jaeger.spans;
  assert.equal(readTrace({ ...jaeger, spans: [child] })?.root, 'api.shop');
  assert.equal(readTrace({ traceID: 'x', spans: [] }), undefined);
  assert.equal(readTrace(null), undefined);
});

test('names of services tell their namespace', () => {
  assert.equal(namespaceOfService('web.shop'), 'shop');
  assert.equal(namespaceOfService('jaeger-all-in-one'), undefined);
});
