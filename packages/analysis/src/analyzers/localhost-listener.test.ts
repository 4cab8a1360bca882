import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { findings } from '../analysis.test-support.ts';
import { parseListeningSockets } from '../listening-sockets.ts';
import { localhostListener } from './localhost-listener.ts';

const yaml = `
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}, {port: 81, targetPort: admin}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web-1, labels: {app: web}}
spec: {containers: [{name: web, ports: [{name: admin, containerPort: 9000}]}]}
`;
const checked = (...sockets: readonly { readonly port: number; readonly loopback: boolean }[]) =>
  findings(localhostListener(new Map([['default/web-1', sockets]])), yaml);

test('a port of a service on localhost only', () => {
  assert.deepEqual(checked({ port: 8080, loopback: true }), ['IST0143 Pod default/web-1']);
  assert.deepEqual(checked({ port: 9000, loopback: true }), ['IST0143 Pod default/web-1']);
});

test('a port on all addresses too, a port that no service has, and pods that nobody looked into', () => {
  assert.deepEqual(checked({ port: 8080, loopback: true }, { port: 8080, loopback: false }), []);
  assert.deepEqual(checked({ port: 1234, loopback: true }), []);
  assert.deepEqual(findings(localhostListener(new Map()), yaml), []);
});

test('the tables of this machine', { skip: process.platform !== 'linux' && 'Linux has these tables' }, async () => {
  const open = async (host: string): Promise<{ port: number; close: () => void }> => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    const address = server.address();
    return { port: typeof address === 'object' && address ? address.port : 0, close: () => server.close() };
  };
  const [inside, inside6, outside] = await Promise.all([open('127.0.0.1'), open('::1'), open('0.0.0.0')]);
  try {
    const found = parseListeningSockets(readFileSync('/proc/net/tcp', 'utf8') + readFileSync('/proc/net/tcp6', 'utf8'));
    const of = (port: number) => found.find((socket) => socket.port === port)?.loopback;
    assert.deepEqual([of(inside.port), of(inside6.port), of(outside.port)], [true, true, false]);
  } finally {
    for (const server of [inside, inside6, outside]) server.close();
  }
});
