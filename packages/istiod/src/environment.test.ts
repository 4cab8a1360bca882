import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { environmentPage, variables } from './environment.ts';

const root = join(import.meta.dirname, '../../..');

test('docs/istiod-environment.md is what istiod reads (npm run docs writes it)', () => {
  assert.equal(readFileSync(join(root, 'docs/istiod-environment.md'), 'utf8'), environmentPage());
});

test('every variable that is declared is read', () => {
  const source = [
    'settings.ts',
    'authority/settings.ts',
    'jwks/settings.ts',
    'traffic-switches.ts',
    'identity/identity-settings.ts',
  ]
    .map((file) => readFileSync(join(import.meta.dirname, file), 'utf8'))
    .join('');
  assert.deepEqual(
    Object.keys(variables).filter((name) => !source.includes(`env.${name}`) && !source.includes(`('${name}'`)),
    [],
  );
});
