import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeIstioOperator } from './istio-operator.ts';

test('own fields are checked, values are free', () => {
  const { value, problems } = decodeIstioOperator({
    profile: 'demo',
    tag: 1.3,
    meshConfig: { accessLogFile: '/dev/stdout', accessLogEncoding: 'XML' },
    components: { pilot: { k8s: { any: [1] } }, ingressGateways: [{ enabled: true }], pilott: {} },
    values: { global: { anything: true } },
  });
  assert.equal(value.tag, '1.3');
  assert.deepEqual(value.values, { global: { anything: true } });
  assert.deepEqual(
    problems.map((problem) => problem.path),
    ['spec.components.pilott', 'spec.meshConfig.accessLogEncoding', 'spec.components.ingressGateways[0].name'],
  );
});
