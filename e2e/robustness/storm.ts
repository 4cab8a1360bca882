import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cluster } from '../support/cluster.ts';
import { until } from '../support/shell.ts';
import { deployment, istiodMetrics, list, podStates, withoutFailures } from './mesh.ts';
import { proxiesInSync } from './replicas.ts';

/** About 130 MB and two seconds of CPU a pod. */
const PODS = Number(process.env.E2E_STORM || 10);

interface Usage {
  readonly cpuSeconds: number;
  readonly memoryMiB: number;
  readonly requests: number;
  readonly issued: number;
}

async function usage(cluster: Cluster): Promise<Usage> {
  const all = await Promise.all(
    (await podStates(cluster, 'istio-system', 'istiod')).map(({ name }) => istiodMetrics(cluster, name)),
  );
  const sum = (name: string) => all.reduce((total, metrics) => total + (metrics.get(name) ?? 0), 0);
  return {
    cpuSeconds: sum('process_cpu_seconds_total'),
    memoryMiB: sum('process_resident_memory_bytes') / 2 ** 20,
    requests: sum('citadel_server_csr_count'),
    issued: sum('citadel_server_success_cert_issuance_count'),
  };
}

export function stormTests(cluster: () => Cluster): void {
  test(`${PODS} pods at once: all of them become ready, each has its certificate`, async (t) => {
    const { kubectl, apply } = cluster();
    const say = (line: string) => t.diagnostic(line);
    const before = await usage(cluster());
    const started = Date.now();
    await withoutFailures(cluster(), say, async () => {
      await apply(list(deployment('storm', PODS, { container: { command: ['sleep', '1000000'] } })));
      const ready = await until(
        'all pods of the storm to be ready',
        async () => {
          const pods = await podStates(cluster(), 'default', 'storm');
          const late = pods.filter((pod) => !pod.ready);
          if (pods.length < PODS || late.length > 0)
            throw new Error(`${late.length} of ${pods.length} are not ready, as ${late[0]?.name}`);
          return pods;
        },
        60_000 + PODS * 20_000,
        1000,
      );
      say(`${PODS} pods were ready after ${Math.round((Date.now() - started) / 1000)} s`);
      // One that comes too early is told to come again, by the agent's own back-off; the kubelet never has to start it anew.
      assert.deepEqual(
        ready.filter(({ restarts }) => restarts > 0),
        [],
      );
      await proxiesInSync(cluster(), PODS + 4);
      const after = await usage(cluster());
      say(
        `istiod, three together: ${(after.cpuSeconds - before.cpuSeconds).toFixed(1)} s of CPU, ${Math.round(before.memoryMiB)} MiB before, ${Math.round(after.memoryMiB)} MiB after; ${after.requests - before.requests} certificate requests, ${after.issued - before.issued} certificates`,
      );
      assert.ok(after.issued - before.issued >= PODS, `${after.issued - before.issued} certificates for ${PODS} pods`);
    });
    await kubectl('delete', 'deployment', 'storm', '--wait=false');
    await until(
      'the storm to be over',
      async () => ((await kubectl('get', 'pods', '-l', 'app=storm', '-o', 'name')).trim() === '' ? true : undefined),
      300_000,
      1000,
    );
  });
}
