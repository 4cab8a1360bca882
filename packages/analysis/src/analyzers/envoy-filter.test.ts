import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findings } from '../analysis.test-support.ts';
import { envoyFilter } from './envoy-filter.ts';

const filter = (patches: string, more = '') =>
  `apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: f}\nspec:\n  ${more}\n  configPatches: [${patches}]\n`;
const patch = (applyTo: string, operation: string, match = '') =>
  `{applyTo: ${applyTo}, ${match}patch: {operation: ${operation}, value: {}}}`;
const at = (code: string, index = 0) => `${code} EnvoyFilter default/f spec.configPatches[${index}].patch.operation`;

test('an insertion relative to what others may move', () => {
  assert.deepEqual(findings(envoyFilter, filter(patch('HTTP_FILTER', 'INSERT_BEFORE'))), [at('IST0151')]);
  assert.deepEqual(findings(envoyFilter, filter(patch('HTTP_FILTER', 'INSERT_BEFORE'), 'priority: 10')), []);
  assert.deepEqual(findings(envoyFilter, filter(patch('HTTP_FILTER', 'INSERT_FIRST'))), []);
});

test('an insertion after what the same object has added', () => {
  const both = `${patch('HTTP_FILTER', 'INSERT_FIRST')}, ${patch('HTTP_FILTER', 'INSERT_AFTER')}`;
  assert.deepEqual(findings(envoyFilter, filter(both)), []);
});

test('bound to a version', () => {
  const match = 'match: {proxy: {proxyVersion: ^1\\\\.9.*}}, '.replace('\\\\', '\\');
  assert.deepEqual(findings(envoyFilter, filter(patch('HTTP_FILTER', 'INSERT_BEFORE', match))), [at('IST0155')]);
});

test('operations that are ignored where they stand', () => {
  assert.deepEqual(findings(envoyFilter, filter(patch('CLUSTER', 'REPLACE'))), [at('IST0152')]);
  assert.deepEqual(findings(envoyFilter, filter(patch('HTTP_ROUTE', 'ADD'))), [at('IST0153')]);
  assert.deepEqual(findings(envoyFilter, filter(patch('ROUTE_CONFIGURATION', 'REMOVE'))), [at('IST0154')]);
  const fine = [patch('HTTP_FILTER', 'REPLACE'), patch('CLUSTER', 'ADD'), patch('LISTENER', 'REMOVE')].join(', ');
  assert.deepEqual(findings(envoyFilter, filter(fine)), []);
});

test('values that are no configuration of Envoy', () => {
  const wrong = '{applyTo: CLUSTER, patch: {operation: MERGE, value: {connect_timeouts: 1s}}}';
  const right = '{applyTo: CLUSTER, patch: {operation: MERGE, value: {connect_timeout: 1s}}}';
  assert.deepEqual(findings(envoyFilter, filter(`${right}, ${wrong}`)), [
    'IST0106 EnvoyFilter default/f spec.configPatches[1].patch.value',
  ]);
});
