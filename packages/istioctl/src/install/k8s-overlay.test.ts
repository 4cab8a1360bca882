import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { load } from 'js-yaml';
import type { JsonObject } from '@istio-ts/charts';
import type { KubeObject } from '@istio-ts/kube';
import { readSpec } from './input.ts';
import { generateManifests } from './manifests.ts';

const chartsDir = join(import.meta.dirname, '..', '..', '..', 'charts', 'manifests');
const warnings: string[] = [];

/** Objects of an installation with these settings (YAML below `spec`), by kind and name. */
function render(spec: string): (kind: string, name: string) => Fields {
  warnings.length = 0;
  const input = { chartsDir, files: [], sets: [], istioNamespace: 'istio-system', specs: [load(spec) as JsonObject] };
  const objects: readonly KubeObject[] = generateManifests(chartsDir, readSpec(input).spec, {
    warn: (message) => warnings.push(message),
  }).flatMap((part) => part.objects);
  return (kind, name) => {
    const found = objects.find((object) => object.kind === kind && object.metadata.name === name);
    assert.ok(found, `${kind} ${name}`);
    return found as unknown as Fields;
  };
}
// biome-ignore lint/suspicious/noExplicitAny: tests look into objects freely
type Fields = any;

const pilot = (k8s: string): string => `components: {pilot: {k8s: ${k8s}}}\nvalues: {pilot: {autoscaleEnabled: true}}`;

test('a gateway in the network of its node, on a chosen node, keeps the names of the cluster', () => {
  const find = render(`
components:
  ingressGateways:
  - name: istio-ingressgateway
    enabled: true
    k8s:
      hostNetwork: true
      affinity:
        nodeAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            nodeSelectorTerms:
            - matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [192.168.0.4]}]
      service: {type: NodePort}
      overlays:
      - apiVersion: apps/v1
        kind: Deployment
        name: istio-ingressgateway
        patches:
        - path: spec.template.spec.dnsPolicy
          value: ClusterFirstWithHostNet
        - path: spec.template.spec.containers.[name:istio-proxy].readinessProbe.periodSeconds
          value: 7
`);
  const pod = find('Deployment', 'istio-ingressgateway').spec.template.spec;
  assert.equal(pod.hostNetwork, true);
  assert.equal(pod.dnsPolicy, 'ClusterFirstWithHostNet');
  assert.ok(pod.affinity.nodeAffinity);
  assert.equal(pod.containers[0].readinessProbe.periodSeconds, 7);
  const { spec } = find('Service', 'istio-ingressgateway');
  assert.equal(spec.type, 'NodePort');
  assert.ok(spec.ports.length > 2);
});

test('every setting of a Deployment, its pods, its container and what stands beside it', () => {
  const find = render(
    pilot(`{
      env: [{name: PILOT_TRACE_SAMPLING, value: 7}, {name: MINE, valueFrom: {fieldRef: {fieldPath: metadata.name}}}],
      hpaSpec: {maxReplicas: 9}, imagePullPolicy: Always, nodeSelector: {disk: ssd}, podAnnotations: {a: 1}, podLabels: {l: true},
      podDisruptionBudget: {minAvailable: 2}, priorityClassName: system-cluster-critical, readinessProbe: {httpGet: {path: /x, port: 1}},
      resources: {requests: {cpu: 1m}, limits: null}, serviceAnnotations: {s: t}, strategy: {type: Recreate}, tolerations: [{key: k}],
      topologySpreadConstraints: [{maxSkew: 1}], securityContext: {fsGroup: 5}, volumes: [{name: v, emptyDir: {}}],
      volumeMounts: [{name: v, mountPath: /v}], imagePullSecrets: [regcred], replicaCount: 3, deploymentAnnotations: {d: e}}`),
  );
  const deployment = find('Deployment', 'istiod');
  const { metadata, spec: pod } = deployment.spec.template;
  const [container] = pod.containers;
  const env = (name: string) => container.env.findLast((each: { name: string }) => each.name === name);
  assert.deepEqual(env('PILOT_TRACE_SAMPLING').value, '7');
  assert.ok(env('MINE').valueFrom);
  assert.deepEqual([deployment.spec.replicas, deployment.spec.strategy], [3, { type: 'Recreate' }]);
  assert.deepEqual([metadata.annotations.a, metadata.labels.l, deployment.metadata.annotations.d], ['1', 'true', 'e']);
  assert.equal(pod.nodeSelector.disk, 'ssd');
  assert.deepEqual([pod.priorityClassName, pod.securityContext.fsGroup], ['system-cluster-critical', 5]);
  assert.deepEqual(pod.imagePullSecrets, [{ name: 'regcred' }]);
  assert.ok(pod.volumes.some((each: { name: string }) => each.name === 'v') && pod.volumes.length > 1);
  assert.ok(container.volumeMounts.some((each: { mountPath: string }) => each.mountPath === '/v'));
  assert.deepEqual([container.imagePullPolicy, container.readinessProbe.httpGet.path], ['Always', '/x']);
  assert.equal(container.resources.requests.cpu, '1m');
  assert.equal(container.resources.requests.memory, '2048Mi');
  assert.equal(find('HorizontalPodAutoscaler', 'istiod').spec.maxReplicas, 9);
  assert.equal(find('Service', 'istiod').metadata.annotations.s, 't');
});

test('overlays set, replace, add and take away', () => {
  const find = render(`
components:
  pilot:
    k8s:
      overlays:
      - kind: Deployment
        name: istiod
        patches:
        - {path: 'spec.template.spec.containers.[name:discovery].args.[30m]', value: 60m}
        - {path: 'spec.template.spec.containers.[name:discovery].ports.[containerPort:8080].containerPort', value: 1234}
        - {path: 'spec.template.spec.containers[name:discovery].ports[-1]', value: {containerPort: 99}}
        - {path: 'spec.template.spec.containers.[name:discovery].livenessProbe.exec.command', value: [a]}
        - {path: 'spec.template.metadata.annotations.sidecar\\.istio\\.io/inject'}
        - {path: 'spec.template.spec.containers.[name:discovery].readinessProbe', value: null}
      - kind: Service
        name: istiod
        patches:
        - {path: 'spec.ports.[name:http-monitoring]'}
      - kind: Secret
        name: none
        patches: [{path: data, value: {}}]
`);
  const { spec, metadata } = find('Deployment', 'istiod').spec.template;
  const [container] = spec.containers;
  assert.ok(container.args.includes('60m') && !container.args.includes('30m'));
  const ports = container.ports.map((port: { containerPort: number }) => port.containerPort);
  assert.ok(ports.includes(1234) && ports.at(-1) === 99);
  assert.deepEqual(container.livenessProbe.exec.command, ['a']);
  assert.equal(container.readinessProbe, undefined);
  assert.equal(metadata.annotations['sidecar.istio.io/inject'], undefined);
  assert.ok(!find('Service', 'istiod').spec.ports.some((port: { name: string }) => port.name === 'http-monitoring'));
  assert.deepEqual(warnings, [
    'components.pilot.k8s.overlays[2]: there is no Secret none in this part: the patch changes nothing',
  ]);
});

test('an object in an overlay may be written as text', () => {
  const find = render(`
components:
  pilot:
    k8s:
      overlays:
      - kind: ClusterRole
        name: istiod-clusterrole-istio-system
        patches:
        - path: rules[-1]
          value: |
            # For a signer.
            apiGroups: [certificates.k8s.io]
            resources: [signers]
            resourceNames: [example.com/foo]
            verbs: [approve]
      - kind: Deployment
        name: istiod
        patches:
        - {path: spec.template.metadata.annotations.plain, value: 'text: {'}
        - {path: spec.template.metadata.annotations.json, value: '{"a":1}'}
`);
  const role = find('ClusterRole', 'istiod-clusterrole-istio-system') as unknown as { rules: object[] };
  assert.deepEqual(role.rules.at(-1), {
    apiGroups: ['certificates.k8s.io'],
    resources: ['signers'],
    resourceNames: ['example.com/foo'],
    verbs: ['approve'],
  });
  const { annotations } = find('Deployment', 'istiod').spec.template.metadata;
  assert.deepEqual([annotations.plain, annotations.json], ['text: {', '{"a":1}']);
});

test('mistakes name the place', () => {
  const overlay = (path: string, value: string) =>
    pilot(`{overlays: [{kind: Deployment, name: istiod, patches: [{path: '${path}', value: ${value}}]}]}`);
  for (const [settings, message] of [
    [
      overlay('spec.template.spec.containers.[name:nobody].image', 'x'),
      /patches\[0\] \(.*\): no item has name "nobody"/,
    ],
    [overlay('spec.template.spec.serviceAccountName.x', '1'), /"x" is asked of something that is no mapping/],
    [overlay('kind', 'Pod'), /makes something else of Deployment istiod/],
    [overlay('', '1'), /path says what to change/],
    [pilot('{resourcs: {}}'), /components\.pilot\.k8s\.resourcs: unknown setting; did you mean resources\?/],
    [pilot('{replicaCount: many}'), /components\.pilot\.k8s\.replicaCount: must be a whole number, not "many"/],
    [pilot('{imagePullPolicy: Allways}'), /must be one of Always, .*did you mean Always\?/],
    [pilot('{env: [{value: x}]}'), /components\.pilot\.k8s\.env\[0\]\.name: is missing/],
    [pilot('{hostNetwork: "yes"}'), /hostNetwork: must be true or false/],
  ] as const)
    assert.throws(() => render(settings), message);
});

test('several gateways, each with settings of its own', () => {
  const find = render(`
components:
  ingressGateways:
  - {name: istio-ingressgateway, enabled: true}
  - name: internal
    namespace: edge
    enabled: true
    label: {app: internal, istio: internal}
    k8s: {service: {type: ClusterIP, ports: [{port: 80, targetPort: 8080, name: http}]}}
  - {name: off, enabled: false}
`);
  assert.equal(find('Service', 'istio-ingressgateway').spec.type, 'LoadBalancer');
  const service = find('Service', 'internal');
  assert.deepEqual(
    [service.metadata.namespace, service.spec.type, service.spec.ports.length],
    ['edge', 'ClusterIP', 1],
  );
  assert.equal(service.spec.selector.istio, 'internal');
  assert.throws(() => find('Deployment', 'off'));
});
