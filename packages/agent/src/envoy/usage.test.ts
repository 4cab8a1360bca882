import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { renderEnvoyUsage, usageOf } from './usage.ts';

test('the usage of a process with a name that is hard to read', () => {
  const fields = ['S', ...Array.from({ length: 10 }, (_, index) => String(index + 4)), '250', '50'];
  assert.deepEqual(
    usageOf(7, (file) =>
      file === '/proc/7/stat' ? `7 (a (b) c) ${fields.join(' ')} 0 0` : 'Name:\ta\nVmRSS:\t      12 kB\nThreads:\t1\n',
    ),
    { cpuSeconds: 3, memoryBytes: 12 * 1024 },
  );
  assert.equal(
    usageOf(7, () => 'nonsense'),
    undefined,
  );
});

test('a busy process is seen to take CPU, and one that is gone is not seen', {
  skip: process.platform !== 'linux',
}, async () => {
  const child = spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' });
  const pid = child.pid ?? 0;
  try {
    const deadline = Date.now() + 60_000;
    while ((usageOf(pid)?.cpuSeconds ?? 0) < 0.2) {
      assert.ok(Date.now() < deadline, 'it takes no CPU');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.ok((usageOf(pid)?.memoryBytes ?? 0) > 1_000_000);
    assert.match(renderEnvoyUsage(pid), /^istio_agent_envoy_cpu_seconds_total 0?\.?\d/m);
  } finally {
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
  }
  assert.equal(renderEnvoyUsage(pid), '');
});
