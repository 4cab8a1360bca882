import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findings } from '../analysis.test-support.ts';
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

test('a provider of another kind takes no access logs', () => {
  const yaml = entry('logs', '{accessLogging: [{providers: [{name: spans}, {name: envoy}]}]}');
  const mesh = 'extensionProviders: [{name: spans, zipkin: {service: zipkin.default.svc.cluster.local, port: 9411}}]';
  assert.deepEqual(findings(telemetry, yaml, { meshConfigYaml: mesh }), [
    'IST0101 Telemetry default/logs spec.accessLogging[0].providers[0].name',
  ]);
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
