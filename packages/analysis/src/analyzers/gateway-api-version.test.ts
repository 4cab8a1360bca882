import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findings } from '../analysis.test-support.ts';
import { gatewayApiVersion } from './gateway-api-version.ts';

const definition = (resource: string, version: string) =>
  `apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: ${resource}.gateway.networking.k8s.io\n  annotations: {gateway.networking.k8s.io/bundle-version: ${version}}\n`;
const codes = (resource: string, version: string) =>
  findings(gatewayApiVersion, definition(resource, version)).map((line) => line.split(' ')[0]);

test('versions that work, that will not, and that do not', () => {
  assert.deepEqual(codes('gateways', 'v1.4.0'), []);
  assert.deepEqual(codes('gateways', 'v1.1.0'), ['IST0172']);
  assert.deepEqual(codes('gateways', 'v0.8.1'), ['IST0156']);
  assert.deepEqual(codes('gateways', 'v1.0.0-rc2'), ['IST0156']);
  assert.deepEqual(codes('backendtlspolicies', 'v1.3.0'), ['IST0176']);
  assert.deepEqual(codes('gateways', 'unknown'), []);
});
