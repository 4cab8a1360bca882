import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { cniSettings } from './chapters/cni.ts';
import { givenKubeconfig, obstacle } from './support/cluster.ts';
import { cniFolderFlags, cniFolders } from './support/cni-folders.ts';
import { type NodeFiles, nodeFiles } from './support/node-files.ts';
import { ownCluster } from './support/own-cluster.ts';
import { eventually, until } from './support/shell.ts';

const root = join(import.meta.dirname, '..');
const httpbin = join(root, 'samples', 'httpbin', 'httpbin.yaml');
const curl = join(root, 'samples', 'curl', 'curl.yaml');
const reason = obstacle();
const AGENTS = ['-n', 'kube-system', '-l', 'k8s-app=istio-cni-node'] as const;

const strict = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict}
spec: {mtls: {mode: STRICT}}
`;

const sleeper = (name: string) => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: ${name}}
spec:
  selector: {matchLabels: {app: ${name}}}
  template:
    metadata: {labels: {app: ${name}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - {name: sleeper, image: curlimages/curl, imagePullPolicy: IfNotPresent, command: [sleep, infinity]}
`;

interface PluginEntry {
  readonly type: string;
  readonly log_level?: string;
  readonly iptables_backend?: string;
  readonly rules_by?: string;
  readonly kubernetes?: {
    readonly kubeconfig: string;
    readonly cni_bin_dir: string;
    readonly exclude_namespaces: string[];
  };
}

const typesOf = (conflist: string): readonly string[] =>
  (JSON.parse(conflist).plugins as readonly PluginEntry[]).map(({ type }) => type);

describe('interception by the CNI plugin', { skip: reason ?? false }, () => {
  let files: NodeFiles;
  /** The node's configuration before the mesh came. */
  let original = { name: '', text: '', programs: [] as readonly string[], names: [] as readonly string[] };
  const cluster = ownCluster(async (started) => {
    files = await nodeFiles(started);
    const names = await files.list('config');
    const name = names.find((one) => /\.conf(list)?$/.test(one)) ?? '';
    original = { name, text: await files.read(name), programs: await files.list('programs'), names };
  });
  const chain = async (): Promise<readonly PluginEntry[]> => JSON.parse(await files.read(original.name)).plugins;
  const install = (...settings: readonly string[]) =>
    cluster().istioctl(
      ...['install', '-y', '--set', 'profile=demo', '--set', 'components.cni.enabled=true'],
      ...['--set', 'components.cni.namespace=kube-system', ...cniFolderFlags],
      ...['--set', 'values.gateways.istio-ingressgateway.type=ClusterIP'],
      ...settings.flatMap((setting) => ['--set', setting]),
    );
  /** The pod of a Deployment that is not on its way out. */
  const podOf = async (
    app: string,
  ): Promise<{ readonly name: string; readonly status: string; readonly labels: string }> => {
    const { items } = JSON.parse(await cluster().kubectl('get', 'pod', '-l', `app=${app}`, '-o', 'json'));
    const pod = items.find(({ metadata }: { metadata: object }) => !('deletionTimestamp' in metadata));
    if (pod === undefined) throw new Error(`no pod of ${app}`);
    return {
      name: pod.metadata.name,
      labels: JSON.stringify(pod.metadata.labels),
      status: JSON.stringify(pod.status.initContainerStatuses ?? []),
    };
  };
  const initContainers = async (app: string) => {
    const path = 'jsonpath={.items[0].spec.initContainers[*].name}';
    const names = await cluster().kubectl('get', 'pod', '-l', `app=${app}`, '-o', path);
    return names.split(' ').filter((name) => name !== 'istio-proxy');
  };
  const answers = (): Promise<string> =>
    until('httpbin to answer', async () => {
      const { stdout } = await cluster().tryKubectl(
        ...['exec', 'deploy/curl', '-c', 'curl', '--'],
        ...['curl', '-s', '-i', '--max-time', '5', 'http://httpbin:8000/headers'],
      );
      return stdout.startsWith('HTTP/1.1 200') ? stdout : undefined;
    });
  /** A fresh pod of httpbin, whose network is made by the chain as it is now, answers over mutual TLS. */
  const freshPodAnswers = async (): Promise<void> => {
    await cluster().kubectl('rollout', 'restart', 'deploy/httpbin');
    await cluster().kubectl('rollout', 'status', 'deploy/httpbin', '--timeout=120s');
    assert.deepEqual(await initContainers('httpbin'), ['istio-validation']);
    assert.match(await answers(), /X-Forwarded-Client-Cert.*URI=spiffe:\/\/cluster\.local\/ns\/default\/sa\//);
  };
  /** Without the DaemonSet a pod starts without rules, and its check fails. */
  const startEarly = async (name: string): Promise<string> => {
    await cluster().kubectl('-n', 'kube-system', 'delete', 'daemonset', 'istio-cni-node');
    await until('the plugin to be gone', async () =>
      (await files.read(original.name)) === original.text ? true : undefined,
    );
    await cluster().apply(sleeper(name));
    return until('the check of the rules to fail', async () => {
      const pod = await podOf(name);
      return pod.status.includes('"exitCode":126') ? pod.name : undefined;
    });
  };

  test('the plugin is installed as the last of the chain', async () => {
    const { istioctl, kubectl, podsReady } = cluster();
    await istioctl(
      ...['manifest', 'apply', '-y', '--set', 'profile=demo'],
      ...['--set', 'cni.enabled=true', '--set', 'cni.components.cni.namespace=kube-system'],
      ...['--set', 'values.gateways.istio-ingressgateway.type=ClusterIP', ...cniFolderFlags],
    );
    assert.match(await podsReady('kube-system', 'k8s-app=istio-cni-node'), /^istio-cni-node-\w+ +1\/1 +Running +0 /m);
    const plugins = await chain();
    const types = plugins.map(({ type }) => type);
    assert.deepEqual(types, [...typesOf(original.text), 'istio-cni']);
    const entry = plugins.at(-1);
    assert.equal(entry?.log_level, 'info');
    assert.equal(entry?.kubernetes?.kubeconfig, `${cniFolders.config}/ZZZ-istio-cni-kubeconfig`);
    assert.equal(entry?.kubernetes?.cni_bin_dir, cniFolders.programs);
    assert.equal(await files.mode('ZZZ-istio-cni-kubeconfig'), '600');
    assert.ok((await files.list('programs')).includes('istio-cni'));
    // What users of the plugin look at: from the agent's own pod.
    const shown = ['exec', '-n', 'kube-system', 'ds/istio-cni-node', '--', 'cat'];
    assert.deepEqual(typesOf(await kubectl(...shown, `/host/etc/cni/net.d/${original.name}`)), types);
    assert.equal(
      await kubectl('get', 'pod', ...AGENTS, '-o', 'jsonpath={.items[0].spec.priorityClassName}'),
      'system-node-critical',
    );
    const service = ['-n', 'istio-system', 'get', 'svc', 'istio-ingressgateway'];
    assert.equal(await kubectl(...service, '-o', 'jsonpath={.spec.type}'), 'ClusterIP');
    // The folders of a machine with a local cluster are not the cluster's.
    if (givenKubeconfig === undefined) assert.equal(existsSync('/etc/cni/net.d/ZZZ-istio-cni-kubeconfig'), false);
  });

  test('injected pods have no privileges, and their traffic goes through mutual TLS', async () => {
    const { kubectl, apply, podsReady } = cluster();
    await kubectl('label', 'namespace', 'default', 'istio-injection=enabled', '--overwrite');
    await apply(strict);
    await kubectl('apply', '-f', httpbin, '-f', curl);
    await podsReady('default');
    for (const app of ['httpbin', 'curl']) assert.deepEqual(await initContainers(app), ['istio-validation']);
    const spec = await kubectl('get', 'pods', '-o', 'jsonpath={.items[*].spec.initContainers[*].securityContext}');
    assert.match(spec, /"drop":\["ALL"\]/);
    assert.doesNotMatch(spec, /NET_ADMIN/);
    assert.match(await answers(), /X-Forwarded-Client-Cert.*URI=spiffe:\/\/cluster\.local\/ns\/default\/sa\//);
  });

  test('settings in the old API change the chain', async () => {
    const { istioctl, kubectl, podsReady, home } = cluster();
    const file = join(home, 'cni.yaml');
    writeFileSync(file, cniSettings.replace('logLevel: info', 'logLevel: debug'));
    await istioctl('manifest', 'apply', '-y', '-f', file, ...cniFolderFlags);
    await kubectl('delete', 'pod', ...AGENTS);
    await podsReady('kube-system', 'k8s-app=istio-cni-node');
    const entry = await until('the new settings in the chain', async () => {
      const found = (await chain()).at(-1);
      return found?.kubernetes?.exclude_namespaces.includes('monitoring') ? found : undefined;
    });
    assert.deepEqual(entry.kubernetes?.exclude_namespaces, ['istio-system', 'kube-system', 'monitoring']);
    assert.equal(entry.log_level, 'debug');
  });

  test('pods of excluded namespaces get no rules', async () => {
    const { kubectl, tryKubectl, apply } = cluster();
    await kubectl('create', 'namespace', 'monitoring');
    await kubectl('label', 'namespace', 'monitoring', 'istio-injection=enabled');
    await apply(sleeper('plain'), 'monitoring');
    await until('the check of the rules to fail', async () => {
      const log = await tryKubectl('-n', 'monitoring', 'logs', 'deploy/plain', '-c', 'istio-validation');
      return `${log.stderr}${log.stdout}`.includes('inbound traffic is not redirected') ? true : undefined;
    });
    await kubectl('delete', 'namespace', 'monitoring');
    await eventually('the agent to tell why', async () =>
      assert.match(
        await kubectl('-n', 'kube-system', 'logs', 'ds/istio-cni-node'),
        /left alone.*monitoring\/plain.*namespace monitoring is excluded/,
      ),
    );
  });

  test('a chain that another plugin rewrites gets the plugin back', async () => {
    await files.replace(original.name, original.text);
    await until('the plugin in the chain', async () =>
      (await chain()).at(-1)?.type === 'istio-cni' ? true : undefined,
    );
    await freshPodAnswers();
  });

  test('a plugin that comes after it in the chain gets the result of those before', async (t) => {
    if (!original.programs.includes('tuning')) return t.skip('the node has no plugin "tuning"');
    const list = JSON.parse(await files.read(original.name));
    const longer = { ...list, plugins: [...list.plugins, { type: 'tuning', sysctl: {} }] };
    await files.replace(original.name, JSON.stringify(longer));
    await freshPodAnswers();
    assert.deepEqual(typesOf(await files.read(original.name)).slice(-2), ['istio-cni', 'tuning']);
    await files.replace(original.name, original.text);
    await until('the plugin in the chain', async () =>
      (await chain()).at(-1)?.type === 'istio-cni' ? true : undefined,
    );
  });

  test('the agent writes the rules where the node has no programs for it, with nftables as well', async () => {
    await install('values.cni.env.RULES_BY=agent', 'values.global.nativeNftables=true');
    await until('the new settings in the chain', async () => {
      const entry = (await chain()).at(-1);
      return entry?.rules_by === 'agent' && entry.iptables_backend === 'nft' ? true : undefined;
    });
    await freshPodAnswers();
  });

  test('a pod that started without the plugin is labelled, and repaired', async () => {
    const { kubectl, podsReady } = cluster();
    const name = await startEarly('early');
    await install('values.cni.repair.repairPods=false', 'values.cni.repair.labelPods=true');
    await until('the label', async () => {
      const pod = await podOf('early');
      return pod.name === name && pod.labels.includes('"cni.istio.io/uninitialized":"true"') ? true : undefined;
    });
    await install();
    await podsReady('default', 'app=early');
    assert.equal((await podOf('early')).name, name);
    await eventually('the agent to tell of it', async () =>
      assert.match(await kubectl('-n', 'kube-system', 'logs', 'ds/istio-cni-node'), /repaired a pod .*default\/early-/),
    );
  });

  test('a pod that started without the plugin is deleted, if that is the setting', async () => {
    const name = await startEarly('first');
    await install('values.cni.repair.repairPods=false', 'values.cni.repair.deletePods=true');
    await until('another pod in its place', async () => ((await podOf('first')).name === name ? undefined : true));
    await cluster().podsReady('default', 'app=first');
  });

  test('the taint of a new node goes when its agent is ready', async () => {
    const { kubectl } = cluster();
    const node = (await kubectl('get', 'nodes', '-o', 'jsonpath={.items[0].metadata.name}')).trim();
    await install('values.pilot.taint.enabled=true', 'values.pilot.taint.namespace=kube-system');
    await kubectl('rollout', 'status', '-n', 'istio-system', 'deploy/istiod', '--timeout=120s');
    const taints = () => kubectl('get', 'node', node, '-o', 'jsonpath={.spec.taints[*].key}');
    await kubectl('taint', 'node', node, 'cni.istio.io/not-ready=true:NoSchedule');
    await until('the taint to be gone', async () =>
      (await taints()).includes('cni.istio.io/not-ready') ? undefined : true,
    );
  });

  test('after the uninstallation the node is as it was', async () => {
    const { istioctl, kubectl } = cluster();
    await istioctl('uninstall', '--purge', '-y');
    await until('the agent to be gone', async () =>
      (await kubectl('get', 'pod', ...AGENTS, '-o', 'name')).trim() === '' ? true : undefined,
    );
    assert.equal(await files.read(original.name), original.text);
    assert.deepEqual(await files.list('config'), original.names);
    assert.deepEqual(await files.list('programs'), original.programs);
  });
});
