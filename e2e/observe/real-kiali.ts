import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkOut, fillCart } from '../support/checkout.ts';
import type { Cluster } from '../support/cluster.ts';
import { eventually } from '../support/shell.ts';

// biome-ignore lint/suspicious/noExplicitAny: answers are looked into deeply, and a wrong shape fails the test.
type Json = any;

const NAMESPACE = 'istio-app';
const APPS = [
  'adservice',
  'cartservice',
  'checkoutservice',
  'currencyservice',
  'emailservice',
  'frontend',
  'loadgenerator',
  'paymentservice',
  'productcatalogservice',
  'recommendationservice',
  'redis-cart',
  'shippingservice',
];

/** Who calls whom in Online Boutique, where everything was asked for at least once. */
const CALLS = [
  'istio-ingressgateway frontend',
  'loadgenerator frontend',
  'frontend adservice',
  'frontend cartservice',
  'frontend checkoutservice',
  'frontend currencyservice',
  'frontend productcatalogservice',
  'frontend recommendationservice',
  'frontend shippingservice',
  'recommendationservice productcatalogservice',
  'checkoutservice cartservice',
  'checkoutservice currencyservice',
  'checkoutservice emailservice',
  'checkoutservice paymentservice',
  'checkoutservice productcatalogservice',
  'checkoutservice shippingservice',
  'cartservice redis-cart',
];

const GRAPH = [
  `namespaces=${NAMESPACE},istio-system`,
  'duration=120s',
  'graphType=workload',
  'injectServiceNodes=false',
  'appenders=deadNode,istio,serviceEntry,meshCheck,workloadEntry,health,responseTime,throughput,securityPolicy,sidecarsCheck',
].join('&');

/** What Kiali's log may say of itself: it is not told Grafana's address outside, and here it asks for what it has no right to. */
const EXPECTED_ERRORS = /grafana URL is not set|port ?forward|pods\/portforward/i;

/**
 * The program of Kiali behind samples/addons/kiali.yaml, asked as its pages ask it; Online Boutique runs in the namespace istio-app under load and every
 * request is traced.
 */
export function realKiali(cluster: () => Cluster): void {
  const ask = async (path: string): Promise<Json> =>
    JSON.parse(
      await cluster().kubectl(
        'get',
        '--raw',
        `/api/v1/namespaces/istio-system/services/kiali:20001/proxy/kiali/api/${path}`,
      ),
    );
  const recently = (): string => `startMicros=${(Date.now() - 600_000) * 1000}`;

  test('Kiali has found everything that it needs: versions, and the state of the components', async () => {
    const { status, externalServices, istioEnvironment, warningMessages } = await ask('status');
    assert.equal(status['Kiali state'], 'running');
    assert.deepEqual(warningMessages, []);
    assert.equal(istioEnvironment.istioAPIEnabled, true);
    const versions = Object.fromEntries(externalServices.map(({ name, version }: Json) => [name, version]));
    assert.match(versions['Kubernetes-Kubernetes'], /^v1\.\d+/);
    assert.match(versions.Prometheus, /^\d+\.\d+/);
    assert.ok('jaeger' in versions);
    await eventually('healthy components', async () => {
      const components = await ask('istio/status');
      for (const name of [
        'istiod',
        'istio=ingressgateway',
        'istio=egressgateway',
        'tracing',
        'prometheus',
        'custom dashboards',
      ])
        assert.equal(components.find((each: Json) => each.name === name)?.status, 'Healthy', name);
    });
  });

  test('Kiali’s page of the mesh: the control plane with its version and settings, and what it stores in', async () => {
    const { elements } = await ask('mesh/graph');
    const nodes = elements.nodes.map(({ data }: Json) => data);
    const node = (type: string) => nodes.find(({ infraType }: Json) => infraType === type);
    for (const type of ['istiod', 'kiali', 'metricStore', 'traceStore', 'dataplane'])
      assert.equal(node(type)?.healthData, 'Healthy', type);
    const version = JSON.parse(await cluster().istioctl('version', '-o', 'json')).meshVersion[0].Info.version;
    assert.equal(node('istiod').version, version);
    assert.equal(node('istiod').infraData.config.TrustDomain, 'cluster.local');
    assert.equal(node('istiod').infraData.config.OutboundTrafficPolicy.mode, 'ALLOW_ANY');
    assert.ok(node('dataplane').infraData.some(({ name }: Json) => name === NAMESPACE));
  });

  test('Kiali’s graph shows who calls whom with mutual TLS, and nobody unknown', async () => {
    const address = await cluster().loadBalancer('istio-system', 'istio-ingressgateway');
    await eventually(
      'the calls of an order in the graph',
      async () => {
        const session = { cookie: `shop_session-id=kiali-${Date.now()}` };
        await fillCart(address, session);
        await checkOut(address, session);
        const { elements } = await ask(`namespaces/graph?${GRAPH}`);
        const nodes = new Map<string, Json>(elements.nodes.map(({ data }: Json) => [data.id, data]));
        const edges = elements.edges.map(({ data }: Json) => ({
          ...data,
          call: `${nodes.get(data.source).workload} ${nodes.get(data.target).workload}`,
        }));
        const calls = edges.map(({ call }: Json) => call);
        assert.deepEqual(
          CALLS.filter((call) => !calls.includes(call)),
          [],
          'missing calls',
        );
        assert.deepEqual(
          calls.filter((call: string) => !CALLS.includes(call)),
          [],
          'calls that nobody makes',
        );
        for (const { call, isMTLS, traffic, sourcePrincipal, destPrincipal } of edges) {
          assert.equal(isMTLS, '100', call);
          assert.match(sourcePrincipal, /^spiffe:\/\/cluster\.local\/ns\//, call);
          assert.match(destPrincipal, /^spiffe:\/\/cluster\.local\/ns\//, call);
          const protocol = call.endsWith('redis-cart') ? 'tcp' : call.endsWith('frontend') ? 'http' : 'grpc';
          assert.equal(traffic.protocol, protocol, call);
        }
        for (const { namespace, isBox, workload, hasMissingSC, isDead } of nodes.values())
          if (isBox === undefined && namespace === NAMESPACE) {
            assert.ok(APPS.includes(workload), workload);
            assert.ok(!hasMissingSC && !isDead, workload);
          }
      },
      300_000,
    );
  });

  test('Kiali’s lists: applications, workloads and services, healthy and with sidecars that are synchronised', async () => {
    await eventually('everything healthy', async () => {
      const query = `namespaces=${NAMESPACE}&rateInterval=60s`;
      const { namespaceAppHealth } = await ask(`clusters/health?type=app&${query}`);
      assert.deepEqual(Object.keys(namespaceAppHealth[NAMESPACE]).sort(), APPS);
      for (const [name, { workloadStatuses, requests }] of Object.entries<Json>(namespaceAppHealth[NAMESPACE])) {
        const [{ desiredReplicas, availableReplicas, syncedProxies }] = workloadStatuses;
        assert.deepEqual([desiredReplicas, availableReplicas, syncedProxies], [1, 1, 1], name);
        assert.ok(
          !Object.keys(requests.inbound.http ?? {}).some((code) => code.startsWith('5')),
          JSON.stringify(requests),
        );
      }
      const { workloads } = await ask(`clusters/workloads?health=true&istioResources=true&${query}`);
      assert.deepEqual(
        workloads
          .filter(({ istioSidecar, appLabel }: Json) => istioSidecar && appLabel)
          .map(({ name }: Json) => name)
          .sort(),
        APPS,
      );
      const { services } = await ask(`clusters/services?health=true&istioResources=true&${query}`);
      const names = services.filter(({ istioSidecar }: Json) => istioSidecar).map(({ name }: Json) => name);
      for (const name of APPS.filter((app) => app !== 'loadgenerator'))
        assert.ok(names.includes(name), `${name} of ${names}`);
    });
  });

  test('Kiali’s pages of a workload and a service: pods, synchronisation, endpoints, metrics, logs', async () => {
    const workload = await ask(`namespaces/${NAMESPACE}/workloads/frontend?validate=true&health=true&rateInterval=60s`);
    const [pod] = workload.pods;
    assert.deepEqual(pod.proxyStatus, { CDS: 'Synced', EDS: 'Synced', LDS: 'Synced', RDS: 'Synced' });
    assert.equal(pod.status, 'Running');
    assert.deepEqual(
      workload.services.map(({ name }: Json) => name),
      ['frontend'],
    );
    const service = await ask(`namespaces/${NAMESPACE}/services/frontend?validate=true&rateInterval=60s`);
    assert.equal(service.endpoints[0].addresses[0].name, pod.name);
    assert.deepEqual(
      service.virtualServices.map(({ metadata }: Json) => metadata.name),
      ['frontend-ingress'],
    );
    const range = 'duration=120&step=15&rateInterval=60s';
    // Prometheus has to have asked twice.
    await eventually('charts with figures', async () => {
      const dashboard = await ask(
        `namespaces/${NAMESPACE}/workloads/frontend/dashboard?${range}&direction=inbound&reporter=destination`,
      );
      const volume = dashboard.charts.find(({ name }: Json) => name === 'Request volume');
      assert.ok(
        volume.metrics?.[0]?.datapoints.some(([, value]: [number, string]) => Number(value) > 0),
        JSON.stringify(volume),
      );
      const envoy = await ask(
        `namespaces/${NAMESPACE}/customdashboard/envoy?${range}&labelsFilters=app:frontend&workload=frontend`,
      );
      for (const { name, error } of envoy.charts) assert.equal(error, '', name);
      const uptime = envoy.charts.find(({ name }: Json) => name === 'Pods uptime');
      assert.ok(uptime.metrics?.[0]?.datapoints.length > 0, JSON.stringify(uptime));
    });
    const { entries } = await ask(
      `namespaces/${NAMESPACE}/pods/${pod.name}/logs?container=istio-proxy&sinceTime=1&maxLines=50`,
    );
    assert.ok(entries.length > 0);
  });

  test('Kiali judges configuration by what the mesh has: a subset that nobody defines, mutual TLS for everybody', async () => {
    const { gateways, virtualServices } = await ask('istio/config?validate=true');
    assert.ok(gateways.some(({ metadata }: Json) => metadata.name === 'frontend-gateway'));
    assert.ok(virtualServices.some(({ metadata }: Json) => metadata.name === 'frontend-ingress'));
    const judged = async () => (await ask('istio/validations')).find(({ namespace }: Json) => namespace === NAMESPACE);
    await eventually('nothing wrong', async () => {
      const { errors, warnings, objectCount } = await judged();
      assert.deepEqual([errors, warnings, objectCount], [0, 0, 2]);
    });
    assert.equal((await ask('mesh/tls')).status, 'MTLS_NOT_ENABLED');
    await cluster().apply(
      `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: wrong}\nspec:\n  hosts: [cartservice]\n  http:\n  - route: [{destination: {host: cartservice, subset: v9}}]\n`,
      NAMESPACE,
    );
    await cluster().apply(
      'apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: default}\nspec: {mtls: {mode: STRICT}}\n',
      'istio-system',
    );
    try {
      await eventually('the subset that is missing', async () => {
        const { validation } = await ask(`namespaces/${NAMESPACE}/istio/virtualservices/wrong?validate=true`);
        assert.deepEqual(
          validation.checks.map(({ code }: Json) => code),
          ['KIA1107'],
        );
      });
      await eventually('mutual TLS', async () => assert.equal((await ask('mesh/tls')).status, 'MTLS_ENABLED'));
    } finally {
      await cluster().kubectl('delete', 'virtualservice', 'wrong', '-n', NAMESPACE);
      await cluster().kubectl('delete', 'peerauthentication', 'default', '-n', 'istio-system');
    }
  });

  test('Kiali’s traces, by Jaeger’s gRPC: of a workload, an application and a service, one of them whole, and spans', async () => {
    assert.deepEqual((({ enabled, provider }) => ({ enabled, provider }))(await ask('tracing')), {
      enabled: true,
      provider: 'jaeger',
    });
    for (const kind of ['workloads', 'apps', 'services']) {
      // Spans of a trace come one proxy after the other.
      await eventually(`traces of ${kind}/checkoutservice`, async () => {
        const found = await ask(`namespaces/${NAMESPACE}/${kind}/checkoutservice/traces?${recently()}&limit=20`);
        assert.equal(found.errors, null);
        assert.ok(found.data.length > 0);
        const { data } = await ask(`traces/${found.data[0].traceID}`);
        const services = new Set(Object.values<Json>(data.processes).map(({ serviceName }) => serviceName));
        assert.equal(data.spans.length, found.data[0].spans.length);
        for (const name of ['checkoutservice', 'paymentservice', 'emailservice'])
          assert.ok(services.has(`${name}.${NAMESPACE}`), `${name} of ${[...services]}`);
      });
    }
    assert.ok((await ask(`namespaces/${NAMESPACE}/workloads/frontend/spans?${recently()}`)).length > 0);
    // Requests before the services behind the shop were reachable may have failed.
    assert.ok(
      Number.isInteger(await ask(`namespaces/${NAMESPACE}/apps/frontend/errortraces?${recently()}&duration=600`)),
    );
  });

  test('Kiali reads the configuration of a sidecar where it is let forward ports', async () => {
    const pod = await cluster().podOf(NAMESPACE, 'frontend');
    await assert.rejects(ask(`namespaces/${NAMESPACE}/pods/${pod}/config_dump`));
    const bind = ['-n', NAMESPACE, '--serviceaccount=istio-system:kiali', '--role=kiali-proxies'];
    await cluster().kubectl(
      'create',
      'role',
      'kiali-proxies',
      '-n',
      NAMESPACE,
      '--verb=create,get',
      '--resource=pods/portforward',
    );
    await cluster().kubectl('create', 'rolebinding', 'kiali-proxies', ...bind);
    await eventually('the configuration', async () => {
      const { config_dump: dump } = await ask(`namespaces/${NAMESPACE}/pods/${pod}/config_dump`);
      assert.ok(dump.configs.length > 3);
      const clusters = await ask(`namespaces/${NAMESPACE}/pods/${pod}/config_dump/clusters`);
      const found = clusters.clusters.find(({ service_fqdn: fqdn }: Json) => fqdn?.service === 'cartservice');
      assert.ok(found, JSON.stringify(clusters).slice(0, 500));
    });
  });

  test('Kiali’s log tells of no other errors', async () => {
    const log = await cluster().kubectl('logs', '-n', 'istio-system', 'deploy/kiali', '--tail=-1');
    const errors = log.split('\n').filter((line) => / (ERR|FTL) /.test(line) && !EXPECTED_ERRORS.test(line));
    assert.deepEqual(errors, []);
  });
}
