import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeMeshConfig } from '@istio-ts/api';
import { withProviderHeaders } from './provider-headers.ts';

const service = { service: 'collector.ns.svc.cluster.local', port: 4318 };

test('headers of providers have their values from istiod’s variables', () => {
  const headers = [
    { name: 'authorization', envName: 'KEY' },
    { name: 'x-none', envName: 'NOT_SET' },
    { name: 'x-fixed', value: 'yes' },
  ];
  const { value } = decodeMeshConfig({
    extensionProviders: [{ name: 'otel', opentelemetry: { ...service, http: { path: '/v1/traces', headers } } }],
  });
  const { mesh, missing } = withProviderHeaders(value, { KEY: 'secret' });
  assert.deepEqual(mesh.extensionProviders.find(({ name }) => name === 'otel')?.opentelemetry?.http?.headers, [
    { name: 'authorization', value: 'secret' },
    { name: 'x-none' },
    { name: 'x-fixed', value: 'yes' },
  ]);
  assert.match(
    missing.join(),
    /^extensionProviders\[name=otel\]\.opentelemetry\.http\.headers\[1\]\.envName: .*NOT_SET/,
  );
  assert.equal(withProviderHeaders(decodeMeshConfig({}).value, {}).missing.length, 0);
});
