import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { catalogue } from './catalogue.ts';

const root = join(import.meta.dirname, '..', '..', '..');

test('docs/telemetry.md has the catalogue as it is', () => {
  execFileSync(process.execPath, [join(root, 'scripts', 'generate-metrics.ts'), '--check'], { stdio: 'pipe' });
});

test('each metric is named once for a program, and dashboards ask for none that is absent', () => {
  const names = catalogue.map(({ name, program }) => `${program} ${name}`);
  assert.equal(new Set(names).size, names.length);
  const folder = join(root, 'addons', 'dashboards');
  const asked = readdirSync(folder)
    .map((file) => readFileSync(join(folder, file), 'utf8'))
    .join('\n');
  const words = new Set(asked.match(/\w+/g));
  for (const { name, state } of catalogue) if (state.kind === 'absent') assert.ok(!words.has(name), name);
});
