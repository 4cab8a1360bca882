import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@istio-ts/kube';
import { accountObjects } from './reader-account.ts';
import { isLoopback, pluginAuth, remoteKubeconfig, remoteSecret } from './remote-secret.ts';

test('a remote secret carries the label by which istiod finds it, and the name of its cluster', () => {
  assert.deepEqual(remoteSecret('remote', 'west', 'istio-system', 'text'), {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: 'istio-remote-secret-west',
      namespace: 'istio-system',
      annotations: { 'networking.istio.io/cluster': 'west' },
      labels: { 'istio/multiCluster': 'true' },
    },
    stringData: { west: 'text' },
  });
  assert.deepEqual((remoteSecret('config', 'west', 'mesh', 'text') as KubeObject).stringData, { config: 'text' });
  assert.throws(() => remoteSecret('remote', 'West_1', 'istio-system', ''), /--name West_1/);
});

test('the kubeconfig names the cluster everywhere and trusts its CA', () => {
  const auth = { type: 'bearer-token', token: 'secret' } as const;
  const config = remoteKubeconfig({ name: 'west', server: 'https://w:6443', ca: 'PEM', tlsServerName: 'api', auth });
  assert.deepEqual(config, {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'west',
        cluster: { 'certificate-authority-data': 'UEVN', server: 'https://w:6443', 'tls-server-name': 'api' },
      },
    ],
    contexts: [{ name: 'west', context: { cluster: 'west', user: 'west' } }],
    'current-context': 'west',
    preferences: {},
    users: [{ name: 'west', user: { token: 'secret' } }],
  });
});

test('a credential plugin gets its settings as arguments and environment', () => {
  assert.deepEqual(pluginAuth('aws', ['args=eks get-token', 'REGION=eu,PROFILE=x']), {
    type: 'plugin',
    command: 'aws',
    args: ['eks', 'get-token'],
    apiVersion: 'client.authentication.k8s.io/v1',
    env: { REGION: 'eu', PROFILE: 'x' },
  });
  assert.throws(() => pluginAuth(undefined, []), /--auth-plugin-name/);
  assert.throws(() => pluginAuth('aws', ['REGION']), /"REGION" is not of the form KEY=VALUE/);
});

test('addresses that mean only this machine', () => {
  for (const server of ['https://127.0.0.1:6443', 'https://localhost', 'https://[::1]:6443'])
    assert.ok(isLoopback(server), server);
  assert.ok(!isLoopback('https://10.0.0.1:6443'));
});

test('of an installation only the account, its bindings and their roles are taken', () => {
  const object = (kind: string, name: string, rest: object = {}): KubeObject => ({
    apiVersion: 'v1',
    kind,
    metadata: { name },
    ...rest,
  });
  const bound = (role: string, account: string) => ({
    subjects: [{ kind: 'ServiceAccount', name: account, namespace: 'istio-system' }],
    roleRef: { kind: 'ClusterRole', name: role },
  });
  const all = [
    object('Service', 'istiod'),
    object('ServiceAccount', 'reader'),
    object('ServiceAccount', 'other'),
    object('ClusterRole', 'read'),
    object('ClusterRole', 'write'),
    object('ClusterRoleBinding', 'a', bound('read', 'reader')),
    object('ClusterRoleBinding', 'b', bound('write', 'other')),
  ];
  assert.deepEqual(
    accountObjects(all, 'reader', 'istio-system').map(({ kind, metadata }) => `${kind}/${metadata.name}`),
    ['ServiceAccount/reader', 'ClusterRole/read', 'ClusterRoleBinding/a'],
  );
});
