import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Cluster, givenKubeconfig } from '../support/cluster.ts';
import { http } from '../support/http.ts';
import { eventually, until } from '../support/shell.ts';
import { callFromClient, door, list, podOf, podStates, withoutFailures } from './mesh.ts';

const gatewayScale = (minReplicas: number, maxReplicas: number) =>
  list({
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'istio-ingressgateway' },
    spec: {
      minReplicas,
      maxReplicas,
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'istio-ingressgateway' },
      metrics: [
        { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } },
      ],
    },
  });

/** True where somebody scales by these objects. */
async function scales({ kubectl }: Cluster): Promise<boolean> {
  const { items } = JSON.parse(await kubectl('get', 'hpa', '-A', '-o', 'json')) as {
    readonly items: readonly {
      readonly status?: { readonly conditions?: unknown; readonly currentReplicas?: number };
    }[];
  };
  return items.some(({ status }) => status?.conditions !== undefined || (status?.currentReplicas ?? 0) > 0);
}

export function workloadTests(cluster: () => Cluster): void {
  test('the gateway is scaled by its autoscaler to two and back to one, and no request fails', async (t) => {
    const { apply, kubectl, podsReady } = cluster();
    const autoscaled = await until(
      'the autoscaler to be looked at',
      async () => ((await scales(cluster())) ? true : undefined),
      30_000,
    ).catch(() => false);
    if (!autoscaled) return t.skip('nobody in this cluster scales by HorizontalPodAutoscalers');
    await withoutFailures(
      cluster(),
      (line) => t.diagnostic(line),
      async () => {
        for (const replicas of [2, 1]) {
          await apply(gatewayScale(replicas, replicas), 'istio-system');
          await until(
            `${replicas} gateways`,
            async () =>
              (await podStates(cluster(), 'istio-system', 'istio-ingressgateway')).length === replicas
                ? true
                : undefined,
            180_000,
          );
          await podsReady('istio-system', 'app=istio-ingressgateway');
        }
      },
    );
    await apply(gatewayScale(1, 5), 'istio-system');
    const { stdout } = await cluster().tryKubectl('get', '--raw', '/apis/metrics.k8s.io/v1beta1/nodes');
    if (stdout === '') t.diagnostic('no metrics server here: scaling by the use of CPU is not seen');
    await kubectl('get', 'hpa', '-n', 'istio-system');
  });

  test('Jobs with native sidecars end when their own container ends', async () => {
    const { apply, kubectl } = cluster();
    const program = `require('http').get('http://server/', (answer) => { answer.resume(); process.exitCode = answer.statusCode === 200 ? 0 : 1; answer.on('end', () => process.exit()); });`;
    const template = podOf('job', { program, spec: { restartPolicy: 'Never' } });
    await apply(
      list({ apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'job' }, spec: { template, backoffLimit: 2 } }),
    );
    await eventually('the Job to be complete', async () => {
      const job = JSON.parse(await kubectl('get', 'job', 'job', '-o', 'json')) as {
        readonly status: { readonly succeeded?: number; readonly completionTime?: string };
      };
      assert.equal(job.status.succeeded, 1);
      assert.ok(job.status.completionTime);
    });
    const pod = await kubectl('get', 'pods', '-l', 'app=job', '-o', 'json');
    assert.match(pod, /"name": "istio-proxy"/);
    await kubectl('delete', 'job', 'job');
  });

  test('NetworkPolicies that let the mesh pass are taken, and change nothing for it', async (t) => {
    const { apply, kubectl } = cluster();
    await apply(
      list(
        ...[
          { name: 'deny-all', spec: { podSelector: { matchLabels: { app: 'server' } }, policyTypes: ['Ingress'] } },
          {
            name: 'mesh-only',
            spec: {
              podSelector: { matchLabels: { app: 'server' } },
              policyTypes: ['Ingress'],
              ingress: [
                {
                  from: [{ podSelector: {} }, { namespaceSelector: {} }],
                  ports: [8080, 15006, 15008, 15020, 15021, 15090].map((port) => ({ protocol: 'TCP', port })),
                },
              ],
            },
          },
        ].map(({ name, spec }) => ({
          apiVersion: 'networking.k8s.io/v1',
          kind: 'NetworkPolicy',
          metadata: { name },
          spec,
        })),
      ),
    );
    await eventually('requests with the policies', async () => {
      assert.equal((await callFromClient(cluster(), 'server')).status, 200);
      assert.equal((await http(await door(cluster()))).status, 200);
    });
    // Without the second one a network that heeds policies lets nobody in.
    await kubectl('delete', 'networkpolicy', 'mesh-only');
    const heeded = await until(
      'the policy to be heeded',
      async () => ((await callFromClient(cluster(), 'server')).status === 200 ? undefined : true),
      5000,
      500,
    ).catch(() => false);
    t.diagnostic(
      heeded ? 'the network heeds the policies' : 'the network of this cluster does not heed NetworkPolicies',
    );
    await kubectl('delete', 'networkpolicy', '--all');
    await eventually('requests without policies', async () =>
      assert.equal((await callFromClient(cluster(), 'server')).status, 200),
    );
  });

  test('a node is drained: budgets are kept, pods come back after it with their sidecars, and requests go on', {
    skip: givenKubeconfig === undefined && 'the node of the local cluster is this machine: it is not drained',
  }, async (t) => {
    const { kubectl, tryKubectl, podsReady } = cluster();
    const nodes = (await kubectl('get', 'nodes', '-o', 'jsonpath={.items[*].metadata.name}')).trim().split(' ');
    const [node] = nodes;
    assert.ok(node);
    await kubectl('create', 'pdb', 'server', '--selector=app=server', '--min-available=2');
    await until('the budget to be counted', async () =>
      (await kubectl('get', 'pdb', 'server', '-o', 'jsonpath={.status.currentHealthy}')).trim() === '2'
        ? true
        : undefined,
    );
    const selector = '--pod-selector=app in (server,client,istiod,istio-ingressgateway)';
    const drain = ['drain', node, '--ignore-daemonsets', '--delete-emptydir-data', selector] as const;
    try {
      const first = await tryKubectl(...drain, '--timeout=15s');
      assert.notEqual(first.exitCode, 0, 'a budget of all pods was not kept');
      assert.match(first.stderr, /Cannot evict pod as it would violate the pod's disruption budget/);
      assert.equal((await podStates(cluster(), 'default', 'server')).filter(({ ready }) => ready).length, 2);
      t.diagnostic('a budget that allows nothing keeps its pods');
      await kubectl('delete', 'pdb', 'server');
      const budgets = await kubectl('get', 'pdb', '-n', 'istio-system', '-o', 'name');
      if (nodes.length === 1) {
        // Nobody can take over on another node: with budgets of one the drain could not end.
        for (const name of budgets.trim().split('\n').filter(Boolean))
          await kubectl('delete', '-n', 'istio-system', name);
      }
      const { stdout } = await tryKubectl(...drain, '--timeout=240s');
      t.diagnostic(`drained: ${stdout.split('\n').filter((line) => /evicted$/.test(line)).length} pods evicted`);
      assert.match(stdout, new RegExp(`node/${node} drained`));
      if (nodes.length === 1)
        await eventually('pods that wait for a node', async () =>
          assert.match(await kubectl('get', 'pods', '-n', 'istio-system', '-l', 'app=istiod'), /Pending/),
        );
    } finally {
      await kubectl('uncordon', node);
    }
    await podsReady('istio-system');
    // Pods that were made while nobody could inject were refused, and are made again.
    for (const app of ['server', 'client']) await kubectl('rollout', 'status', `deploy/${app}`, '--timeout=280s');
    await podsReady('default');
    for (const app of ['server', 'client'])
      for (const { name } of await podStates(cluster(), 'default', app))
        assert.match(await kubectl('get', 'pod', name, '-o', 'jsonpath={.spec.initContainers[*].name}'), /istio-proxy/);
    await withoutFailures(
      cluster(),
      (line) => t.diagnostic(line),
      () =>
        eventually('requests after it', async () =>
          assert.equal((await callFromClient(cluster(), 'server')).status, 200),
        ).then(() => new Promise((resolve) => setTimeout(resolve, 5000))),
    );
  });
}
