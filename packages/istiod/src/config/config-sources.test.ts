import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { KubeObject } from '@istio-ts/kube';
import { eventually } from '@istio-ts/envoy/testing/eventually';
import { readConfigSources, readsKubernetes } from './config-sources.ts';

const folder = mkdtempSync(join(tmpdir(), 'config-sources-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const entry = (name: string, host: string): string =>
  JSON.stringify({
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: { name },
    spec: { hosts: [host] },
  });

test('a folder of files is a source of configuration', async () => {
  const objects = new Map<string, KubeObject>();
  const said: string[] = [];
  const say = (message: string): void => void said.push(message);
  writeFileSync(join(folder, 'a.yaml'), `${entry('a', 'a.example')}\n---\n${entry('b', 'b.example')}\n`);
  writeFileSync(join(folder, 'notes.txt'), 'not read');
  const key = ({ metadata }: KubeObject): string => `${metadata.namespace}/${metadata.name}`;
  const reading = await readConfigSources(
    [{ address: `fs://${folder}` }, { address: 'xds://other:15010' }, { address: 'ftp://other' }],
    {
      set: (object) => void objects.set(key(object), object),
      delete: (object) => void objects.delete(key(object)),
      batch: (change) => change(),
    },
    { debug: say, info: say, warn: say, error: say },
  );
  try {
    assert.deepEqual([...objects.keys()], ['default/a', 'default/b']);
    assert.match(said[0] ?? '', /configSources\[1\]\.address: xds:\/\/other:15010: .* is not read by this istiod/);
    assert.match(said[1] ?? '', /configSources\[2\]\.address: "ftp:\/\/other" is none/);
    writeFileSync(join(folder, 'a.yaml'), entry('a', 'changed.example'));
    writeFileSync(join(folder, 'c.yaml'), '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}');
    const hosts = () => (objects.get('default/a')?.spec as { readonly hosts: readonly string[] } | undefined)?.hosts;
    await eventually('the change', () => hosts()?.[0] === 'changed.example' && !objects.has('default/b'));
    await eventually('a warning', () => said.some((line) => line.includes('v1 Pod is no configuration of Istio')));
    // A slip in a file takes nothing away.
    writeFileSync(join(folder, 'a.yaml'), 'kind: [');
    await eventually('the error with its line', () => said.some((line) => line.includes('a.yaml:1')));
    assert.deepEqual([...objects.keys()], ['default/a']);
  } finally {
    reading.close();
  }
});

test('named sources take the place of the Kubernetes API unless it is among them', () => {
  assert.equal(readsKubernetes(undefined), true);
  assert.equal(readsKubernetes([]), true);
  assert.equal(readsKubernetes([{ address: 'fs:///etc/config' }]), false);
  assert.equal(readsKubernetes([{ address: 'fs:///etc/config' }, { address: 'k8s://' }]), true);
});
