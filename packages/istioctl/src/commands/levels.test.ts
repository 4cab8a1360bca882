import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CliError } from '../cli/failure.ts';
import { parseXdsAddress } from '../control-plane/xds.ts';
import { levelChanges, scopeTable } from './admin-log.ts';
import { parseLevels } from './proxy-log.ts';
import { metricQueries, metricsTable, resultOf } from './workload-metrics.ts';

test('levels of Envoy: those for all loggers come first', () => {
  assert.deepEqual(parseLevels('http:debug,warn,rbac:off'), [
    { scope: undefined, level: 'warning' },
    { scope: 'http', level: 'debug' },
    { scope: 'rbac', level: 'off' },
  ]);
  assert.deepEqual(parseLevels('all:info'), [{ scope: undefined, level: 'info' }]);
  for (const wrong of ['', ',', 'loud', 'http:', ':debug']) assert.throws(() => parseLevels(wrong), CliError, wrong);
});

test('levels of istiod', () => {
  assert.deepEqual(levelChanges('level', 'output_level', 'ads:debug,warn'), [
    { scope: undefined, field: 'output_level', level: 'warn' },
    { scope: 'ads', field: 'output_level', level: 'debug' },
  ]);
  assert.deepEqual(levelChanges('level', 'output_level', undefined), []);
  for (const wrong of ['', 'loud', 'ads:', ':debug'])
    assert.throws(() => levelChanges('level', 'output_level', wrong), /--level/, wrong);
  const scope = {
    name: 'ads',
    description: 'Proxies',
    output_level: 'info',
    stack_trace_level: 'none',
    log_callers: false,
  };
  assert.equal(scopeTable([scope]), 'ACTIVE SCOPE   DESCRIPTION   LOG LEVEL\nads            Proxies       info\n');
  assert.match(scopeTable([{ ...scope, stack_trace_level: 'error' }]), /STACK TRACES\nads +Proxies +info +error\n/);
});

test('addresses of istiod', () => {
  assert.deepEqual(parseXdsAddress('istiod.example.com'), { host: 'istiod.example.com', port: 15012 });
  assert.deepEqual(parseXdsAddress('10.0.0.1:443'), { host: '10.0.0.1', port: 443 });
  assert.deepEqual(parseXdsAddress('[::1]:15010'), { host: '::1', port: 15010 });
  for (const wrong of ['', ':80', 'a:b', 'http://a']) assert.throws(() => parseXdsAddress(wrong), CliError, wrong);
});

test('traffic of workloads', () => {
  const [total, errors, p50] = metricQueries('cart.shop', 60);
  assert.equal(
    total,
    'sum(rate(istio_requests_total{destination_workload="cart",destination_workload_namespace="shop",reporter="destination"}[60s]))',
  );
  assert.match(errors ?? '', /response_code=~"\[45\]\.\."/);
  assert.match(p50 ?? '', /^histogram_quantile\(0\.5, /);
  assert.match(metricQueries('a"b', 1)[0] ?? '', /destination_workload="a\\"b"/);
  const answer = (result: unknown) => resultOf(JSON.stringify({ status: 'success', data: { result } }));
  assert.equal(answer([{ value: [0, '1.5'] }]), 1.5);
  assert.equal(answer([{ value: [0, 'NaN'] }]), undefined);
  assert.equal(answer([]), undefined);
  assert.throws(() => resultOf('{"status":"error","error":"bad"}'), /bad/);
  assert.match(
    metricsTable([{ workload: 'cart.shop', total: 2, errors: undefined, latencies: [1.4, undefined, 99.6] }]),
    /^cart\.shop +2\.000 +0\.000 +1ms +- +100ms$/m,
  );
});
