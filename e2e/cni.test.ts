import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { cniSettings } from './chapters/cni.ts';
import { obstacle } from './support/cluster.ts';
import { ownCluster } from './support/own-cluster.ts';
import { eventually, until } from './support/shell.ts';

const root = join(import.meta.dirname, '..');
const httpbin = join(root, 'samples', 'httpbin', 'httpbin.yaml');
const curl = join(root, 'samples', 'curl', 'curl.yaml');
const reason = obstacle({ localCluster: 'the test reads and changes files of its node' });

const strict = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict}
spec: {mtls: {mode: STRICT}}
`;

interface PluginEntry {
  readonly type: string;
  readonly log_level?: string;
  readonly kubernetes?: {
    readonly kubeconfig: string;
    readonly cni_bin_dir: string;
    readonly exclude_namespaces: string[];
  };
}

describe('interception by the CNI plugin', { skip: reason ?? false }, () => {
  const cluster = ownCluster();
  const folder = () => join(cluster().home, 'clusters', cluster().name, 'cni', 'net.d');
  const conflist = () => join(folder(), '10-istio-local.conflist');
  /** What `cat` shows on the node: this way from anywhere. */
  const shown = async (): Promise<readonly PluginEntry[]> =>
    JSON.parse(
      await cluster().kubectl(
        ...['-n', 'kube-system', 'exec', 'ds/istio-cni-node', '--'],
        ...['cat', '/host/etc/cni/net.d/10-istio-local.conflist'],
      ),
    ).plugins;
  const initContainers = async (app: string) =>
    (
      await cluster().kubectl(
        'get',
        'pod',
        '-l',
        `app=${app}`,
        '-o',
        'jsonpath={.items[0].spec.initContainers[*].name}',
      )
    )
      .split(' ')
      .filter((name) => name !== 'istio-proxy');
  const call = (url: string) =>
    cluster().tryKubectl('exec', 'deploy/curl', '-c', 'curl', '--', 'curl', '-s', '-i', '--max-time', '5', url);
  let original = '';

  test('the plugin is installed as the last of the chain', async () => {
    const { istioctl, kubectl, podsReady } = cluster();
    original = readFileSync(conflist(), 'utf8');
    await istioctl(
      ...['manifest', 'apply', '-y', '--set', 'profile=demo'],
      ...['--set', 'cni.enabled=true', '--set', 'cni.components.cni.namespace=kube-system'],
      ...['--set', 'values.gateways.istio-ingressgateway.type=ClusterIP'],
    );
    const pods = await podsReady('kube-system', 'k8s-app=istio-cni-node');
    assert.match(pods, /^istio-cni-node-\w+ +1\/1 +Running +0 /m);
    const plugins = await shown();
    assert.deepEqual(
      plugins.map(({ type }) => type),
      ['istio-local', 'istio-cni'],
    );
    assert.equal(plugins[1]?.log_level, 'info');
    assert.equal(plugins[1]?.kubernetes?.kubeconfig, '/etc/cni/net.d/ZZZ-istio-cni-kubeconfig');
    assert.equal(plugins[1]?.kubernetes?.cni_bin_dir, '/opt/cni/bin');
    const type = await kubectl(
      '-n',
      'istio-system',
      'get',
      'svc',
      'istio-ingressgateway',
      '-o',
      'jsonpath={.spec.type}',
    );
    assert.equal(type, 'ClusterIP');
    // The machine's own folders are not the cluster's.
    assert.equal(existsSync('/etc/cni/net.d/ZZZ-istio-cni-kubeconfig'), false);
  });

  test('injected pods have no privileges, and their traffic goes through mutual TLS', async () => {
    const { kubectl, apply, podsReady } = cluster();
    await kubectl('label', 'namespace', 'default', 'istio-injection=enabled');
    await apply(strict);
    await kubectl('apply', '-f', httpbin, '-f', curl);
    await podsReady('default');
    for (const app of ['httpbin', 'curl']) assert.deepEqual(await initContainers(app), ['istio-validation']);
    const spec = await kubectl('get', 'pods', '-o', 'jsonpath={.items[*].spec.initContainers[*].securityContext}');
    assert.doesNotMatch(spec, /NET_ADMIN/);
    const answer = await until('httpbin to answer', async () => {
      const { stdout } = await call('http://httpbin:8000/headers');
      return stdout.startsWith('HTTP/1.1 200') ? stdout : undefined;
    });
    assert.match(answer, /X-Forwarded-Client-Cert.*URI=spiffe:\/\/cluster\.local\/ns\/default\/sa\//);
  });

  test('settings in the old API change the chain', async () => {
    const { istioctl, kubectl, podsReady, home } = cluster();
    const file = join(home, 'cni.yaml');
    writeFileSync(file, cniSettings);
    await istioctl('manifest', 'apply', '-y', '-f', file);
    await kubectl('-n', 'kube-system', 'delete', 'pod', '-l', 'k8s-app=istio-cni-node');
    await podsReady('kube-system', 'k8s-app=istio-cni-node');
    const entry = await until('the new settings in the chain', async () => {
      const found = (await shown()).at(-1);
      return found?.kubernetes?.exclude_namespaces.includes('monitoring') ? found : undefined;
    });
    assert.deepEqual(entry.kubernetes?.exclude_namespaces, ['istio-system', 'kube-system', 'monitoring']);
  });

  test('pods of excluded namespaces get no rules', async () => {
    const { kubectl } = cluster();
    await kubectl('create', 'namespace', 'monitoring');
    await kubectl('label', 'namespace', 'monitoring', 'istio-injection=enabled');
    await kubectl(
      '-n',
      'monitoring',
      'create',
      'deployment',
      'plain',
      '--image=curlimages/curl',
      '--',
      'sleep',
      '3600',
    );
    await until('the check of the rules to fail', async () => {
      const log = await cluster().tryKubectl('-n', 'monitoring', 'logs', 'deploy/plain', '-c', 'istio-validation');
      return log.stderr.includes('inbound traffic is not redirected') ||
        log.stdout.includes('inbound traffic is not redirected')
        ? true
        : undefined;
    });
    await kubectl('delete', 'namespace', 'monitoring');
  });

  test('a chain that another plugin rewrites gets the plugin back', async () => {
    writeFileSync(conflist(), original);
    await until('the plugin in the chain', async () =>
      (await shown()).at(-1)?.type === 'istio-cni' ? true : undefined,
    );
  });

  test('a pod that started without the plugin is repaired when it comes back', async () => {
    const { kubectl, istioctl, home, podsReady } = cluster();
    await kubectl('-n', 'kube-system', 'delete', 'daemonset', 'istio-cni-node');
    await until('the plugin to be gone', async () =>
      readFileSync(conflist(), 'utf8') === original ? true : undefined,
    );
    await kubectl('create', 'deployment', 'early', '--image=curlimages/curl', '--', 'sleep', '3600');
    await until('the check of the rules to fail', async () => {
      const path = 'jsonpath={.items[0].status.initContainerStatuses[0]}';
      const status = await kubectl('get', 'pod', '-l', 'app=early', '-o', path);
      return status.includes('"exitCode":126') ? true : undefined;
    });
    await istioctl('manifest', 'apply', '-y', '-f', join(home, 'cni.yaml'));
    await podsReady('default', 'app=early');
    await eventually('the agent to tell of it', async () =>
      assert.match(await kubectl('-n', 'kube-system', 'logs', 'ds/istio-cni-node'), /repaired a pod .*default\/early-/),
    );
  });

  test('after the uninstallation the node is as it was', async () => {
    const { istioctl, tryKubectl } = cluster();
    await istioctl('uninstall', '--purge', '-y');
    await until('the agent to be gone', async () => {
      const { stdout } = await tryKubectl(
        '-n',
        'kube-system',
        'get',
        'pod',
        '-l',
        'k8s-app=istio-cni-node',
        '-o',
        'name',
      );
      return stdout.trim() === '' ? true : undefined;
    });
    assert.equal(readFileSync(conflist(), 'utf8'), original);
    assert.deepEqual(readdirSync(folder()), ['10-istio-local.conflist']);
    assert.deepEqual(readdirSync(join(folder(), '..', 'bin')), []);
  });
});
