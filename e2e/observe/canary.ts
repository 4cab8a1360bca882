import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deployment, destinationRule, split } from '../scenarios/canary.ts';
import type { Cluster } from '../support/cluster.ts';
import { http } from '../support/http.ts';
import { eventually, until } from '../support/shell.ts';

interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

/** Asks the cluster's Prometheus, through the API server. */
export async function prometheus(cluster: Cluster, query: string): Promise<readonly Sample[]> {
  const raw = '/api/v1/namespaces/istio-system/services/prometheus:9090/proxy/api/v1/query';
  const text = await cluster.kubectl('get', '--raw', `${raw}?query=${encodeURIComponent(query)}`);
  const { status, data, error } = JSON.parse(text) as {
    status: string;
    data: { result: readonly Sample[] };
    error?: string;
  };
  if (status !== 'success') throw new Error(`${query}: ${error}`);
  return data.result;
}

/** Calls of the catalogue that its callers' proxies have counted, by version, as Prometheus has them. */
async function counted(cluster: Cluster): Promise<{ readonly v1: number; readonly v2: number }> {
  const samples = await prometheus(
    cluster,
    'sum by (destination_version) (istio_requests_total{reporter="source",destination_service_name="productcatalogservice",destination_service_namespace="istio-app"})',
  );
  const of = (version: string) =>
    Number(samples.find(({ metric }) => metric.destination_version === version)?.value[1] ?? 0);
  return { v1: of('v1'), v2: of('v2') };
}

/** The tutorial's canary, seen in Prometheus. */
export function canaryInPrometheus(cluster: () => Cluster): void {
  const visit = async (count: number) => {
    const url = `http://${await cluster().loadBalancer('istio-system', 'istio-ingressgateway')}/`;
    await Promise.all(Array.from({ length: count }, () => http(url)));
  };

  test('two versions of the product catalogue, a quarter of the requests for the second', async () => {
    await cluster().kubectl('delete', 'deploy', 'productcatalogservice', '-n', 'istio-app');
    const v1 = deployment('productcatalogservice', 'v1', '        - name: DISABLE_STATS\n          value: "1"');
    // Late enough to be seen, and not so late that a slow machine has half the shop waiting.
    const v2 = deployment('productcatalogservice-v2', 'v2', '        - name: EXTRA_LATENCY\n          value: 200ms');
    for (const object of [v1, v2, destinationRule, split(75, 25)]) await cluster().apply(object, 'istio-app');
    await cluster().podsReady('istio-app');
  });

  test('Prometheus has the calls of both versions in the ratio of the weights', async () => {
    await visit(4);
    await until('calls of both versions', async () => {
      const { v1, v2 } = await counted(cluster());
      if (v1 > 0 && v2 > 0) return true;
      await visit(4);
      return undefined;
    });
    const before = await counted(cluster());
    await eventually('a quarter of the calls to reach the second version', async () => {
      await visit(20);
      const now = await counted(cluster());
      const [v1, v2] = [now.v1 - before.v1, now.v2 - before.v2];
      const total = v1 + v2;
      assert.ok(total >= 200, `${total} calls counted`);
      // Five standard deviations are no longer chance.
      const deviation = Math.sqrt(total * 0.25 * 0.75);
      assert.ok(Math.abs(v2 - total / 4) <= 5 * deviation, `${v2} of ${total} reached the second version`);
    });
  });

  test('weights 0 and 100: Prometheus sees no more calls of the first version', async () => {
    await cluster().apply(split(0, 100), 'istio-app');
    // Each round begins anew: calls before the weights were in force are none of its own.
    await until(
      'a round without a call of the first version',
      async () => {
        const before = await counted(cluster());
        await until('the round to be counted', async () => {
          await visit(5);
          const now = await counted(cluster());
          return now.v2 - before.v2 >= 20 ? true : undefined;
        });
        const now = await counted(cluster());
        return now.v1 === before.v1 ? true : undefined;
      },
      240_000,
    );
    await cluster().apply(split(75, 25), 'istio-app');
  });
}
