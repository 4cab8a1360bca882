import { createKubeClient, type KubeClient, loadKubeConfig } from '@istio-ts/kube';
import { type Cluster, startCluster } from '../../e2e/support/cluster.ts';
import { cniFolderFlags } from '../../e2e/support/cni-folders.ts';
import { until } from '../../e2e/support/shell.ts';
import { listed, median, timePod, whoami } from './pod-times.ts';

/** Bytes that a container cannot give back, by the name of its pod and its own; as `kubectl top` counts them. */
type Memory = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** What the kubelet of the cluster's only node says; undefined where nobody answers that. */
async function memory({ kubectl, tryKubectl }: Cluster): Promise<Memory | undefined> {
  const node = await kubectl('get', 'nodes', '-o', 'jsonpath={.items[0].metadata.name}');
  const { stdout } = await tryKubectl('get', '--raw', `/api/v1/nodes/${node}/proxy/stats/summary`);
  if (stdout === '') return undefined;
  const { pods } = JSON.parse(stdout) as {
    readonly pods: readonly {
      readonly podRef: { readonly name: string };
      readonly containers?: readonly {
        readonly name: string;
        readonly memory?: { readonly workingSetBytes?: number };
      }[];
    }[];
  };
  return new Map(
    pods.map(({ podRef, containers = [] }) => [
      podRef.name,
      new Map(containers.map(({ name, memory: used }) => [name, used?.workingSetBytes ?? 0])),
    ]),
  );
}

const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`;

async function readyTimes(client: KubeClient, kind: string, namespace: string, count: number): Promise<number> {
  const times: number[] = [];
  // The first one pays for what is kept afterwards, as the image's first container.
  for (let round = 0; round <= count; round++) {
    const ms = await timePod(client, whoami(`bench-${round}`, namespace), async ({ readyMs }) => readyMs);
    if (round > 0) times.push(ms);
  }
  console.log(`  ${kind.padEnd(34)} ${listed(times)}`);
  return median(times);
}

/** What the containers of pods with a sidecar and of istiod hold, after the kubelet has looked twice. */
async function printMemory(cluster: Cluster): Promise<void> {
  const { apply, kubectl, podsReady } = cluster;
  const pods = Array.from({ length: 3 }, (_, index) => whoami(`held-${index}`, 'bench-mesh'));
  await apply(JSON.stringify({ apiVersion: 'v1', kind: 'List', items: pods }), 'bench-mesh');
  await podsReady('bench-mesh');
  const istiod = await cluster.podOf('istio-system', 'istiod');
  const used = await until(
    'the kubelet to have looked at the pods',
    async () => {
      const now = await memory(cluster);
      if (now === undefined) return 'nobody answers';
      const sidecars = pods.map(({ metadata }) => now.get(metadata.name ?? '')?.get('istio-proxy') ?? 0);
      return sidecars.every((bytes) => bytes > 0) ? { now, sidecars } : undefined;
    },
    60_000,
    2000,
  );
  await kubectl('delete', 'pods', '-n', 'bench-mesh', '--all', '--grace-period=0', '--force');
  if (used === 'nobody answers') {
    console.log('  not known: no kubelet answers for this cluster');
    return;
  }
  console.log(`  istio-proxy (agent and Envoy)      ${used.sidecars.map(mib).join(', ')}`);
  console.log(`  istiod (discovery)                 ${mib(used.now.get(istiod)?.get('discovery') ?? 0)}`);
}

/** Prints the figures; installs the mesh for them, and leaves nothing. `count`: pods of each kind. */
export async function measurePods(count: number): Promise<void> {
  const cluster = await startCluster();
  const client = createKubeClient(loadKubeConfig({ env: cluster.env }));
  try {
    const install = (...flags: readonly string[]) =>
      cluster.istioctl('install', '-y', '--set', 'profile=minimal', ...flags);
    await cluster.apply(
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'List',
        items: [
          { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'bench-plain' } },
          {
            apiVersion: 'v1',
            kind: 'Namespace',
            metadata: { name: 'bench-mesh', labels: { 'istio-injection': 'enabled' } },
          },
        ],
      }),
    );
    await install();
    console.log('\nFrom the creation of a pod to its readiness');
    const plain = await readyTimes(client, 'no sidecar', 'bench-plain', count);
    const init = await readyTimes(client, 'sidecar, rules by istio-init', 'bench-mesh', count);
    console.log('\nMemory (working set)');
    await printMemory(cluster);
    await install(
      '--set',
      'components.cni.enabled=true',
      '--set',
      'components.cni.namespace=kube-system',
      ...cniFolderFlags,
    );
    console.log('\nWith the CNI plugin');
    const plainCni = await readyTimes(client, 'no sidecar', 'bench-plain', count);
    const cni = await readyTimes(client, 'sidecar, rules by the plugin', 'bench-mesh', count);
    const ratio = (value: number) => (value / plain).toFixed(2);
    console.log(
      `\nRatios, no sidecar = 1: istio-init ${ratio(init)}; with the plugin in the node's chain: no sidecar ${ratio(plainCni)}, sidecar ${ratio(cni)}`,
    );
  } finally {
    client.close();
    await cluster.down();
  }
}
