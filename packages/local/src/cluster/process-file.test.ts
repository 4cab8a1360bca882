import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { claimProcessFile, readProcessFile, writeProcessFile } from './process-file.ts';

describe('a process file', () => {
  let directory = '';
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'istio-ts-process-'));
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  it('belongs to whoever claims it first, as long as that process runs', () => {
    const file = join(directory, 'a.json');
    const other = spawn('sleep', ['60'], { stdio: 'ignore' });
    try {
      assert.ok(other.pid);
      writeProcessFile(file, other.pid);
      assert.equal(claimProcessFile(file), other.pid);
      assert.equal(readProcessFile(file), other.pid);
    } finally {
      other.kill('SIGKILL');
    }
    assert.deepEqual(readdirSync(directory), ['a.json']);
  });

  it('is taken over from a process that has ended, also when it is damaged', () => {
    const file = join(directory, 'b.json');
    for (const left of ['{"pid":4194000,"start":"1"}\n', '{"pi']) {
      writeFileSync(file, left);
      assert.equal(claimProcessFile(file), undefined);
      assert.equal(readProcessFile(file), process.pid);
    }
  });
});
