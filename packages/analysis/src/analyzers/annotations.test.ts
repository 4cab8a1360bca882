import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findings, messagesOf } from '../analysis.test-support.ts';
import { annotations } from './annotations.ts';

const pod = (annotation: string, value: string) =>
  `apiVersion: v1\nkind: Pod\nmetadata: {name: a, annotations: {${annotation}: '${value}'}}\n`;
const codes = (annotation: string, value: string) =>
  findings(annotations, pod(annotation, value)).map((line) => line.split(' ')[0]);

test('a name that nobody knows', () => {
  const [line] = findings(annotations, pod('sidecar.istio.io/injekt', 'true'));
  assert.equal(line, 'IST0108 Pod default/a metadata.annotations["sidecar.istio.io/injekt"]');
  assert.deepEqual(codes('example.com/any', 'x'), []);
});

test('a pod’s annotation at its Deployment', () => {
  const yaml = `apiVersion: apps/v1
kind: Deployment
metadata: {name: a, annotations: {proxy.istio.io/config: '{}'}}
spec: {template: {metadata: {annotations: {proxy.istio.io/config: '{}'}}}}
`;
  assert.deepEqual(findings(annotations, yaml), [
    'IST0107 Deployment default/a metadata.annotations["proxy.istio.io/config"]',
  ]);
});

test('values', () => {
  const wrong: readonly (readonly [string, string])[] = [
    ['sidecar.istio.io/interceptionMode', 'redirect'],
    ['traffic.sidecar.istio.io/includeInboundPorts', '80,http'],
    ['traffic.sidecar.istio.io/excludeOutboundIPRanges', '10.0.0.0/99'],
    ['sidecar.istio.io/proxyCPU', 'much'],
    ['sidecar.istio.io/userVolume', '[{'],
    ['readiness.status.sidecar.istio.io/periodSeconds', '0'],
    ['status.sidecar.istio.io/port', '70000'],
  ];
  for (const [name, value] of wrong) assert.ok(codes(name, value).includes('IST0125'), `${name}=${value}`);
  const right: readonly (readonly [string, string])[] = [
    ['sidecar.istio.io/interceptionMode', 'TPROXY'],
    ['traffic.sidecar.istio.io/includeInboundPorts', '*'],
    ['traffic.sidecar.istio.io/includeOutboundIPRanges', '10.0.0.0/8, fd00::/8'],
    ['sidecar.istio.io/proxyMemory', '128Mi'],
    ['sidecar.istio.io/userVolume', '[]'],
    ['status.sidecar.istio.io/port', '0'],
  ];
  for (const [name, value] of right) assert.ok(!codes(name, value).includes('IST0125'), `${name}=${value}`);
});

test('deprecated ones, and those of alpha quality', () => {
  assert.deepEqual(codes('sidecar.istio.io/inject', 'true'), ['IST0135']);
  assert.match(messagesOf(annotations, pod('sidecar.istio.io/inject', 'true'))[0]?.text ?? '', /Use the label/);
  assert.deepEqual(codes('sidecar.istio.io/proxyCPU', '100m'), ['IST0136']);
  assert.deepEqual(codes('sidecar.istio.io/status', '{}'), []);
});
