import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KubeApiError, type KubeObject, type ResourceType, type WatchEvent } from '@istio-ts/kube';
import { playedClient } from '@istio-ts/kube/testing/played-client';
import { untaintPatch, untaintReadyNodes } from './node-untaint.ts';

const taint = { key: 'cni.istio.io/not-ready', effect: 'NoSchedule' };
const other = { key: 'dedicated', value: 'x', effect: 'NoExecute' };
const node = (name: string, taints: readonly object[]): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name },
  spec: { taints },
});
const agent = (name: string, on: string, ready: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'kube-system' },
  spec: { nodeName: on },
  status: { conditions: [{ type: 'Ready', status: ready }] },
});

test('only the one taint goes, and only if the taints are still those that were seen', () => {
  assert.deepEqual(untaintPatch(node('a', [other, taint]), taint.key), [
    { op: 'test', path: '/spec/taints', value: [other, taint] },
    { op: 'replace', path: '/spec/taints', value: [other] },
  ]);
  assert.deepEqual(untaintPatch(node('a', [other]), taint.key), []);
});

test('a node loses its taint when its agent becomes ready, whichever is seen first, and again after a failure', async () => {
  const handlers = new Map<string, (event: WatchEvent) => void>();
  const patched: string[] = [];
  let fail = true;
  const client = playedClient({
    watch: (type: ResourceType, _: unknown, onEvent: (event: WatchEvent) => void) => {
      handlers.set(type.kind, onEvent);
      return { close: () => undefined };
    },
    patch: async (_: unknown, name: string) => {
      if (name === 'late' && fail) {
        fail = false;
        throw new KubeApiError(503, 'Unavailable', 'not now');
      }
      patched.push(name);
    },
  });
  const warned: string[] = [];
  const log = { info: () => undefined, warn: (message: string) => warned.push(message) } as never;
  const controller = untaintReadyNodes(client, { namespace: 'kube-system', taint: taint.key }, log);
  const say = (kind: string, object: KubeObject, type: 'ADDED' | 'DELETED' = 'ADDED') =>
    handlers.get(kind)?.({ type, object });
  say('Node', node('a', [taint]));
  say('Pod', agent('p-a', 'a', 'False'));
  say('Pod', agent('p-b', 'b', 'True'));
  assert.deepEqual(patched, []);
  say('Pod', agent('p-a', 'a', 'True'));
  say('Node', node('b', [taint]));
  say('Node', node('c', [other]));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(patched, ['a', 'b']);
  // The agent is gone: a taint that comes back stays.
  say('Pod', agent('p-b', 'b', 'True'), 'DELETED');
  say('Node', node('b', [taint]));
  say('Node', node('late', [taint]));
  say('Pod', agent('p-l', 'late', 'True'));
  const deadline = Date.now() + 120_000;
  while (patched.length < 3 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(patched, ['a', 'b', 'late']);
  assert.match(warned.join(), /cannot take the taint .* from node late: not now/);
  controller.close();
});
