import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noTraffic, readTraffic, trafficQueries } from './samples.ts';
import { samplesFrom } from './flows.test-support.ts';
import { preferred } from './preferred.ts';
import { codeOf, isFailure, quantile, TrafficSum } from './traffic-sum.ts';

test('all traffic of a page comes from four queries, however many namespaces there are', async () => {
  const asked: string[] = [];
  const prometheus = {
    asked: 0,
    query: async (promql: string) => {
      asked.push(promql);
      return [];
    },
    range: async () => [],
    raw: async () => ({ status: 200, contentType: '', server: '', body: '' }),
  };
  const names = Array.from({ length: 50 }, (_, at) => `ns-${at}`);
  assert.deepEqual(await readTraffic(prometheus, names, 60, 0), noTraffic);
  assert.equal(asked.length, 4);
});

test('names of namespaces are taken literally in queries', () => {
  const { requests } = trafficQueries(['a.b', 'c'], 60);
  assert.match(requests, /source_workload_namespace=~"a\\\\\.b\|c"/);
  assert.match(requests, /\[60s\]/);
  assert.doesNotMatch(trafficQueries(undefined, 60).requests, /namespace=~/);
});

test('quantiles are linear within buckets and stay below the last', () => {
  const buckets = new Map([
    [10, 50],
    [25, 90],
    [Infinity, 100],
  ]);
  assert.equal(quantile(0.5, buckets), 10);
  assert.equal(quantile(0.9, buckets), 25);
  assert.equal(quantile(0.7, buckets), 10 + 15 * (20 / 40));
  assert.equal(quantile(0.99, buckets), 25);
  // Empty buckets are left out of answers: below 10 stands 5.
  assert.equal(quantile(0.25, buckets), 7.5);
  assert.equal(quantile(0.5, new Map()), undefined);
});

test('failures are 5xx, no answer at all, and gRPC statuses that are not OK', () => {
  const answer = (code: string, grpcStatus = '', flags = '') => ({ code, grpcStatus, flags });
  assert.deepEqual(
    [answer('200'), answer('404'), answer('503'), answer('0'), answer('200', '0'), answer('200', '14')].map(isFailure),
    [false, false, true, true, false, true],
  );
  assert.equal(codeOf(answer('503', '', 'UO')), '503 UO');
  assert.equal(codeOf(answer('200', '14')), '200 gRPC 14');
  assert.equal(codeOf(answer('200', '0')), '200');
});

test('what both sides report is counted once, by the word of the client', () => {
  const samples = preferred(
    samplesFrom([
      { from: 'a/web', to: 'a/api', service: 'a/api', rate: 10 },
      { to: 'a/web', service: 'a/web', rate: 3 },
      { from: 'a/web', service: 'a/api', rate: 1, code: '503', flags: 'UH' },
    ]),
  );
  const sum = new TrafficSum();
  for (const flow of samples.requests) sum.addRequests(flow);
  assert.equal(sum.requests, 14);
  assert.equal(sum.failures, 1);
  assert.deepEqual(
    samples.requests.map(({ reporter }) => reporter),
    ['source', 'destination', 'source'],
  );
});

test('mutual TLS is asked of the server, who alone knows', () => {
  const samples = preferred(
    samplesFrom([
      { from: 'a/web', to: 'a/api', service: 'a/api', rate: 6 },
      { from: 'a/web', to: 'a/api', service: 'a/api', rate: 2, mutualTls: false },
      { from: 'a/web', to: 'a/bare', service: 'a/bare', rate: 2, reporters: ['source'] },
    ]),
  );
  const shares = samples.requests.map((flow) => samples.mutualTlsOf(flow));
  assert.deepEqual(shares, [0.75, 0.75, undefined]);
});

test('a waypoint is believed before the server, and bytes are another matter than requests', () => {
  const samples = preferred(
    samplesFrom([
      { from: 'a/web', to: 'a/api', service: 'a/api', rate: 5, reporters: ['waypoint', 'destination'] },
      { from: 'a/web', to: 'a/api', service: 'a/api', rate: 800, protocol: 'tcp', reporters: ['source'] },
    ]),
  );
  assert.deepEqual(
    samples.requests.map(({ reporter }) => reporter),
    ['waypoint'],
  );
  assert.equal(samples.tcp.length, 2);
});
