import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { parse } from 'yaml';
import type { Cluster } from '../support/cluster.ts';
import { http } from '../support/http.ts';
import { eventually } from '../support/shell.ts';

/** `kubectl port-forward` to a pod, as Kiali forwards; gives the port of this machine. */
function forward(cluster: Cluster, pod: string, port: number, as: readonly string[]) {
  return new Promise<{ readonly port: number; readonly close: () => void }>((resolve, reject) => {
    const child = spawn('kubectl', ['port-forward', '-n', 'istio-system', ...as, pod, `:${port}`], {
      env: cluster.env,
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        said += text;
        const own = /127\.0\.0\.1:(\d+) ->/.exec(said)?.[1];
        if (own !== undefined) resolve({ port: Number(own), close: () => void child.kill('SIGTERM') });
      });
    child.once('exit', () => reject(new Error(said)));
  });
}

/**
 * What Kiali, unmodified, asks of the cluster (kiali/kiali: kubernetes/istio.go, istio/discovery.go, istio/version.go), asked in its name with the rights
 * that samples/addons/kiali.yaml gives it.
 */
export function kiali(cluster: () => Cluster): void {
  const as = ['--as=system:serviceaccount:istio-system:kiali'];
  const json = async (...args: readonly string[]) => JSON.parse(await cluster().kubectl(...args, ...as, '-o', 'json'));

  test('Kiali finds the control plane, its mesh configuration, certificate and tag', async () => {
    const { items } = await json('get', 'deployments', '-A', '-l', 'app=istiod');
    assert.equal(items.length, 1);
    const [{ metadata, spec }] = items;
    assert.equal(metadata.labels['istio.io/rev'], 'default');
    const env = spec.template.spec.containers[0].env as readonly { name: string; value?: string }[];
    // Kiali takes the cluster as managed by this control plane where the names are equal.
    assert.equal(env.find(({ name }) => name === 'CLUSTER_ID')?.value, 'Kubernetes');
    const mesh = parse((await json('get', 'cm', 'istio', '-n', 'istio-system')).data.mesh);
    assert.equal(mesh.rootNamespace ?? 'istio-system', 'istio-system');
    parse((await json('get', 'cm', 'istio', '-n', 'istio-system')).data.meshNetworks);
    const root = (await json('get', 'cm', 'istio-ca-root-cert', '-n', 'istio-system')).data['root-cert.pem'];
    assert.ok(new X509Certificate(root).ca);
    const injector = (await json('get', 'cm', 'istio-sidecar-injector', '-n', 'istio-system')).data;
    assert.ok(injector.config && JSON.parse(injector.values));
    const tags = await json('get', 'mutatingwebhookconfigurations', '-l', 'istio.io/tag');
    assert.equal(tags.items[0].metadata.labels['istio.io/tag'], 'default');
  });

  test('Kiali reads the version where the service of the revision says that the monitoring is', async () => {
    const { items } = await json('get', 'svc', '-n', 'istio-system', '-l', 'app=istiod,istio.io/rev=default');
    const [{ metadata, spec }] = items;
    const { port } = spec.ports.find(({ name }: { name: string }) => name === 'http-monitoring');
    const raw = `/api/v1/namespaces/istio-system/services/${metadata.name}:${port}/proxy/version`;
    assert.match(await cluster().kubectl('get', '--raw', raw), /^\d+\.\d+\.\d+$/);
  });

  test('Kiali asks istiod through port-forwards: ready, proxies, services, endpoints, configuration, metrics', async () => {
    const pod = await cluster().podOf('istio-system', 'istiod');
    const ready = await forward(cluster(), pod, 8080, as);
    const monitoring = await forward(cluster(), pod, 15014, as);
    try {
      assert.equal((await http(`http://127.0.0.1:${ready.port}/ready`)).status, 200);
      const ask = async (path: string) => {
        const answer = await http(`http://127.0.0.1:${monitoring.port}${path}`);
        assert.equal(answer.status, 200, `${path}: ${answer.body}`);
        return answer.body;
      };
      await eventually('the gateway to have acknowledged everything', async () => {
        const proxies = JSON.parse(await ask('/debug/syncz')) as readonly Record<string, string>[];
        const gateway = proxies.find(({ proxy }) => proxy?.startsWith('istio-ingressgateway-'));
        assert.ok(gateway, JSON.stringify(proxies));
        assert.match(gateway.proxy ?? '', /\.istio-system$/);
        for (const type of ['cluster', 'listener', 'endpoint']) {
          assert.ok(gateway[`${type}_sent`], type);
          assert.equal(gateway[`${type}_acked`], gateway[`${type}_sent`], type);
        }
      });
      const services = JSON.parse(await ask('/debug/registryz')) as readonly {
        hostname: string;
        ports: readonly { name: string; port: number; protocol: string }[];
        Attributes: { Name: string; Namespace: string; ServiceRegistry: string; ExportTo: Record<string, unknown> };
        clusterVIPs: { Addresses: Record<string, readonly string[]> };
      }[];
      const istiod = services.find(({ hostname }) => hostname === 'istiod.istio-system.svc.cluster.local');
      assert.ok(istiod);
      assert.deepEqual(
        [istiod.Attributes.Name, istiod.Attributes.Namespace, istiod.Attributes.ServiceRegistry],
        ['istiod', 'istio-system', 'Kubernetes'],
      );
      assert.deepEqual(istiod.Attributes.ExportTo, { '*': {} });
      assert.equal(istiod.clusterVIPs.Addresses.Kubernetes?.length, 1);
      assert.ok(istiod.ports.some(({ name, port }) => name === 'http-monitoring' && port === 15014));

      const endpoints = JSON.parse(await ask('/debug/endpointz')) as readonly {
        svc: string;
        ep: readonly { endpoint: { Address: string; Port: number } }[];
      }[];
      const own = endpoints.find(({ svc }) => svc === 'istiod.istio-system.svc.cluster.local:http-monitoring');
      assert.equal(own?.ep[0]?.endpoint.Port, 15014);

      const configuration = JSON.parse(await ask('/debug/configz')) as readonly {
        kind: string;
        apiVersion: string;
        metadata: { name: string; namespace: string };
        spec: { hosts?: readonly string[] };
      }[];
      const grafana = configuration.find(
        ({ kind, metadata }) => kind === 'VirtualService' && metadata.name === 'grafana',
      );
      assert.match(grafana?.apiVersion ?? '', /^networking\.istio\.io\/v1/);
      assert.deepEqual(grafana?.spec.hosts, ['grafana.127.0.0.1.nip.io']);
      // The figures of the control plane's card.
      const metrics = await ask('/metrics');
      for (const name of [
        'pilot_proxy_convergence_time_sum',
        'pilot_proxy_convergence_time_count',
        'process_resident_memory_bytes',
        'process_cpu_seconds_total',
        'pilot_info',
      ])
        assert.match(metrics, new RegExp(`^${name}[ {]`, 'm'));
    } finally {
      ready.close();
      monitoring.close();
    }
  });

  test('Kiali reads what it shows and changes nothing', async () => {
    const may = async (verb: string, resource: string, namespace: string) => {
      const [kind = '', part] = resource.split('/');
      const words = ['auth', 'can-i', verb, kind, '-n', namespace, ...(part ? [`--subresource=${part}`] : []), ...as];
      return (await cluster().tryKubectl(...words)).stdout.trim();
    };
    for (const resource of [
      'pods',
      'pods/log',
      'deployments.apps',
      'virtualservices.networking.istio.io',
      'telemetries.telemetry.istio.io',
    ])
      assert.equal(await may('get', resource, 'default'), 'yes', resource);
    for (const [verb, resource] of [
      ['get', 'secrets'],
      ['patch', 'virtualservices.networking.istio.io'],
      ['delete', 'pods'],
      ['create', 'pods/exec'],
    ] as const)
      assert.equal(await may(verb, resource, 'default'), 'no', `${verb} ${resource}`);
    assert.equal(await may('create', 'pods/portforward', 'default'), 'no');
    assert.equal(await may('create', 'pods/portforward', 'istio-system'), 'yes');
  });

  test('redirects of a program stay behind the API server’s proxy', async () => {
    const path = '/api/v1/namespaces/istio-system/services/kiali:20001/proxy';
    // kubectl follows the redirect of /kiali to the first page.
    assert.match(await cluster().kubectl('get', '--raw', `${path}/kiali`), /<title>/);
  });
}
