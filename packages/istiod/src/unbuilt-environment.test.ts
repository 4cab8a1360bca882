import assert from 'node:assert/strict';
import { test } from 'node:test';
import { environmentWarnings, variables, withoutEffect } from './environment.ts';
import { unbuilt } from './unbuilt-environment.ts';

test('who sets a variable that has no effect is told so, with its name and why', () => {
  assert.deepEqual(environmentWarnings({}), []);
  assert.deepEqual(environmentWarnings({ PILOT_ENABLE_AMBIENT: 'true', PILOT_HTTP10: 'true' }), [
    'PILOT_ENABLE_AMBIENT=true has no effect: There is no ambient mode.',
  ]);
  assert.match(
    environmentWarnings({ PILOT_DEBOUNCE_AFTER: '1s' }).join(),
    /^PILOT_DEBOUNCE_AFTER=1s has no effect: \S/,
  );
});

test('what is so anyway is no reason to warn, however it is written', () => {
  for (const value of ['false', 'False', '0', 'f', ''])
    assert.deepEqual(environmentWarnings({ PILOT_ENABLE_AMBIENT: value }), []);
  for (const value of ['true', '1', 'T']) assert.deepEqual(environmentWarnings({ XDS_AUTH: value }), []);
  assert.equal(environmentWarnings({ XDS_AUTH: 'false' }).length, 1);
  // A chart for a platform sets it for itself.
  assert.deepEqual(environmentWarnings({ PLATFORM: 'gke' }), []);
});

test('a variable either has an effect or has none', () => {
  const names = [...unbuilt.flatMap((one) => Object.keys(one.names)), ...withoutEffect.flatMap((one) => one.names)];
  assert.equal(new Set(names).size, names.length);
  assert.deepEqual(
    names.filter((name) => Object.hasOwn(variables, name)),
    [],
  );
});
