import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Cluster } from '../support/cluster.ts';
import { http } from '../support/http.ts';
import { until } from '../support/shell.ts';

const sample = join(import.meta.dirname, '..', '..', 'samples', 'online-boutique', 'canary');

/** A Deployment of the catalogue as the tutorial types it. */
export const deployment = (name: string, version: string, env: string) => `apiVersion: apps/v1
kind: Deployment
metadata:
  name: ${name}
spec:
  selector:
    matchLabels:
      app: productcatalogservice
  template:
    metadata:
      labels:
        app: productcatalogservice
        version: ${version}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
      - name: server
        image: gcr.io/google-samples/microservices-demo/productcatalogservice:v0.3.5
        ports:
        - containerPort: 3550
        env:
        - name: PORT
          value: "3550"
${env}
        readinessProbe:
          exec:
            command: ["/bin/grpc_health_probe", "-addr=:3550"]
        livenessProbe:
          exec:
            command: ["/bin/grpc_health_probe", "-addr=:3550"]
        resources:
          requests:
            cpu: 100m
            memory: 64Mi
          limits:
            cpu: 200m
            memory: 128Mi
`;

export const split = (v1: number, v2: number) => `apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata:
  name: productcatalogservice
spec:
  hosts:
  - productcatalogservice
  http:
  - route:
    - destination:
        host: productcatalogservice
        subset: v1
      weight: ${v1}
    - destination:
        host: productcatalogservice
        subset: v2
      weight: ${v2}
`;

export const destinationRule = `apiVersion: networking.istio.io/v1alpha3
kind: DestinationRule
metadata:
  name: productcatalogservice
spec:
  host: productcatalogservice
  subsets:
  - labels:
      app: productcatalogservice
      version: v1
    name: v1
  - labels:
      app: productcatalogservice
      version: v2
    name: v2
`;

/** The canary of the tutorial and of the README: two versions of the product catalogue, of which the second is three seconds late. */
export function canary(cluster: () => Cluster): void {
  const home = async () => `http://${await cluster().loadBalancer('istio-system', 'istio-ingressgateway')}/`;
  /** How many calls of the catalogue the frontend's proxy has counted, by version. The clock would not tell the versions apart on a slow machine. */
  const counted = async () => {
    const text = await cluster().kubectl(
      ...['exec', '-n', 'istio-app', await cluster().podOf('istio-app', 'frontend'), '-c', 'istio-proxy', '--'],
      ...['curl', '-s', 'http://localhost:15020/stats/prometheus'],
    );
    const of = (version: string) =>
      text
        .split('\n')
        .filter((line) => line.startsWith('istio_requests_total{') && line.includes('reporter="source"'))
        .filter((line) => line.includes('destination_service_name="productcatalogservice"'))
        .filter((line) => line.includes(`destination_version="${version}"`))
        .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
    return { v1: of('v1'), v2: of('v2') };
  };

  /**
   * Requests the home page (one call of the catalogue each) and tells which versions served these calls (and those of the load generator meanwhile). A round
   * in which a page fails is done again: on a slow machine probes of the tutorial's pods, which wait a second, may restart one. That no request fails under a
   * canary's changes is proven elsewhere, by pods that nothing restarts.
   */
  const served = (count: number, url: string): Promise<{ readonly v1: number; readonly v2: number }> =>
    until(`${count} pages`, async () => {
      const before = await counted();
      const answers = await Promise.all(Array.from({ length: count }, () => http(url)));
      const failed = answers.filter(({ status }) => status !== 200);
      if (failed.length > 0)
        throw new Error(
          `${failed.length} of ${count} failed: ${failed[0]?.status} ${failed[0]?.error ?? failed[0]?.body.replace(/<style>.*<\/style>/s, '').slice(0, 600)}`,
        );
      return until('the calls to be counted', async () => {
        const now = await counted();
        const calls = { v1: now.v1 - before.v1, v2: now.v2 - before.v2 };
        return calls.v1 + calls.v2 >= count ? calls : undefined;
      });
    });

  test('both versions are deployed by the sample, beside each other', async () => {
    const n = ['-n', 'istio-app'];
    await cluster().kubectl('apply', ...n, '-f', sample);
    for (const name of ['productcatalogservice', 'productcatalogservice-v2'])
      await cluster().kubectl('rollout', 'status', ...n, `deploy/${name}`, '--timeout=120s');
    await cluster().podsReady('istio-app');
  });

  test('a quarter of the requests reaches the second version', async () => {
    const url = await home();
    await until('the split to be in force', async () => ((await served(8, url)).v2 > 0 ? true : undefined));
    const sum = { v1: 0, v2: 0 };
    for (let round = 0; round < 10; round++) {
      const { v1, v2 } = await served(40, url);
      sum.v1 += v1;
      sum.v2 += v2;
    }
    const total = sum.v1 + sum.v2;
    // The deviation of a quarter of 400 is 8.7; five times that is no longer chance.
    const deviation = Math.sqrt(total * 0.25 * 0.75);
    assert.ok(Math.abs(sum.v2 - total / 4) <= 5 * deviation, `${sum.v2} of ${total} reached the second version`);
  });

  test('new weights are in force at once', async () => {
    const url = await home();
    await cluster().apply(split(100, 0), 'istio-app');
    // In force when calls that were likely to reach the second version no longer do: 40 in a row, at a quarter each, would be a one in 100000 chance.
    await until('only the first version to answer', async () => ((await served(40, url)).v2 === 0 ? true : undefined));
    await cluster().apply(split(0, 100), 'istio-app');
    await until('only the second version to answer', async () => ((await served(10, url)).v1 === 0 ? true : undefined));
    const { ms } = await http(url);
    assert.ok(ms >= 2900, `the second version is three seconds late: ${ms} ms`);
    await cluster().apply(split(100, 0), 'istio-app');
  });
}
