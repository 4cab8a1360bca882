import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultMeshConfig, type MeshConfig, type TelemetrySpec } from '@istio-ts/api';
import type { Config } from './model.ts';
import { effectiveTelemetry } from './telemetry.ts';

/** What Telemetries of mesh, namespace and workload come to (Telemetry reference). */

const telemetry = (name: string, namespace: string, spec: TelemetrySpec, createdAt = 0): Config<TelemetrySpec> => ({
  origin: { kind: 'Telemetry', namespace, name },
  labels: {},
  annotations: {},
  createdAt,
  spec,
});

const providers: MeshConfig['extensionProviders'] = ['a', 'b', 'c'].map((name) => ({
  name,
  envoyFileAccessLog: { path: `/${name}` },
}));
const spans: MeshConfig['extensionProviders'] = ['x', 'y'].map((name) => ({
  name,
  zipkin: { service: `${name}.default`, port: 9411 },
}));

const effective = (
  telemetries: readonly Config<TelemetrySpec>[],
  defaultProviders: MeshConfig['defaultProviders'] = {},
) =>
  effectiveTelemetry({
    telemetries,
    mesh: { ...defaultMeshConfig(), extensionProviders: [...providers, ...spans], defaultProviders },
    proxy: { type: 'sidecar', namespace: 'shop', labels: { app: 'cart' } },
    rootNamespace: 'istio-system',
  });
const named = (...names: readonly string[]) => ({ providers: names.map((name) => ({ name })) });
const logs = (result: ReturnType<typeof effective>, side: 'client' | 'server') => {
  const { accessLogging } = result[side];
  return accessLogging.kind === 'mesh'
    ? 'mesh'
    : accessLogging.logs.map(({ provider, filter }) => (filter ? `${provider.name}: ${filter}` : provider.name));
};

test('access logs: the providers of the most special Telemetry, per side, with its filters', () => {
  const root = telemetry('root', 'istio-system', { accessLogging: [named('a')] });
  const namespace = telemetry('ns', 'shop', {
    accessLogging: [{ ...named('b'), filter: { expression: 'response.code >= 400' } }],
  });
  assert.equal(logs(effective([]), 'client'), 'mesh');
  assert.deepEqual(logs(effective([], { accessLogging: ['c'] }), 'client'), ['c']);
  assert.deepEqual(logs(effective([root], { accessLogging: ['c'] }), 'client'), ['a']);
  assert.deepEqual(logs(effective([root, namespace]), 'server'), ['b: response.code >= 400']);
  const off = telemetry('off', 'shop', { accessLogging: [{ match: { mode: 'SERVER' }, disabled: true }] });
  assert.deepEqual(logs(effective([root, off]), 'server'), []);
  assert.deepEqual(logs(effective([root, off]), 'client'), ['a']);
  const only = telemetry('only', 'shop', {
    selector: { matchLabels: { app: 'cart' } },
    accessLogging: [{ match: { mode: 'CLIENT' }, ...named('c') }],
  });
  assert.deepEqual(logs(effective([root, only]), 'client'), ['c']);
  assert.deepEqual(logs(effective([root, only]), 'server'), ['a']);
});

test('tracing: each field from the most special Telemetry that sets it; one provider', () => {
  const root = telemetry('root', 'istio-system', {
    tracing: [{ ...named('x', 'y'), randomSamplingPercentage: 10, customTags: { a: { literal: { value: '1' } } } }],
  });
  const own = telemetry('own', 'shop', {
    tracing: [
      { randomSamplingPercentage: 50, customTags: { b: { literal: { value: '2' } } } },
      { match: { mode: 'SERVER' }, disableSpanReporting: true },
    ],
  });
  assert.deepEqual(effective([]).client.tracing, { kind: 'mesh' });
  assert.deepEqual(
    effective([telemetry('none', 'shop', { tracing: [{ randomSamplingPercentage: 5 }] })]).client.tracing,
    {
      kind: 'off',
    },
  );
  const { client, server } = effective([root, own]);
  assert.deepEqual(client.tracing, {
    kind: 'provider',
    provider: spans[0],
    randomSamplingPercentage: 50,
    customTags: { b: { literal: { value: '2' } } },
    useRequestIdForTraceSampling: true,
    enableIstioTags: true,
    disableContextPropagation: false,
  });
  assert.deepEqual(server.tracing, { kind: 'off' });
});

test('metrics: overrides add up and later ones win; a parent’s disabling is taken back by false', () => {
  const root = telemetry('root', 'istio-system', {
    metrics: [
      {
        ...named('prometheus'),
        overrides: [
          { match: { metric: 'ALL_METRICS' }, disabled: true },
          { match: { metric: 'REQUEST_COUNT' }, tagOverrides: { a: { value: '"1"' }, b: { value: '"1"' } } },
        ],
      },
    ],
  });
  const own = telemetry('own', 'shop', {
    metrics: [
      {
        reportingInterval: '3s',
        overrides: [
          {
            match: { metric: 'REQUEST_COUNT', mode: 'SERVER' },
            disabled: false,
            tagOverrides: { b: { operation: 'REMOVE' } },
          },
        ],
      },
    ],
  });
  const of = (side: 'client' | 'server') => effective([root, own])[side].metrics;
  const [server] = of('server');
  assert.equal(server?.provider.name, 'prometheus');
  assert.equal(server?.reportingInterval, '3s');
  assert.deepEqual(server?.overrides.get('REQUEST_COUNT'), {
    disabled: false,
    tags: new Map<string, object>([
      ['a', { kind: 'upsert', value: '"1"' }],
      ['b', { kind: 'remove' }],
    ]),
  });
  assert.equal(server?.overrides.get('REQUEST_SIZE')?.disabled, true);
  assert.equal(of('client')[0]?.overrides.get('REQUEST_COUNT')?.disabled, true);
  assert.deepEqual(effective([]).client.metrics, []);
});

test('of several for the same the oldest counts; a selector in the root namespace is for that namespace', () => {
  const log = (name: string, namespace: string, createdAt: number, more: object = {}) =>
    telemetry(name, namespace, { ...more, accessLogging: [named(name)] }, createdAt);
  const selector = { selector: { matchLabels: { app: 'cart' } } };
  const result = effective([log('b', 'shop', 2), log('a', 'shop', 1), log('c', 'istio-system', 0, selector)]);
  assert.deepEqual(logs(result, 'client'), ['a']);
  assert.deepEqual(
    result.origins.map(({ name }) => name),
    ['a'],
  );
  assert.deepEqual(
    logs(effective([log('b', 'shop', 2, selector), log('a', 'shop', 1, selector), log('c', 'shop', 0)]), 'client'),
    ['a'],
  );
});
