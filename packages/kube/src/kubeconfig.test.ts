import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createIdentitySource } from './credentials.ts';
import { loadInCluster } from './in-cluster.ts';
import { KubeConfigError, loadKubeConfig } from './kubeconfig.ts';

const folder = mkdtempSync(join(tmpdir(), 'kubeconfig-'));
after(() => rmSync(folder, { recursive: true }));
const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

const first = file(
  'first',
  `apiVersion: v1
kind: Config
current-context: one
clusters:
- name: c
  cluster: {server: "https://127.0.0.1:6443/", certificate-authority: ca.pem, tls-server-name: kubernetes}
contexts:
- name: one
  context: {cluster: c, user: u, namespace: shop}
- name: two
  context: {cluster: other, user: plugin}
users:
- name: u
  user: {client-certificate-data: ${Buffer.from('CERT').toString('base64')}, client-key-data: ${Buffer.from('KEY').toString('base64')}}
`,
);
file('ca.pem', 'CA');
const second = file(
  'second',
  `current-context: two
clusters:
- name: c
  cluster: {server: "https://ignored"}
- name: other
  cluster: {server: "https://other:1234", insecure-skip-tls-verify: true}
users:
- name: plugin
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: ./plugin.sh
      args: [a]
      env: [{name: WHO, value: me}]
      interactiveMode: Never
`,
);

test('merges the files of KUBECONFIG; the first that sets a value wins', () => {
  const config = loadKubeConfig({ env: { KUBECONFIG: `${first}:${second}:${folder}/missing` } });
  assert.deepEqual(config, {
    contextName: 'one',
    server: 'https://127.0.0.1:6443',
    namespace: 'shop',
    tls: { insecureSkipVerify: false, ca: 'CA', cert: 'CERT', key: 'KEY', serverName: 'kubernetes' },
    credentials: { kind: 'none' },
  });
});

test('takes a context by name, runs its credential plugin once and again after a refusal', async () => {
  const count = join(folder, 'count');
  const script = file(
    'plugin.sh',
    `#!/bin/sh
echo x >> ${count}
echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"'$WHO-$1-$(wc -l < ${count} | tr -d ' ')'"}}'
`,
  );
  chmodSync(script, 0o755);
  const config = loadKubeConfig({
    env: { KUBECONFIG: `${first}:${second}` },
    context: 'two',
    as: 'jane',
    asGroups: ['g'],
  });
  assert.equal(config.namespace, 'default');
  assert.equal(config.tls.insecureSkipVerify, true);
  const identity = createIdentitySource(config, process.env, Date.now);
  const expected = (n: number) => ({
    'Impersonate-User': 'jane',
    'Impersonate-Group': ['g'],
    Authorization: `Bearer me-a-${n}`,
  });
  assert.deepEqual((await identity.current()).headers, expected(1));
  assert.deepEqual((await identity.current()).headers, expected(1));
  identity.forget();
  assert.deepEqual((await identity.current()).headers, expected(2));
});

test('errors name the file and what to do', () => {
  const fails = (text: string, pattern: RegExp): void => {
    const path = file('bad', text);
    assert.throws(
      () => loadKubeConfig({ kubeconfig: path, env: {} }),
      (error: Error) => {
        assert.ok(error instanceof KubeConfigError);
        assert.match(error.message, pattern);
        return true;
      },
    );
  };
  fails('a: [', /Cannot read the kubeconfig .*bad: .*bad:1: /);
  fails('{}', /no current-context/);
  fails('current-context: x', /no context "x" \(there are: none\)/);
  fails('current-context: x\ncontexts: [{name: x, context: {cluster: far}}]', /cluster "far", which is not there/);
  fails(
    'current-context: x\ncontexts: [{name: x, context: {cluster: far}}]\nclusters: [{name: far, cluster: {server: "https://a", proxy-url: "http://p"}}]',
    /proxy-url, which is not supported/,
  );
  assert.throws(() => loadKubeConfig({ kubeconfig: join(folder, 'none'), env: {} }), /No kubeconfig at/);
  assert.throws(() => loadKubeConfig({ env: { HOME: folder } }), /No Kubernetes cluster is configured/);
});

test('inside a pod the token is read again', async () => {
  const directory = join(folder, 'sa');
  mkdirSync(directory);
  for (const [name, text] of Object.entries({ token: 't1\n', 'ca.crt': 'CA', namespace: 'istio-system' })) {
    writeFileSync(join(directory, name), text);
  }
  assert.equal(loadInCluster({}, directory), undefined);
  const config = loadInCluster({ KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443' }, directory);
  assert.ok(config);
  assert.equal(config.server, 'https://10.96.0.1:443');
  assert.equal(config.namespace, 'istio-system');
  let now = 0;
  const identity = createIdentitySource(config, {}, () => now);
  assert.equal((await identity.current()).headers.Authorization, 'Bearer t1');
  writeFileSync(join(directory, 'token'), 't2');
  assert.equal((await identity.current()).headers.Authorization, 'Bearer t1');
  now = 61_000;
  assert.equal((await identity.current()).headers.Authorization, 'Bearer t2');
});
