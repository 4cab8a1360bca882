import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cluster } from '../support/cluster.ts';
import { eventually, until } from '../support/shell.ts';

/** The installation as the tutorials do it. */
export function installation(cluster: () => Cluster): void {
  test('kubectl sees the cluster', async () => {
    assert.match(await cluster().kubectl('get', 'nodes'), /Ready/);
    assert.match(await cluster().kubectl('get', 'svc', 'kubernetes'), /443\/TCP/);
  });

  test('istioctl before the installation', async () => {
    assert.match(await cluster().istioctl('version'), /no running Istio pods in "?istio-system"?/);
    const profiles = await cluster().istioctl('profile', 'list');
    for (const profile of ['default', 'demo', 'minimal', 'empty', 'remote'])
      assert.match(profiles, new RegExp(`^\\s*${profile}$`, 'm'));
  });

  test('istioctl install --set profile=demo -y', async () => {
    const output = await cluster().istioctl('install', '--set', 'profile=demo', '-y');
    for (const part of [
      'Istio core installed',
      'Istiod installed',
      'Ingress gateways installed',
      'Egress gateways installed',
      'Installation complete',
    ])
      assert.match(output, new RegExp(part));
    const pods = await cluster().podsReady('istio-system');
    assert.equal(pods.match(/1\/1\s+Running/g)?.length, 3, pods);
  });

  test('istioctl version and verify-install', async () => {
    await eventually('the versions of all parts', async () => {
      const version = await cluster().istioctl('version');
      assert.match(version, /client version: \d+\.\d+\.\d+/);
      assert.match(version, /control plane version: \d+\.\d+\.\d+/);
      assert.match(version, /data plane version: \d+\.\d+\.\d+ \(2 proxies\)/);
    });
    assert.match(await cluster().istioctl('verify-install'), /Istio is installed and verified successfully/);
  });

  test('a second installation changes nothing', async () => {
    const before = await cluster().kubectl('get', 'pods', '-n', 'istio-system', '-o', 'name');
    await cluster().istioctl('install', '--set', 'profile=demo', '-y');
    assert.equal(await cluster().kubectl('get', 'pods', '-n', 'istio-system', '-o', 'name'), before);
  });

  test('the root certificate is in every namespace', async () => {
    await cluster().kubectl('create', 'namespace', 'roots');
    const path = 'jsonpath={.data.root-cert\\.pem}';
    await until('the ConfigMap istio-ca-root-cert', async () => {
      const text = await cluster().kubectl('get', 'configmap', '-n', 'roots', 'istio-ca-root-cert', '-o', path);
      return text.includes('BEGIN CERTIFICATE') ? true : undefined;
    });
  });
}
