import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { obstacle } from './support/cluster.ts';
import { ownCluster } from './support/own-cluster.ts';
import { run } from './support/shell.ts';

const root = join(import.meta.dirname, '..');
const reason = obstacle();

const route = (host: string) => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: httpbin}
spec:
  hosts: [httpbin]
  http:
  - route: [{destination: {host: ${host}}}]
`;

describe('istioctl against a mesh: completion, waiting, other clusters, machines, bug reports', {
  skip: reason ?? false,
}, () => {
  const cluster = ownCluster(async (started) => {
    await started.istioctl('install', '--set', 'profile=minimal', '-y');
    await started.kubectl('label', 'namespace', 'default', 'istio-injection=enabled');
    await started.kubectl('apply', '-f', join(root, 'samples', 'httpbin', 'httpbin.yaml'));
    await started.podsReady('default');
  });
  const completed = async (...words: readonly string[]) =>
    (await cluster().istioctl('__complete', '--', ...words)).split('\n').map((line) => line.split('\t')[0]);

  test('completion knows the namespaces, workloads and revisions of the cluster', async () => {
    assert.ok((await completed('-n', 'istio-s')).includes('istio-system'));
    assert.ok((await completed('proxy-config', 'routes', 'deploy/h')).includes('deploy/httpbin'));
    assert.ok((await completed('proxy-config', 'routes', '-n', 'istio-system', 'istiod-')).length > 1);
    assert.ok((await completed('proxy-status', '-r', '')).includes('default'));
    const context = (await cluster().kubectl('config', 'current-context')).trim();
    assert.ok((await completed('--context', '')).includes(context));
  });

  test('a change can be waited for until the proxies have confirmed it', async () => {
    await cluster().apply(route('httpbin'));
    const first = await cluster().istioctl('experimental', 'wait', 'virtualservice', 'httpbin.default');
    assert.match(first, /^VirtualService default\/httpbin \(generation 1\) has arrived: 1 of 1 proxies/);
    await cluster().apply(route('elsewhere'));
    await cluster().istioctl('x', 'wait', '--for=distribution', 'vs', 'httpbin', '--threshold=0.9');
    const routes = await cluster().istioctl('proxy-config', 'routes', 'deploy/httpbin', '-o', 'json');
    assert.match(routes, /elsewhere/);
    const never = await cluster().tryIstioctl('x', 'wait', 'vs', 'httpbin', '--generation=99', '--timeout=5s');
    assert.equal(never.exitCode, 1);
    assert.match(never.stderr, /generation 99\) has not arrived within 5s.*has not seen it yet/);
    await cluster().kubectl('delete', 'virtualservice', 'httpbin');
    assert.match(await cluster().istioctl('x', 'wait', '--for=delete', 'vs', 'httpbin'), /is gone/);
  });

  test('a remote secret lets its bearer read the cluster as a control plane does, and no more', async () => {
    const { stdout, stderr, exitCode } = await cluster().tryIstioctl('create-remote-secret', '--name', 'west');
    assert.equal(exitCode, 0, stderr);
    assert.match(stderr, /address of this machine/);
    const secret = await cluster().apply(stdout, 'istio-system');
    assert.match(secret, /secret\/istio-remote-secret-west created/);
    const encoded = await cluster().kubectl(
      ...['get', 'secret', 'istio-remote-secret-west', '-n', 'istio-system', '-o', 'jsonpath={.data.west}'],
    );
    const kubeconfig = join(cluster().home, 'west');
    writeFileSync(kubeconfig, Buffer.from(encoded, 'base64'));
    assert.match(await cluster().kubectl('--kubeconfig', kubeconfig, 'get', 'pods', '-A'), /httpbin/);
    const refused = await cluster().tryKubectl('--kubeconfig', kubeconfig, 'delete', 'pods', '--all');
    assert.match(refused.stderr, /forbidden/i);
    // A second one takes the same token.
    assert.equal(await cluster().istioctl('create-remote-secret', '--name', 'west'), stdout);
    assert.match(await cluster().istioctl('remote-clusters'), /Kubernetes +synced +istiod-/);
  });

  test('a machine gets the files that it needs to join the mesh', async () => {
    const group = await cluster().istioctl(
      ...['x', 'workload', 'group', 'create', '--name', 'vm', '-n', 'default'],
      ...['--labels', 'app=cart', '--ports', 'http=8080', '--serviceAccount', 'httpbin'],
    );
    await cluster().apply(group);
    const folder = join(cluster().home, 'vm');
    const configure = ['x', 'workload', 'entry', 'configure', '--name', 'vm', '-n', 'default', '-o', folder];
    const { stderr, exitCode } = await cluster().tryIstioctl(
      ...configure,
      '--ingressIP',
      '192.0.2.7',
      '--autoregister',
    );
    assert.equal(exitCode, 0, stderr);
    assert.match(stderr, /--autoregister: istiod does not make WorkloadEntries/);
    const file = (name: string) => readFileSync(join(folder, name), 'utf8');
    assert.equal(file('hosts'), '192.0.2.7 istiod.istio-system.svc\n');
    assert.match(file('root-cert.pem'), /BEGIN CERTIFICATE/);
    assert.match(file('cluster.env'), /ISTIO_META_AUTO_REGISTER_GROUP='vm'/);
    const claims = JSON.parse(Buffer.from(file('istio-token').split('.')[1] ?? '', 'base64url').toString());
    assert.deepEqual(claims.aud, ['istio-ca']);
    assert.equal(claims.sub, 'system:serviceaccount:default:httpbin');
    assert.equal(statSync(join(folder, 'istio-token')).mode & 0o777, 0o600);
  });

  test('a bug report has logs, configuration and an index, and keeps secrets', async () => {
    const folder = join(cluster().home, 'report');
    const planned = await cluster().istioctl('bug-report', '--dry-run', '--output-dir', folder);
    assert.match(planned, /nothing was written/);
    assert.ok(!existsSync(folder));
    const told = await cluster().istioctl(
      'bug-report',
      '--output-dir',
      folder,
      '--include',
      'default/http*',
      '--tail=50',
    );
    assert.match(told, /1 pods of istiod, 1 pods with proxies/);
    const { exitCode } = await run('tar', ['xzf', join(folder, 'bug-report.tar.gz'), '-C', folder]);
    assert.equal(exitCode, 0);
    const report = join(folder, 'bug-report');
    const index = readFileSync(join(report, 'README.md'), 'utf8');
    assert.match(index, /namespaces: default, istio-system/);
    assert.doesNotMatch(index, /What could not be had/);
    for (const file of [/istiod\/.*discovery\.log/, /proxies\/default\/httpbin.*config_dump\.json/, /analyze\.txt/])
      assert.match(index, file);
    assert.match(readFileSync(join(report, 'cluster', 'secrets.yaml'), 'utf8'), /ca-key\.pem: redacted/);
    // As they are, and as base64 of them; and tokens of service accounts.
    for (const secret of ['BEGIN [A-Z ]*PRIVATE KEY', 'LS0tLS1CRUdJTiBQUklWQVRF', 'LS0tLS1CRUdJTiBFQyBQUklWQVRF'])
      assert.equal((await run('grep', ['-rl', secret, report])).stdout, '', secret);
    assert.equal((await run('grep', ['-rlE', 'eyJ[A-Za-z0-9_-]{10,}\\.eyJ[A-Za-z0-9_-]{10,}\\.', report])).stdout, '');
  });
});
