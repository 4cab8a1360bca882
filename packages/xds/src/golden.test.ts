import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { describe, it } from 'node:test';
import { runGolden } from './testing/golden.ts';

// UPDATE_GOLDENS=1 writes what the code does now; read the difference before committing it.
const update = process.env.UPDATE_GOLDENS === '1';
const root = import.meta.dirname;

describe('golden files', () => {
  const inputs = globSync('**/*.in.yaml', { cwd: root }).sort();
  assert.ok(inputs.length > 0);
  for (const input of inputs) {
    it(input.replace(/\.in\.yaml$/, ''), () => {
      const output = `${root}/${input.replace(/\.in\.yaml$/, '.out.yaml')}`;
      const actual = runGolden(`${root}/${input}`);
      if (update) {
        writeFileSync(output, actual);
        return;
      }
      assert.ok(existsSync(output), `${relative(root, output)} is missing: run with UPDATE_GOLDENS=1`);
      assert.equal(actual, readFileSync(output, 'utf8'));
    });
  }
});
