import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mayListenOnPrivilegedPorts } from './privileged-ports.ts';

const status = (capabilities: string) =>
  `Name:\tnode\nCapPrm:\t0000000000000400\nCapEff:\t${capabilities}\nCapBnd:\t0\n`;

test('privileged ports: by the kernel’s setting, else by the capability', () => {
  assert.equal(mayListenOnPrivilegedPorts('0\n', status('0000000000000000')), true);
  assert.equal(mayListenOnPrivilegedPorts('1024\n', status('0000000000000000')), false);
  assert.equal(mayListenOnPrivilegedPorts('1024\n', status('0000000000003000')), false);
  assert.equal(mayListenOnPrivilegedPorts('1024\n', status('0000000000000400')), true);
  assert.equal(mayListenOnPrivilegedPorts(undefined, status('0000000000000000')), false);
  assert.equal(mayListenOnPrivilegedPorts(undefined, undefined), true);
});
