import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

/** Packets may be dropped only where nobody else's are: in a network namespace of the test's own. */
const isolated = (...command: readonly string[]) =>
  spawnSync(
    'unshare',
    [...(process.getuid?.() === 0 ? [] : ['--user', '--map-root-user']), '--net', ...command],
    // A test runner inside of another one would report to that one.
    { encoding: 'utf8', env: { ...process.env, NODE_TEST_CONTEXT: undefined } },
  );

/** Runs a file of test cases in a network namespace of its own, where it may change iptables' rules; skipped where the machine has none. */
export function isolatedTest(name: string, file: string): void {
  const skip =
    isolated('iptables', '-L').status === 0 ? false : 'there are no network namespaces with iptables on this machine';
  test(name, { skip }, () => {
    const { status, stdout, stderr } = isolated(
      ...['sh', '-c', 'ip link set lo up && exec "$0" --test "$1"', process.execPath, file],
    );
    assert.equal(status, 0, `${stdout}${stderr}`);
  });
}
