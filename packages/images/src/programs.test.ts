import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PROGRAM_ROWS } from './programs.ts';

/** Who has to be root: an agent of nodes, programs that answer at port 80, and images in which people do as they like. */
const ROOTS = [
  ...['install-cni', 'whoami', 'httpbin', 'go-httpbin', 'pause', 'node'],
  ...['busybox', 'alpine', 'debian', 'ubuntu', 'fedora', 'bash', 'netshoot', 'sleep', 'dnsutils'],
];

test('images are not root, with exceptions that are named', () => {
  const roots = PROGRAM_ROWS.flatMap(({ names, image }) => names.filter((name) => (image(name, 'v1').user ?? 0) === 0));
  assert.deepEqual(roots.sort(), ROOTS.sort());
});
