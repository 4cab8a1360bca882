import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { tracing, tracingTasks } from './observability/tracing-tasks.ts';
import { checkOut, fillCart } from './support/checkout.ts';
import { obstacle, SMALL_NODE } from './support/cluster.ts';
import { http } from './support/http.ts';
import { ownCluster } from './support/own-cluster.ts';
import { eventually, until } from './support/shell.ts';

const root = join(import.meta.dirname, '..');
const samples = join(root, 'samples');
const reason = obstacle();

/** The file of Istio's task "Configure tracing with Telemetry API", with a provider for OpenTelemetry beside it. */
const TRACING = tracing(`    - name: "zipkin"
      zipkin:
        service: zipkin.istio-system.svc.cluster.local
        port: 9411
    - name: "otel-tracing"
      opentelemetry:
        service: jaeger-collector.istio-system.svc.cluster.local
        port: 4317
`);

const meshDefault = (provider: string, percentage: number, more = ''): string => `apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata:
  name: mesh-default
  namespace: istio-system
spec:
  tracing:
  - providers:
    - name: "${provider}"
    randomSamplingPercentage: ${percentage}
${more}`;

interface KeyValue {
  readonly key: string;
  readonly value: unknown;
}
interface JaegerSpan {
  readonly spanID: string;
  readonly operationName: string;
  readonly references: readonly { readonly spanID: string }[];
  readonly tags: readonly KeyValue[];
  readonly processID: string;
}
interface JaegerTrace {
  readonly traceID: string;
  readonly spans: readonly JaegerSpan[];
  readonly processes: Readonly<Record<string, { readonly serviceName: string }>>;
}

const tag = ({ tags }: JaegerSpan, name: string): unknown => tags.find(({ key }) => key === name)?.value;
const servicesOf = ({ spans, processes }: JaegerTrace): readonly string[] =>
  [...new Set(spans.map(({ processID }) => processes[processID]?.serviceName ?? ''))].sort();

/** One tree: a single root, and every other span's parent is there. */
function assertTree({ spans }: JaegerTrace): void {
  const ids = new Set(spans.map(({ spanID }) => spanID));
  assert.equal(ids.size, spans.length, 'every span has an id of its own');
  const roots = spans.filter(({ references }) => references.length === 0);
  assert.equal(roots.length, 1, `roots: ${roots.map(({ operationName }) => operationName)}`);
  for (const { references, operationName } of spans)
    for (const { spanID } of references) assert.ok(ids.has(spanID), `the parent of ${operationName}`);
}

describe('distributed tracing', { skip: reason ?? false }, () => {
  const cluster = ownCluster();

  /** Asks Jaeger's query API at the service \`tracing\`. */
  const jaeger = async (path: string): Promise<readonly unknown[]> => {
    const url = `http://tracing.istio-system/jaeger/api/${path}`;
    const answer = await cluster().kubectl('exec', '-n', 'istio-system', 'deploy/jaeger', '--', 'wget', '-qO-', url);
    return (JSON.parse(answer) as { readonly data: readonly unknown[] }).data;
  };
  /** The trace of what a client with this name asked for at the gateway, as soon as these services took part in it and it is whole. */
  const traceOf = (client: string, services: readonly string[], timeoutMs = 60_000): Promise<JaegerTrace> =>
    until(
      `the whole trace of ${client}`,
      async () => {
        const tags = encodeURIComponent(JSON.stringify({ user_agent: client }));
        const query = `traces?service=istio-ingressgateway.istio-system&limit=20&tags=${tags}`;
        const traces = (await jaeger(query)) as readonly JaegerTrace[];
        const errors: string[] = [];
        for (const trace of traces) {
          const missing = services.filter((name) => !servicesOf(trace).includes(name));
          if (missing.length > 0) {
            errors.push(`of ${trace.spans.length} spans, without ${missing}`);
            continue;
          }
          assertTree(trace);
          return trace;
        }
        throw new Error(`${traces.length} traces: ${errors.join('; ')}`);
      },
      timeoutMs,
    );
  const gateway = () => cluster().loadBalancer('istio-system', 'istio-ingressgateway');

  tracingTasks(cluster);

  test('the file of the task “Configure tracing with Telemetry API” is installed, and Jaeger from its addon', async () => {
    const { istioctl, kubectl, apply, podsReady, home } = cluster();
    const file = join(home, 'tracing.yaml');
    writeFileSync(file, TRACING);
    await istioctl('install', '-f', file, ...SMALL_NODE, '--skip-confirmation');
    await kubectl('apply', '-f', join(samples, 'addons', 'jaeger.yaml'));
    await apply(meshDefault('zipkin', 100), 'istio-system');
    await podsReady('istio-system');
    assert.match(
      await kubectl('get', 'services', '-n', 'istio-system'),
      /jaeger-collector.*14268.*14250.*9411.*4317.*4318[\s\S]*tracing.*80.*16685[\s\S]*zipkin.*9411/,
    );
  });

  test('Online Boutique runs', async () => {
    const { kubectl, podsReady } = cluster();
    const folder = join(samples, 'online-boutique');
    await kubectl('delete', '-f', join(samples, 'bookinfo/platform/kube/bookinfo.yaml'), '--ignore-not-found');
    await kubectl('delete', '-f', join(samples, 'bookinfo/networking/bookinfo-gateway.yaml'), '--ignore-not-found');
    await kubectl('apply', '-f', join(folder, 'kubernetes-manifests.yaml'), '-f', join(folder, 'istio-manifests.yaml'));
    // What it asks for by itself would only be in the way.
    await kubectl('delete', 'deployment', 'loadgenerator');
    await podsReady('default');
  });

  const CHECKOUT = [
    'cartservice',
    'checkoutservice',
    'currencyservice',
    'emailservice',
    'frontend',
    'paymentservice',
    'productcatalogservice',
    'shippingservice',
  ].map((name) => `${name}.default`);

  const checkout = async (client: string): Promise<void> => {
    const address = await gateway();
    const session = { cookie: `shop_session-id=${client}`, 'user-agent': client };
    await eventually('an order', async () => {
      await fillCart(address, { ...session, 'user-agent': `${client}-before` });
      await checkOut(address, session);
    });
  };

  for (const [provider, format] of [
    ['zipkin', 'zipkin'],
    ['otel-tracing', 'otlp'],
  ] as const) {
    test(`one checkout is one trace across all services: ${provider}`, async () => {
      await cluster().apply(meshDefault(provider, 100), 'istio-system');
      // Connections that are open keep the tracer that they began with until Envoy has drained them: orders are made until the trace of one is whole in
      // this form.
      const trace = await until(
        `a checkout by ${provider}`,
        async () => {
          const client = `checkout-${provider}-${Date.now()}`;
          await checkout(client);
          const found = await traceOf(client, CHECKOUT, 20_000);
          const others = found.spans.filter((span) => tag(span, 'internal.span.format') !== format);
          assert.deepEqual(
            others.map(({ operationName }) => operationName),
            [],
          );
          return found;
        },
        300_000,
      );
      const [first] = trace.spans;
      assert.ok(first);
      assert.equal(trace.processes[first.processID]?.serviceName, 'istio-ingressgateway.istio-system');
      const payment = trace.spans.filter((span) =>
        String(tag(span, 'http.url') ?? '').endsWith('PaymentService/Charge'),
      );
      assert.deepEqual(payment.map((span) => tag(span, 'span.kind')).sort(), ['client', 'server']);
      for (const span of payment) {
        assert.equal(tag(span, 'grpc.status_code'), '0');
        assert.equal(tag(span, 'istio.namespace'), 'default');
      }
    });
  }

  test('Jaeger’s API tells services, operations and who calls whom', async () => {
    const services = await jaeger('services');
    for (const name of CHECKOUT) assert.ok(services.includes(name), name);
    const operations = await jaeger('services/paymentservice.default/operations');
    assert.ok(operations.includes('paymentservice.default.svc.cluster.local:50051/*'), `${operations}`);
    const calls = (await jaeger('dependencies')) as readonly { readonly parent: string; readonly child: string }[];
    assert.ok(
      calls.some(({ parent, child }) => parent === 'checkoutservice.default' && child === 'paymentservice.default'),
    );
  });

  test('Bookinfo: every request to the product page is traced through its services, with a tag of the Telemetry', async () => {
    const { kubectl, apply, podsReady } = cluster();
    const folder = join(samples, 'online-boutique');
    await kubectl(
      'delete',
      '-f',
      join(folder, 'kubernetes-manifests.yaml'),
      '-f',
      join(folder, 'istio-manifests.yaml'),
      '--ignore-not-found',
    );
    await kubectl('apply', '-f', join(samples, 'bookinfo/platform/kube/bookinfo.yaml'));
    await kubectl('apply', '-f', join(samples, 'bookinfo/networking/bookinfo-gateway.yaml'));
    await apply(
      meshDefault('zipkin', 100, '    customTags:\n      "provider":\n        literal:\n          value: "zipkin"\n'),
      'istio-system',
    );
    await podsReady('default');
    const address = await gateway();
    const wanted = ['productpage', 'details', 'reviews', 'ratings'].map((name) => `${name}.default`);
    await until(
      'the trace of a page with stars',
      async () => {
        const client = `page-${Date.now()}`;
        // Of three versions of reviews one asks for no ratings.
        for (let i = 0; i < 6; i++) {
          const page = await http(`http://${address}/productpage`, { headers: { 'user-agent': client } });
          assert.equal(page.status, 200, page.body.slice(0, 200));
        }
        const trace = await traceOf(client, wanted, 20_000);
        assert.ok(trace.spans.every((span) => tag(span, 'provider') === 'zipkin'));
        return trace;
      },
      300_000,
    );
  });

  test('without spans where a Telemetry of the namespace disables them', async () => {
    await cluster().apply(
      'apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {name: quiet}\nspec:\n  tracing:\n  - disableSpanReporting: true\n',
    );
    await until('sidecars without a tracer', async () => {
      for (const app of ['productpage-v1', 'reviews-v1']) {
        const listeners = await cluster().istioctl('proxy-config', 'listeners', `deploy/${app}`, '-o', 'json');
        assert.match(listeners, /HttpConnectionManager/);
        assert.doesNotMatch(listeners, /envoy\.tracers\.zipkin/, app);
      }
      return true;
    });
    // Connections that are open keep the tracer that they began with: a new pod has none such.
    await cluster().kubectl('rollout', 'restart', 'deployment', 'productpage-v1');
    await cluster().kubectl('rollout', 'status', 'deployment', 'productpage-v1', '--timeout=180s');
    await cluster().podsReady('default');
    const client = `quiet-${Date.now()}`;
    const page = await http(`http://${await gateway()}/productpage`, { headers: { 'user-agent': client } });
    assert.equal(page.status, 200);
    const trace = await traceOf(client, ['istio-ingressgateway.istio-system']);
    assert.ok(!servicesOf(trace).includes('productpage.default'), `${servicesOf(trace)}`);
  });
});
