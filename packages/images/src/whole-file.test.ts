import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeWhole } from './whole-file.ts';

test('a file is written whole, with the folders above it, or stays as it was', (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'images-file-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'a', 'b');
  assert.equal(writeWhole(path, ['ä', Buffer.from('bc')]), 4);
  function* broken(): Generator<string> {
    yield 'half';
    throw new Error('no more');
  }
  assert.throws(() => writeWhole(path, broken()), /no more/);
  assert.equal(readFileSync(path, 'utf8'), 'äbc');
  assert.deepEqual(readdirSync(join(folder, 'a')), ['b'], 'nothing half written stays');
});
