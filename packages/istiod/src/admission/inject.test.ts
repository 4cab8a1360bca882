import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeMeshConfig } from '@istio-ts/api';
import { istioTypes, kubernetesTypes } from '@istio-ts/api/resource-types';
import { parseInjectionConfig } from '@istio-ts/injector';
import { MetricsRegistry } from '@istio-ts/metrics';
import { FakeCluster } from '../fake-cluster.test-support.ts';
import { recordingLogger } from '../log.test-support.ts';
import { createInjectionHandler } from './inject.ts';
import { watchSurroundings } from './surroundings.ts';

const config = parseInjectionConfig(
  `templates:
  sidecar: |
    spec:
      {{ if .NativeSidecars }}initContainers{{ else }}containers{{ end }}:
      - name: istio-proxy
        image: {{ .ProxyImage }}
        env:
        - name: PROXY_CONFIG
          value: {{ protoToJSON .ProxyConfig | quote }}
        - name: PLACE
          value: "{{ .Values.global.multiCluster.clusterName }}/{{ .Values.global.network }}"
        securityContext:
          runAsUser: {{ .ProxyUID }}
`,
  '{"global":{"hub":"h","tag":"t","network":"","multiCluster":{"clusterName":"own"},"proxy":{"image":"proxyv2"}}}',
);

interface Review {
  readonly response: {
    readonly allowed: boolean;
    readonly status?: { readonly message: string };
    readonly patch?: string;
  };
}

async function handler(kubelet: string) {
  const cluster = new FakeCluster();
  cluster.put(kubernetesTypes.Namespace, {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'shop', annotations: { 'openshift.io/sa.scc.uid-range': '5000/100' } },
  });
  cluster.put(kubernetesTypes.Node, {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n' },
    status: { nodeInfo: { kubeletVersion: kubelet } },
  });
  const surroundings = watchSurroundings(cluster.client, 'auto', recordingLogger());
  await surroundings.synced;
  const metrics = new MetricsRegistry();
  const inject = createInjectionHandler({
    config: () => config,
    meshConfig: () => decodeMeshConfig({}).value,
    surroundings: surroundings.of,
    revision: 'default',
    metrics,
    log: recordingLogger(),
  });
  const ask = (pod: object, path = '/inject'): Review['response'] =>
    (
      inject(
        {
          apiVersion: 'admission.k8s.io/v1',
          kind: 'AdmissionReview',
          request: {
            uid: 'u',
            operation: 'CREATE',
            namespace: 'shop',
            object: { apiVersion: 'v1', kind: 'Pod', ...pod },
          },
        },
        path,
      ) as Review
    ).response;
  return { ask, cluster, metrics, close: surroundings.close };
}

const pod = { metadata: { name: 'p' }, spec: { containers: [{ name: 'app', image: 'app' }] } };
const patchOf = ({ patch = '' }: Review['response']): string => Buffer.from(patch, 'base64').toString();

test('what the cluster says reaches the pod: versions of nodes, ids of the namespace, ProxyConfig objects', async (t) => {
  const { ask, cluster, close } = await handler('v1.34.1');
  t.after(close);
  const first = patchOf(ask(pod));
  assert.match(first, /"path":"\/spec\/initContainers"/);
  assert.match(first, /"runAsUser":5099/);
  assert.doesNotMatch(first, /concurrency/);
  const proxyConfig = {
    apiVersion: 'networking.istio.io/v1beta1',
    kind: 'ProxyConfig',
    metadata: { name: 'c', namespace: 'shop' },
    spec: { concurrency: 7 },
  };
  cluster.put(istioTypes.ProxyConfig, proxyConfig);
  assert.match(patchOf(ask(pod)), /\\"concurrency\\":7/);
  cluster.remove(istioTypes.ProxyConfig, 'shop', 'c');
  assert.doesNotMatch(patchOf(ask(pod)), /concurrency/);
});

test('old nodes, places in the path, pods that stay as they are, and pods that are refused', async (t) => {
  const { ask, metrics, close } = await handler('v1.29.0');
  t.after(close);
  assert.match(patchOf(ask(pod)), /"path":"\/spec\/containers\/-"/);
  assert.match(patchOf(ask(pod, '/inject/cluster/far/net/n1')), /"far\/n1"/);
  const skipped = ask({ ...pod, spec: { ...pod.spec, hostNetwork: true } });
  assert.deepEqual([skipped.allowed, skipped.patch], [true, undefined]);
  const refused = ask({ ...pod, metadata: { name: 'p', annotations: { 'sidecar.istio.io/proxyCPU': 'much' } } });
  assert.equal(refused.allowed, false);
  assert.match(
    refused.status?.message ?? '',
    /pod shop\/p: annotation sidecar\.istio\.io\/proxyCPU: must be a quantity/,
  );
  const text = metrics.text();
  for (const [name, count] of [
    ['requests', 4],
    ['success', 2],
    ['skip', 1],
    ['failure', 1],
  ] as const)
    assert.match(text, new RegExp(`^sidecar_injection_${name}_total ${count}$`, 'm'));
});
