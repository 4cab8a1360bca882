import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { FakeCluster, settle } from '../fake-cluster.test-support.ts';
import { recordingLogger } from '../log.test-support.ts';
import { readMeshConfigMap, watchMeshConfig } from './mesh-config.ts';

const map = (mesh: string) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'istio', namespace: 'istio-system' },
  data: { mesh },
});

test('no ConfigMap means the defaults', () => {
  const { config, complete } = readMeshConfigMap(undefined);
  assert.equal(config?.trustDomain, 'cluster.local');
  assert.equal(complete, true);
});

test('a trust domain that is none is refused', () => {
  const { config, complete, problems } = readMeshConfigMap(map('trustDomain: "Not A Domain"'));
  assert.equal(config?.trustDomain, 'cluster.local');
  assert.equal(complete, false);
  assert.match(problems.join(), /trustDomain: "Not A Domain" is none/);
});

for (const [what, text] of [
  ['no YAML', '{{{'],
  ['a list', '- a'],
  ['nothing', ''],
  ['a field of the wrong type', 'trustDomain: 7'],
  ['a trust domain that is none', 'trustDomain: "a/b"'],
] as const)
  test(`the last good configuration stays when the next one is ${what}`, async () => {
    const cluster = new FakeCluster();
    cluster.put(kubernetesTypes.ConfigMap, map('trustDomain: corp.example'));
    const seen: (string | undefined)[] = [];
    const log = recordingLogger();
    const watch = watchMeshConfig(
      cluster.client,
      { namespace: 'istio-system', name: 'istio' },
      (config) => void seen.push(config.trustDomain),
      log,
    );
    await watch.synced;
    cluster.put(kubernetesTypes.ConfigMap, map(text));
    await settle();
    assert.deepEqual(seen, ['corp.example']);
    assert.match(
      log.lines.join('\n'),
      /error ConfigMap istio-system\/istio is ignored: the last valid mesh configuration stays/,
    );
    cluster.put(kubernetesTypes.ConfigMap, map('trustDomain: next.example'));
    await settle();
    assert.deepEqual(seen, ['corp.example', 'next.example']);
    watch.close();
  });

test('at the start a configuration is taken as far as it can be read', async () => {
  const cluster = new FakeCluster();
  cluster.put(kubernetesTypes.ConfigMap, map('trustDomain: corp.example\nrootNamespace: [x]'));
  const seen: (string | undefined)[] = [];
  const watch = watchMeshConfig(
    cluster.client,
    { namespace: 'istio-system', name: 'istio' },
    (config) => void seen.push(config.trustDomain),
    recordingLogger(),
  );
  await watch.synced;
  assert.deepEqual(seen, ['corp.example']);
  watch.close();
});
