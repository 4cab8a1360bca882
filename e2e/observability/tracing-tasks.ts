import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { openDashboard } from '../observe/dashboard.ts';
import { type Cluster, root, SMALL_NODE } from '../support/cluster.ts';
import { http } from '../support/http.ts';
import { until } from '../support/shell.ts';

const samples = join(root, 'samples');

/** The file that the tasks about tracing have installed, with its providers. */
export const tracing = (provider: string): string => `apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
spec:
  meshConfig:
    enableTracing: true
    defaultConfig:
      tracing: {} # disable legacy MeshConfig tracing options
    extensionProviders:
${provider}`;

const JAEGER = `    - name: jaeger
      opentelemetry:
        port: 4317
        service: jaeger-collector.istio-system.svc.cluster.local
`;
const ZIPKIN = `    - name: zipkin
      zipkin:
        service: zipkin.istio-system.svc.cluster.local
        port: 9411
`;

/** How the tasks turn tracing on: the share of requests is left to its default, 1 percent. */
const enabled = (provider: string): string => `apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata:
  name: mesh-default
  namespace: istio-system
spec:
  tracing:
  - providers:
    - name: ${provider}
`;

/** Who takes part in every product page. */
const EVERY_PAGE = ['istio-ingressgateway.istio-system', 'productpage.default', 'details.default', 'reviews.default'];

/** A trace as far as the tasks look at it: whose spans it has. */
type FoundTrace = readonly string[];

/** The tasks "Jaeger" and "Zipkin" of Istio's documentation with Bookinfo, command for command. */
export function tracingTasks(cluster: () => Cluster): void {
  const install = async (addon: string, provider: string, name: string): Promise<void> => {
    const { istioctl, kubectl, apply, podsReady, home } = cluster();
    const file = join(home, 'tracing.yaml');
    writeFileSync(file, tracing(provider));
    await istioctl('install', '-f', file, ...SMALL_NODE, '--skip-confirmation');
    await kubectl('apply', '-f', join(samples, 'addons', addon));
    await apply(enabled(name), 'istio-system');
    await podsReady('istio-system');
  };

  /** `for i in $(seq 1 100); do curl -s -o /dev/null "http://$GATEWAY_URL/productpage"; done` */
  const hundredRequests = async (): Promise<void> => {
    const address = await cluster().loadBalancer('istio-system', 'istio-ingressgateway');
    for (let i = 0; i < 20; i++)
      await Promise.all(
        Array.from({ length: 5 }, async () => {
          const { status, body, error } = await http(`http://${address}/productpage`);
          assert.equal(status, 200, error ?? body.slice(0, 200));
        }),
      );
  };

  /**
   * Sends a hundred requests at a time until the page shows a trace, as the tasks tell. That 2000 requests have none happens once in 500 million times; a
   * hundred sampled at 1 percent never give ten.
   */
  const firstTraces = async (find: () => Promise<readonly FoundTrace[]>): Promise<void> => {
    const whole = (found: FoundTrace): boolean => EVERY_PAGE.every((service) => found.includes(service));
    for (let round = 1; round <= 20; round++) {
      const before = (await find()).length;
      await hundredRequests();
      // Envoy sends its spans every few seconds.
      const deadline = Date.now() + 10_000;
      let traces = await find();
      while (!traces.some(whole) && Date.now() < deadline) {
        await setTimeout(500);
        traces = await find();
      }
      assert.ok(traces.length - before < 10, `${traces.length - before} traces of 100 requests`);
      if (traces.some(whole)) return;
    }
    assert.fail('no whole trace of 2000 requests');
  };

  test('task Jaeger: the addon, the provider, Bookinfo', async () => {
    const { kubectl, podsReady } = cluster();
    await install('jaeger.yaml', JAEGER, 'jaeger');
    await kubectl('label', 'namespace', 'default', 'istio-injection=enabled');
    await kubectl('apply', '-f', join(samples, 'bookinfo/platform/kube/bookinfo.yaml'));
    await kubectl('apply', '-f', join(samples, 'bookinfo/networking/bookinfo-gateway.yaml'));
    await podsReady('default');
    const address = await cluster().loadBalancer('istio-system', 'istio-ingressgateway');
    await until('the product page', async () => {
      const { status, error } = await http(`http://${address}/productpage`);
      return status === 200 ? true : Promise.reject(new Error(error ?? String(status)));
    });
  });

  test('task Jaeger: istioctl dashboard jaeger finds traces of productpage.default after hundreds of requests', async () => {
    const page = await openDashboard(cluster(), 'jaeger');
    try {
      await firstTraces(async () => {
        const answer = await http(new URL('/jaeger/api/traces?service=productpage.default&limit=100', page.url).href);
        assert.equal(answer.status, 200, answer.error ?? answer.body);
        const { data } = JSON.parse(answer.body) as {
          readonly data: readonly { readonly processes: Readonly<Record<string, { readonly serviceName: string }>> }[];
        };
        return data.map(({ processes }) => Object.values(processes).map(({ serviceName }) => serviceName));
      });
    } finally {
      await page.close();
    }
  });

  test('task Zipkin: istioctl dashboard zipkin finds traces of productpage.default after hundreds of requests', async () => {
    await install('extras/zipkin.yaml', ZIPKIN, 'zipkin');
    const page = await openDashboard(cluster(), 'zipkin');
    try {
      await firstTraces(async () => {
        const url = new URL('/zipkin/api/v2/traces?serviceName=productpage.default&limit=100', page.url).href;
        const answer = await http(url);
        assert.equal(answer.status, 200, answer.error ?? answer.body);
        const traces = JSON.parse(answer.body) as readonly (readonly {
          readonly localEndpoint: { readonly serviceName: string };
        }[])[];
        return traces.map((spans) => spans.map(({ localEndpoint }) => localEndpoint.serviceName));
      });
    } finally {
      await page.close();
      await cluster().kubectl('delete', '-f', join(samples, 'addons', 'extras', 'zipkin.yaml'));
    }
  });
}
