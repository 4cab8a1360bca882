import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cluster } from '../support/cluster.ts';
import { http } from '../support/http.ts';
import { until } from '../support/shell.ts';

const deployment = (name: string, version: string, env: string) => `apiVersion: apps/v1
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

const split = (v1: number, v2: number) => `apiVersion: networking.istio.io/v1alpha3
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

const destinationRule = `apiVersion: networking.istio.io/v1alpha3
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

/** The tutorial's canary: two versions of the product catalogue, of which the second is three seconds late. */
export function canary(cluster: () => Cluster): void {
  const slowMs = 2500;
  const home = async () => `http://${await cluster().loadBalancer('istio-system', 'istio-ingressgateway')}/`;

  /** Requests the home page (one call of the catalogue each) and tells how many were served by the slow version. */
  async function slowOf(count: number, url: string): Promise<number> {
    const answers = await Promise.all(Array.from({ length: count }, () => http(url)));
    const failed = answers.filter(({ status }) => status !== 200);
    assert.equal(
      failed.length,
      0,
      `${failed.length} of ${count} failed: ${failed[0]?.status} ${failed[0]?.error ?? failed[0]?.body.slice(0, 300)}`,
    );
    return answers.filter(({ ms }) => ms >= slowMs).length;
  }

  test('both versions are deployed as the tutorial says', async () => {
    const n = ['-n', 'istio-app'];
    await cluster().kubectl('delete', 'deploy', 'productcatalogservice', ...n);
    await cluster().apply(
      deployment('productcatalogservice', 'v1', '        - name: DISABLE_STATS\n          value: "1"'),
      'istio-app',
    );
    await cluster().apply(
      deployment('productcatalogservice-v2', 'v2', '        - name: EXTRA_LATENCY\n          value: 3s'),
      'istio-app',
    );
    await cluster().apply(destinationRule, 'istio-app');
    await cluster().apply(split(75, 25), 'istio-app');
    // Deployments with the same selector: the tutorial gets away with it because each ReplicaSet adds its own hash.
    await cluster().podsReady('istio-app');
  });

  test('a quarter of the requests reaches the second version', async () => {
    const url = await home();
    await until('the split to be in force', async () => ((await slowOf(8, url)) > 0 ? true : undefined));
    let slow = 0;
    // Not more at once than a busy machine answers well within the time that tells the versions apart.
    for (let round = 0; round < 10; round++) slow += await slowOf(40, url);
    // A quarter of 400 is 100, give or take 8.7; five times that is no longer chance.
    assert.ok(slow >= 57 && slow <= 143, `${slow} of 400 were slow`);
  });

  test('new weights are in force at once', async () => {
    const url = await home();
    await cluster().apply(split(100, 0), 'istio-app');
    // The change is in force when requests that were likely to be slow no longer are: 20 in a row, at a quarter each, would be a one in 300 chance.
    await until(
      'only the first version to answer',
      async () => ((await slowOf(20, url)) === 0 ? true : undefined),
      20_000,
    );
    await cluster().apply(split(0, 100), 'istio-app');
    await until(
      'only the second version to answer',
      async () => ((await slowOf(10, url)) === 10 ? true : undefined),
      30_000,
    );
    await cluster().apply(split(100, 0), 'istio-app');
  });
}
