import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readSpec } from './input.ts';
import { generateManifests } from './manifests.ts';

const chartsDir = join(import.meta.dirname, '..', '..', '..', 'charts', 'manifests');
const folder = mkdtempSync(join(tmpdir(), 'istio-ts-legacy-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const base = { chartsDir, istioNamespace: 'istio-system', files: [], sets: [] };
const file = (text: string): string => {
  const path = join(folder, 'settings.yaml');
  writeFileSync(path, text);
  return path;
};

test('the command of the tutorial of Istio 1.4', () => {
  const sets = [
    'profile=demo',
    'cni.enabled=true',
    'cni.components.cni.namespace=kube-system',
    'values.gateways.istio-ingressgateway.type=ClusterIP',
  ];
  const { spec } = readSpec({ ...base, sets });
  const objects = generateManifests(chartsDir, spec).flatMap((part) => part.objects);
  const find = (kind: string, name: string) =>
    objects.find((each) => each.kind === kind && each.metadata.name === name);
  assert.equal(find('DaemonSet', 'istio-cni-node')?.metadata.namespace, 'kube-system');
  assert.equal((find('Service', 'istio-ingressgateway')?.spec as { type: string } | undefined)?.type, 'ClusterIP');
  assert.ok(find('Deployment', 'istio-egressgateway'));
});

test('an IstioControlPlane of Istio 1.4', () => {
  const { spec, messages } = readSpec({
    ...base,
    files: [
      file(`apiVersion: install.istio.io/v1alpha2
kind: IstioControlPlane
spec:
  defaultNamespace: mesh
  cni: {enabled: true, components: {namespace: kube-system}}
  trafficManagement: {components: {pilot: {k8s: {replicaCount: 2}}}}
  gateways: {enabled: true, components: {egressGateway: {enabled: false}}}
  telemetry: {enabled: true}
  security: {enabled: true}
  values:
    cni: {excludeNamespaces: [istio-system, kube-system, monitoring]}
    global: {proxy: {accessLogFile: /dev/stdout}, mtls: {enabled: true, auto: true}}
    mixer: {policy: {enabled: true}}
  unvalidatedValues: {cni: {logLevel: info}}
`),
    ],
  });
  assert.equal(spec.components?.cni?.namespace, 'kube-system');
  assert.equal(spec.namespace, 'mesh');
  assert.equal(spec.components?.pilot?.k8s?.replicaCount, 2);
  assert.equal(spec.components?.ingressGateways?.[0]?.enabled, true);
  assert.equal(spec.components?.egressGateways?.[0]?.enabled, false);
  assert.deepEqual(spec.meshConfig, { accessLogFile: '/dev/stdout', enableAutoMtls: true });
  const said = messages.join('\n');
  assert.match(said, /telemetry: this setting has no successor/);
  assert.match(said, /security: this setting has no successor: istiod is the certificate authority/);
  assert.match(said, /values\.global\.mtls: this setting has no successor/);
  assert.match(said, /values\.mixer: this setting has no successor/);
  assert.match(said, /values\.global\.proxy\.accessLogFile: is meshConfig\.accessLogFile now/);
  const config = generateManifests(chartsDir, spec)
    .flatMap((part) => part.objects)
    .find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === 'istio-cni-config');
  assert.match(JSON.stringify(config?.data), /monitoring/);
});

test('what is set in its new place wins over the old one', () => {
  const sets = ['values.global.proxy.accessLogFile=/old', 'meshConfig.accessLogFile=/new'];
  assert.equal(readSpec({ ...base, sets }).spec.meshConfig?.accessLogFile, '/new');
});

test('ztunnel is generated but not installed; the CNI plugin is', async () => {
  const { refuseUnbuilt } = await import('./components.ts');
  const { spec } = readSpec({ ...base, sets: ['profile=ambient'] });
  assert.ok(generateManifests(chartsDir, spec).some(({ component }) => component === 'Ztunnel'));
  assert.throws(() => refuseUnbuilt(spec), /components\.ztunnel: .* not built yet/);
  refuseUnbuilt(readSpec({ ...base, sets: ['components.cni.enabled=true'] }).spec);
});

test('platforms and former versions bring settings of their own', () => {
  const text = (...sets: readonly string[]) =>
    JSON.stringify(generateManifests(chartsDir, readSpec({ ...base, sets }).spec));
  assert.match(text('values.global.platform=k3d', 'components.cni.enabled=true'), /\/var\/lib\/rancher\/k3s/);
  assert.match(text('compatibilityVersion=1.26'), /ENABLE_NATIVE_SIDECARS","value":"false"/);
  assert.throws(() => text('values.global.platform=vax'), /platform "vax" is not known; there are: .*openshift/);
  assert.throws(() => text('compatibilityVersion=0.8'), /"0\.8" is not known/);
});
