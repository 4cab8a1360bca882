import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findings, messagesOf } from '../analysis.test-support.ts';
import { meshTelemetry } from './mesh-telemetry.ts';
import { schemaValidation } from './schema-validation.ts';
import { telemetry } from './telemetry.ts';

const entry = (name: string, spec: string) =>
  `apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {name: ${name}}\nspec: ${spec}\n---\n`;
const pod = 'apiVersion: v1\nkind: Pod\nmetadata: {name: web-1, labels: {app: web}}\nspec: {}\n---\n';

test('access logs without a provider go nowhere, unless the mesh has a default', () => {
  const yaml = entry('logs', '{accessLogging: [{match: {mode: SERVER}}]}');
  assert.deepEqual(findings(telemetry, yaml), ['IST0157 Telemetry default/logs spec.accessLogging']);
  assert.deepEqual(findings(telemetry, yaml, { meshConfigYaml: 'accessLogFile: /dev/stdout' }), []);
  assert.deepEqual(findings(telemetry, yaml, { meshConfigYaml: 'defaultProviders: {accessLogging: [envoy]}' }), []);
  assert.deepEqual(findings(telemetry, entry('off', '{accessLogging: [{disabled: true}]}')), []);
});

test('a provider that the mesh configuration does not define', () => {
  const yaml = entry('spans', '{tracing: [{providers: [{name: otel}]}]}');
  assert.deepEqual(findings(telemetry, yaml), ['IST0101 Telemetry default/spans spec.tracing[0].providers[0].name']);
  const mesh =
    'extensionProviders: [{name: otel, opentelemetry: {service: otel.default.svc.cluster.local, port: 4317}}]';
  assert.deepEqual(findings(telemetry, yaml, { meshConfigYaml: mesh }), []);
});

test('a provider of a kind of which nothing comes', () => {
  const mesh =
    'extensionProviders: [{name: spans, zipkin: {service: zipkin.default.svc.cluster.local, port: 9411}}, {name: oc, opencensus: {service: oc.default.svc.cluster.local, port: 1}}]';
  const named = (section: string, name: string) => entry('one', `{${section}: [{providers: [{name: ${name}}]}]}`);
  const found = (section: string, name: string) =>
    messagesOf(telemetry, named(section, name), { meshConfigYaml: mesh }).map(
      ({ code, level, path, text }) => `${code} ${level} ${path} ${text}`,
    );
  for (const [section, name, why] of [
    ['accessLogging', 'spans', /spans is a provider of kind zipkin, to which stock Envoy sends no access logs/],
    ['accessLogging', 'stackdriver', /kind stackdriver/],
    ['tracing', 'stackdriver', /to which proxies send no spans: stock Envoy has nothing for Google Cloud/],
    ['tracing', 'oc', /to which proxies send no spans: Envoy’s tracer for OpenCensus is gone/],
    ['metrics', 'spans', /reports no metrics: only providers of kind prometheus/],
    ['metrics', 'stackdriver', /reports no metrics/],
  ] as const) {
    const [only, ...more] = found(section, name);
    assert.match(only ?? '', new RegExp(`^IST9010 Warning spec\\.${section}\\[0\\]\\.providers\\[0\\]\\.name `));
    assert.match(only ?? '', why);
    assert.deepEqual(more, []);
  }
  assert.deepEqual(found('tracing', 'spans'), []);
  assert.deepEqual(found('metrics', 'prometheus'), []);
});

test('a target that only waypoints serve', () => {
  const targets = (refs: string) => findings(telemetry, entry('one', `{targetRefs: [${refs}]}`));
  assert.deepEqual(targets('{group: gateway.networking.k8s.io, kind: Gateway, name: front}'), []);
  assert.deepEqual(targets('{kind: Service, name: web}'), ['IST9010 Telemetry default/one spec.targetRefs[0]']);
});

test('the mesh configuration’s own providers of which nothing comes', () => {
  const map = (mesh: string) =>
    `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata: {mesh: '${mesh}'}\n`;
  const all = messagesOf(
    meshTelemetry,
    map('{defaultProviders: {tracing: [stackdriver], metrics: [prometheus, none]}}'),
  );
  assert.deepEqual(
    all.map(({ code, object, text }) => [code, object?.name, /(defaultProviders\.\w+\[\d\]): /.exec(text)?.[1]]),
    [
      ['IST9010', 'istio', 'defaultProviders.metrics[1]'],
      ['IST9010', 'istio', 'defaultProviders.tracing[0]'],
    ],
  );
  assert.deepEqual(findings(meshTelemetry, map('{defaultProviders: {accessLogging: [envoy]}}')), []);
});

test('an expression that is no CEL is refused as all that is wrong in an object', () => {
  const yaml = entry(
    'logs',
    '{accessLogging: [{providers: [{name: envoy}], filter: {expression: "response.code >="}}]}',
  );
  assert.deepEqual(findings(schemaValidation, yaml), [
    'IST0106 Telemetry default/logs spec.accessLogging[0].filter.expression',
  ]);
});

test('two for all of a namespace', () => {
  const yaml = entry('a', '{metrics: []}') + entry('b', '{metrics: []}');
  assert.deepEqual(findings(telemetry, yaml), ['IST0160 Telemetry default/a', 'IST0160 Telemetry default/b']);
});

test('two for one pod', () => {
  const select = (labels: string) => `{selector: {matchLabels: {${labels}}}}`;
  const both = entry('a', select('app: web')) + entry('b', select('app: web')) + entry('c', select('app: other'));
  assert.deepEqual(findings(telemetry, pod + both), [
    'IST0159 Telemetry default/a spec.selector',
    'IST0159 Telemetry default/b spec.selector',
  ]);
});
