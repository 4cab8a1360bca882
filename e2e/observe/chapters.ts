import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Cluster } from '../support/cluster.ts';
import { type Answer, http } from '../support/http.ts';
import { eventually, until } from '../support/shell.ts';
import { openDashboard } from './dashboard.ts';

export const addons = join(import.meta.dirname, '..', '..', 'samples', 'addons');

/** The ports of the services as the tutorials' transcripts show them. */
const ports: Readonly<Record<string, readonly string[]>> = {
  grafana: ['3000/TCP'],
  'jaeger-collector': ['9411/TCP', '14268/TCP', '14250/TCP', '4317/TCP', '4318/TCP'],
  kiali: ['20001/TCP', '9090/TCP'],
  loki: ['3100/TCP'],
  prometheus: ['9090/TCP'],
  tracing: ['80/TCP', '16685/TCP'],
  zipkin: ['9411/TCP'],
};

/** Each program's page: what `istioctl dashboard NAME` opens, and what shows that it is there. */
const pages: readonly (readonly [name: string, path: string, found: RegExp])[] = [
  ['kiali', '/', /<title>/],
  ['grafana', '/dashboards', /<title>/],
  ['prometheus', '/api/v1/status/buildinfo', /"status":\s*"success"/],
  ['jaeger', '/jaeger/api/services', /"data"/],
];

const gateway = `apiVersion: networking.istio.io/v1alpha3
kind: Gateway
metadata:
  name: addon-gateway
spec:
  selector:
    istio: ingressgateway
  servers:
  - port:
      number: 80
      name: http
      protocol: HTTP
    hosts:
    - prometheus.127.0.0.1.nip.io
    - grafana.127.0.0.1.nip.io
    - jaeger.127.0.0.1.nip.io
    - kiali.127.0.0.1.nip.io
---
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata:
  name: grafana
spec:
  hosts:
  - grafana.127.0.0.1.nip.io
  gateways:
  - addon-gateway
  http:
  - route:
    - destination:
        host: grafana.istio-system.svc.cluster.local
---
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata:
  name: jaeger
spec:
  hosts:
  - jaeger.127.0.0.1.nip.io
  gateways:
  - addon-gateway
  http:
  - name: default
    match:
    - uri:
        prefix: /jaeger
    route:
    - destination:
        host: tracing.istio-system.svc.cluster.local
---
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata:
  name: prometheus
spec:
  hosts:
  - prometheus.127.0.0.1.nip.io
  gateways:
  - addon-gateway
  http:
  - match:
    - headers:
        user-agent:
          exact: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_10; rv:33.0) Gecko/20100101 Firefox/33.0"
    route:
    - destination:
        host: prometheus.istio-system.svc.cluster.local
---
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata:
  name: kiali
spec:
  hosts:
  - kiali.127.0.0.1.nip.io
  gateways:
  - addon-gateway
  http:
  - route:
    - destination:
        host: kiali.istio-system.svc.cluster.local
        port:
          number: 20001
`;

const firefox = 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_10; rv:33.0) Gecko/20100101 Firefox/33.0';

/** The addon parts of the tutorials (Istio 1.4, 1.7 and 1.12), command for command. */
export function addonChapters(cluster: () => Cluster): void {
  test('kubectl apply -f samples/addons, twice as the documentation advises', async () => {
    await cluster().kubectl('apply', '-n', 'istio-system', '-f', addons);
    const again = await cluster().kubectl('apply', '-n', 'istio-system', '-f', addons);
    assert.deepEqual(
      again
        .trim()
        .split('\n')
        .filter((line) => !line.endsWith(' unchanged')),
      [],
    );
    const rollout = await cluster().kubectl('rollout', 'status', 'deployment/kiali', '-n', 'istio-system');
    assert.match(rollout, /deployment "kiali" successfully rolled out/);
    await cluster().podsReady('istio-system');
  });

  test('kubectl get pod,svc -n istio-system shows the services of the transcripts', async () => {
    const table = await cluster().kubectl('get', 'pod,svc', '-n', 'istio-system');
    for (const [name, wanted] of Object.entries(ports)) {
      const line = new RegExp(`^service/${name} +ClusterIP.*$`, 'm').exec(table)?.[0] ?? '';
      for (const port of wanted) assert.ok(line.includes(port), `${name} has no ${port}:\n${table}`);
    }
    for (const name of ['grafana', 'jaeger', 'kiali', 'loki', 'prometheus'])
      assert.match(table, new RegExp(`^pod/${name}-\\S+ +(\\d)/\\1 +Running`, 'm'));
  });

  for (const [name, path, found] of pages)
    test(`istioctl dashboard ${name}`, async () => {
      const page = await openDashboard(cluster(), name);
      try {
        const answer = await http(new URL(path, page.url).href);
        assert.equal(answer.status, 200, answer.error ?? answer.body);
        assert.match(answer.body, found);
      } finally {
        await page.close();
      }
    });

  test('the page of Zipkin, an extra, comes with samples/addons/extras/zipkin.yaml', async () => {
    const before = await cluster().tryIstioctl('dashboard', 'zipkin', '--browser=false');
    assert.equal(before.exitCode, 1);
    assert.match(before.stderr, /no running pod of zipkin/);
    await cluster().kubectl('apply', '-f', join(addons, 'extras', 'zipkin.yaml'));
    await cluster().podsReady('istio-system', 'app=zipkin');
    const page = await openDashboard(cluster(), 'zipkin');
    try {
      const answer = await http(new URL('/api/v2/services', page.url).href);
      assert.equal(answer.status, 200, answer.error ?? answer.body);
      assert.ok(Array.isArray(JSON.parse(answer.body)));
    } finally {
      await page.close();
      await cluster().kubectl('delete', '-f', join(addons, 'extras', 'zipkin.yaml'));
      // The service zipkin is also that of jaeger.yaml.
      await cluster().kubectl('apply', '-f', addons);
    }
  });

  test('what answers in Loki’s place says what it is', async () => {
    const raw = '/api/v1/namespaces/istio-system/services/loki:3100/proxy';
    assert.match(await cluster().kubectl('get', '--raw', `${raw}/`), /^This is not Loki/);
    const labels = JSON.parse(await cluster().kubectl('get', '--raw', `${raw}/loki/api/v1/labels`)) as object;
    assert.equal((labels as { readonly status?: string }).status, 'success');
    // What is not built is refused, never answered as if there were nothing.
    const tail = await cluster().tryKubectl('get', '--raw', `${raw}/loki/api/v1/tail`);
    assert.equal(tail.exitCode, 1, tail.stdout);
  });

  test('a gateway with hosts of its own leads to Grafana, Jaeger, Kiali, and to Prometheus for one browser', async () => {
    await cluster().apply(gateway);
    const address = await cluster().loadBalancer('istio-system', 'istio-ingressgateway');
    const ask = (name: string, path: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> =>
      http(`http://${address}${path}`, { headers: { host: `${name}.127.0.0.1.nip.io`, ...headers } });
    await eventually('the gateway to lead to the addons', async () => {
      const status = async (...args: Parameters<typeof ask>) => (await ask(...args)).status;
      assert.equal(await status('grafana', '/dashboards'), 200);
      assert.equal(await status('kiali', '/'), 200);
      assert.equal(await status('jaeger', '/jaeger/api/services'), 200);
      assert.equal(await status('prometheus', '/-/ready', { 'user-agent': firefox }), 200);
    });
    assert.equal((await ask('prometheus', '/-/ready')).status, 404, 'another browser');
    assert.equal((await ask('jaeger', '/')).status, 404, 'another path');
    const table = await cluster().kubectl('get', 'gw,vs');
    assert.match(table, /^gateway.networking.istio.io\/addon-gateway /m);
    assert.match(
      table,
      /^virtualservice.networking.istio.io\/grafana +\["addon-gateway"\] +\["grafana.127.0.0.1.nip.io"\]/m,
    );
  });

  test('switches of old versions say where the addons are today', async () => {
    for (const [switched, said] of [
      ['values.kiali.enabled=true', /addons are installed from samples\/addons/],
      ['addonComponents.kiali.enabled=true', /samples\/addons/],
    ] as const) {
      const { stdout, stderr } = await cluster().tryIstioctl('manifest', 'generate', '--set', switched);
      assert.match(stdout.slice(0, 2000) + stderr, said, switched);
    }
  });

  test('Prometheus scrapes istiod, the gateways and the addons, and none of its targets is down', async () => {
    const raw = '/api/v1/namespaces/istio-system/services/prometheus:9090/proxy/api/v1/targets?state=active';
    await until('all targets to be up', async () => {
      const { data } = JSON.parse(await cluster().kubectl('get', '--raw', raw)) as {
        data: {
          activeTargets: readonly { health: string; scrapeUrl: string; lastError: string; labels: { pod?: string } }[];
        };
      };
      const down = data.activeTargets.filter(({ health }) => health !== 'up');
      if (down.length > 0)
        throw new Error(down.map(({ scrapeUrl, lastError }) => `${scrapeUrl} ${lastError}`).join('; '));
      const pods = data.activeTargets.map(({ labels, scrapeUrl }) => labels.pod ?? scrapeUrl).join(' ');
      for (const name of ['istiod-', 'istio-ingressgateway-', 'kiali-'])
        if (!pods.includes(name)) throw new Error(`no target of ${name}: ${pods}`);
      return true;
    });
  });
}
