import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLogger } from '@istio-ts/agent/log';
import { KubeApiError, type KubeObject, type WatchEvent } from '@istio-ts/kube';
import { playedClient } from '@istio-ts/kube/testing/played-client';
import { isBeingRemoved } from '../install/removal.ts';
import { type RepairSettings, readInstallSettings } from '../install/settings.ts';
import type { Pod } from '../plugin/pod.ts';
import { isBroken, repairAction } from './broken-pod.ts';
import { findPodNamespace, localAddresses } from './pod-namespace.ts';
import { startRepair } from './repair.ts';

const settings = (env: Readonly<Record<string, string>>): RepairSettings =>
  readInstallSettings([], { NODE_NAME: 'node-1', ...env }).repair;

function broken(exitCode = 126, restartCount = 0): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'default', uid: 'u-1', annotations: { 'sidecar.istio.io/status': '{}' } },
    spec: { containers: [{ name: 'app' }, { name: 'istio-proxy', args: ['proxy', 'sidecar'] }] },
    status: {
      podIP: '10.0.0.5',
      podIPs: [{ ip: '10.0.0.5' }, { ip: 'fd00::5' }],
      initContainerStatuses: [{ name: 'istio-validation', restartCount, state: { terminated: { exitCode } } }],
    },
  };
}

test('a pod is broken by the exit code of its check, whether it ended now or before', () => {
  const repair = settings({});
  assert.equal(isBroken(broken(), repair), true);
  assert.equal(isBroken(broken(1), repair), false);
  const waiting = broken();
  const before = { name: 'istio-validation', lastState: { terminated: { exitCode: 126 } } };
  assert.equal(isBroken({ ...waiting, status: { initContainerStatuses: [before] } }, repair), true);
  const well = { ...before, state: { terminated: { exitCode: 0 } } };
  assert.equal(isBroken({ ...waiting, status: { initContainerStatuses: [well] } }, repair), false);
  const again = { ...before, state: { running: {} } };
  assert.equal(isBroken({ ...waiting, status: { initContainerStatuses: [again] } }, repair), false);
  assert.equal(isBroken({ ...waiting, metadata: { name: 'web' } }, repair), false);
});

test('repairing comes before deleting, deleting before labelling, and nothing without a node or when it is off', () => {
  const all = { REPAIR_REPAIR_PODS: 'true', REPAIR_DELETE_PODS: 'true', REPAIR_LABEL_PODS: 'true' };
  assert.equal(repairAction(settings(all)), 'repair');
  assert.equal(repairAction(settings({ ...all, REPAIR_REPAIR_PODS: 'false' })), 'delete');
  assert.equal(repairAction(settings({ REPAIR_LABEL_PODS: 'true' })), 'label');
  assert.equal(repairAction(settings({})), undefined);
  assert.equal(repairAction(settings({ ...all, REPAIR_ENABLED: 'false' })), undefined);
  assert.equal(repairAction({ ...settings(all), nodeName: '' }), undefined);
});

/** Runs the repair over pods that a watch delivers, and gives what it asked of the API server. */
async function repaired(env: Readonly<Record<string, string>>, pods: readonly Pod[]) {
  const calls: unknown[] = [];
  const results: string[] = [];
  let selector = '';
  const client = playedClient({
    watch: (_: unknown, options: { fieldSelector?: string }, onEvent: (event: WatchEvent) => void) => {
      selector = options.fieldSelector ?? '';
      for (const object of pods) onEvent({ type: 'MODIFIED', object });
      return { close: () => undefined };
    },
    create: async (_: unknown, object: KubeObject) => {
      calls.push(['event', object.reason]);
      return object;
    },
    delete: async (_: unknown, name: string, namespace: string, options: unknown) => {
      calls.push(['delete', namespace, name, options]);
    },
    patch: async (_: unknown, name: string, namespace: string, type: string, body: unknown) => {
      calls.push(['patch', namespace, name, type, body]);
      return body;
    },
  });
  startRepair({
    settings: settings(env),
    excludedNamespaces: ['monitoring'],
    client,
    rules: {
      apply: async (path, _, families) => {
        calls.push(['apply', path, families]);
      },
      read: async () => '',
    },
    namespaceOf: () => '/proc/7/ns/net',
    log: createLogger({ write: () => undefined }),
    onRepair: (type, result) => results.push(`${type} ${result}`),
    now: () => new Date(0),
  });
  await new Promise((resolve) => setImmediate(resolve));
  return { calls, results, selector };
}

test('each failure is answered once', async () => {
  const repair = await repaired({ REPAIR_REPAIR_PODS: 'true' }, [broken(), broken(), broken(126, 1), broken(0, 2)]);
  assert.equal(repair.selector, 'spec.nodeName=node-1');
  // Two failures are repaired at a time.
  const calls = (kind: string) => repair.calls.filter((call) => Array.isArray(call) && call[0] === kind);
  assert.deepEqual(calls('apply'), Array(2).fill(['apply', '/proc/7/ns/net', [4, 6]]));
  assert.deepEqual(calls('event'), Array(2).fill(['event', 'RulesRepaired']));
  assert.equal(repair.calls.length, 4);
  assert.deepEqual(repair.results, ['repair success', 'repair success']);
  const removed = await repaired({ REPAIR_DELETE_PODS: 'true' }, [broken()]);
  assert.deepEqual(removed.calls, [
    ['event', 'RulesMissing'],
    ['delete', 'default', 'web', { uid: 'u-1' }],
  ]);
  const labelled = await repaired({ REPAIR_LABEL_PODS: 'true', REPAIR_BROKEN_POD_LABEL_KEY: 'a/b' }, [broken()]);
  assert.deepEqual(labelled.calls, [
    ['patch', 'default', 'web', 'merge', { metadata: { uid: 'u-1', labels: { 'a/b': 'true' } } }],
  ]);
});

test('pods that the plugin leaves alone are not deleted again and again, nor labelled', async () => {
  const excluded: Pod = { ...broken(), metadata: { ...broken().metadata, namespace: 'monitoring' } };
  for (const [setting, type] of [
    ['REPAIR_REPAIR_PODS', 'repair'],
    ['REPAIR_DELETE_PODS', 'delete'],
    ['REPAIR_LABEL_PODS', 'label'],
  ] as const) {
    const { calls, results } = await repaired({ [setting]: 'true' }, [excluded]);
    assert.deepEqual([calls, results], [[], [`${type} skip`]]);
  }
});

test('being removed is not being replaced', async () => {
  const answer = (result: KubeObject | Error) =>
    playedClient({ get: async () => (result instanceof Error ? Promise.reject(result) : result) });
  const set = (metadata: object): KubeObject => ({ apiVersion: 'apps/v1', kind: 'DaemonSet', metadata });
  const removed = (result: KubeObject | Error) => isBeingRemoved(answer(result), 'kube-system', 'istio-cni-node');
  assert.equal(await removed(set({})), false);
  assert.equal(await removed(set({ deletionTimestamp: '2026-01-01T00:00:00Z' })), true);
  assert.equal(await removed(new KubeApiError(404, 'NotFound', '')), true);
  assert.equal(await removed(new KubeApiError(403, 'Forbidden', '')), true);
  assert.equal(await removed(new Error('unreachable')), false);
});

test("the kernel's tables tell the addresses of a namespace", () => {
  const trie = `Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 10.0.0.0
        /24 link UNICAST
     |-- 10.0.0.5
        /32 host LOCAL
     |-- 127.0.0.1
        /32 host LOCAL
`;
  const six =
    'fd000000000000000000000000000005 02 40 00 80     eth0\n00000000000000000000000000000001 01 80 10 80       lo\n';
  assert.deepEqual([...localAddresses(trie, six)], ['10.0.0.5', 'fd00::5']);
});

const skip = process.getuid?.() === 0 ? false : 'network namespaces need root';

test("a pod's namespace is found by its uid, by its address, and with no process in it", { skip }, async () => {
  const name = `cni-repair-${process.pid}`;
  const netns = await fs.mkdtemp(join(tmpdir(), 'netns-'));
  const ip = (...words: string[]) => execFileSync('ip', words);
  ip('netns', 'add', name);
  const inside = spawn('nsenter', [`--net=/run/netns/${name}`, '--', 'sleep', '60']);
  try {
    ip('-n', name, 'link', 'set', 'lo', 'up');
    ip('-n', name, 'addr', 'add', '10.77.66.55/32', 'dev', 'lo');
    const pod = (uid: string, address: string): Pod => ({
      ...broken(),
      metadata: { name: 'x', uid },
      status: { podIP: address },
    });
    const inode = async (path: string | undefined) => (await fs.stat(path ?? '/nowhere')).ino;
    const wanted = await inode(`/run/netns/${name}`);
    const byUid = findPodNamespace(pod(name, ''), { proc: '/proc', netns: '/run/netns' });
    assert.equal(byUid, `/run/netns/${name}`);
    const deadline = Date.now() + 120_000;
    let byAddress: string | undefined;
    while (byAddress === undefined && Date.now() < deadline)
      byAddress = findPodNamespace(pod('none', '10.77.66.55'), { proc: '/proc', netns });
    assert.match(byAddress ?? '', /^\/proc\/\d+\/ns\/net$/);
    assert.equal(await inode(byAddress), wanted);
    const ended = new Promise((resolve) => inside.on('close', resolve));
    inside.kill();
    await ended;
    const empty = findPodNamespace(pod('none', '10.77.66.55'), { proc: '/proc', netns: '/run/netns' });
    assert.equal(await inode(empty), wanted);
    assert.equal(findPodNamespace(pod('none', '10.77.66.56'), { proc: '/proc', netns }), undefined);
  } finally {
    inside.kill();
    ip('netns', 'del', name);
    await fs.rm(netns, { recursive: true, force: true });
  }
});
