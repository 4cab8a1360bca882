import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

it('a name server that there is no way to is no answer', async () => {
  const module = fileURLToPath(new URL('./upstream.ts', import.meta.url));
  const program = `const { exchangeWith } = await import(${JSON.stringify(module)});
    console.log(await exchangeWith(['192.0.2.1', '2001:db8::1'], Buffer.alloc(16)));`;
  // In a network namespace without any route, like a machine without a network.
  const { stdout } = await promisify(execFile)('unshare', [
    ...['--net', process.execPath, '--input-type=module', '--eval', program],
  ]);
  assert.equal(stdout.trim(), 'undefined');
});
