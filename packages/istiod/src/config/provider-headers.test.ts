import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeMeshConfig } from '@istio-ts/api';
import { meshTracingProblems } from '@istio-ts/mesh/tracing-providers';
import { proves } from '@istio-ts/xds/field-proof';
import { withProviderHeaders } from './provider-headers.ts';

const service = { service: 'collector.ns.svc.cluster.local', port: 4318 };

test('headers of providers have their values from istiod’s variables', () => {
  proves('MeshConfig.extensionProviders[].zipkin.headers[].envName');
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

test('tracers that stock Envoy does not have are named', () => {
  const { value } = decodeMeshConfig({
    defaultProviders: { tracing: ['als'] },
    defaultConfig: { tracing: { openCensusAgent: { address: 'x:1' } } },
    extensionProviders: [
      { name: 'oc', opencensus: service },
      { name: 'gcp', stackdriver: {} },
      { name: 'als', envoyHttpAls: service },
      { name: 'good', datadog: service },
    ],
  });
  const problems = meshTracingProblems(value);
  assert.deepEqual(
    problems.map((problem) => problem.split(':')[0]),
    [
      'extensionProviders[name=oc].opencensus',
      'extensionProviders[name=gcp].stackdriver',
      'defaultProviders.tracing[0]',
      'defaultConfig.tracing.openCensusAgent',
    ],
  );
});
