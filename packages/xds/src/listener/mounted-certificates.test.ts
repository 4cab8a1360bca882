import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateOffline, typeUrls } from '../engine/index.ts';
import { podObject } from '../testing/objects.ts';

/** Files that a container mounts itself (`ISTIO_META_TLS_SERVER_*`) take the place of the workload’s certificate and anchors. */

const objects = [podObject({ name: 'web-0', labels: { app: 'web' }, ip: '10.0.0.1' })];

function names(metadata: Readonly<Record<string, unknown>>, type: string): readonly string[] {
  const result = generateOffline(objects, { name: 'web-0', namespace: 'default', ipAddress: '10.0.0.1', metadata });
  assert.deepEqual(result.errors, []);
  const text = JSON.stringify((result.resources.get(type) ?? []).map((resource) => resource.json()));
  return [...new Set([...text.matchAll(/"name":"(default|ROOTCA|file-[^"]+)"/g)].map(([, name]) => name ?? ''))].sort();
}

test('the server side of mutual TLS', () => {
  const files = {
    TLS_SERVER_CERT_CHAIN: '/etc/own/chain.pem',
    TLS_SERVER_KEY: '/etc/own/key.pem',
    TLS_SERVER_ROOT_CERT: '/etc/own/root.pem',
  };
  const own = ['file-cert:/etc/own/chain.pem~/etc/own/key.pem', 'file-root:/etc/own/root.pem'];
  const without = names({}, typeUrls.listener);
  assert.ok(without.includes('default') && without.includes('ROOTCA') && !without.some((name) => own.includes(name)));
  const listeners = names(files, typeUrls.listener);
  for (const name of own) assert.ok(listeners.includes(name), name);
  assert.ok(!listeners.includes('ROOTCA'));
  // A certificate without its key is none; roots stand for themselves.
  const { TLS_SERVER_KEY: _, ...noKey } = files;
  assert.ok(!names(noKey, typeUrls.listener).some((name) => name.startsWith('file-cert')));
  assert.ok(names(noKey, typeUrls.listener).includes('file-root:/etc/own/root.pem'));
});
