import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@istio-ts/kube/object';
import { chartInput, containerOf, injected, podWith, variableOf } from './injection.test-support.ts';
import { type JsonObject, listAt } from './json.ts';
import { parseNativeSidecars, usesNativeSidecars } from './native-sidecars.ts';
import { proxyIdsOf } from './proxy-ids.ts';
import { fromSurroundings } from './surroundings.ts';

test('native sidecars: as set, else when every node has them', () => {
  const rows: readonly [string | undefined, readonly string[], boolean][] = [
    ['true', [], true],
    ['false', ['v1.34.1'], false],
    ['auto', ['v1.34.1', 'v1.33.0-gke.1'], true],
    [undefined, ['v1.34.1', 'v1.32.9'], false],
    ['', [], false],
    ['auto', ['unknown'], false],
  ];
  for (const [text, kubelets, expected] of rows)
    assert.equal(
      usesNativeSidecars(parseNativeSidecars(text) ?? assert.fail(), kubelets),
      expected,
      `${text} ${kubelets}`,
    );
  assert.equal(parseNativeSidecars('sometimes'), undefined);
});

test('ids out of OpenShift’s ranges', () => {
  const of = (users: string, groups?: string) =>
    proxyIdsOf({
      'openshift.io/sa.scc.uid-range': users,
      ...(groups === undefined ? {} : { 'openshift.io/sa.scc.supplemental-groups': groups }),
    });
  assert.deepEqual(proxyIdsOf({}), { uid: 1337, gid: 1337 });
  assert.deepEqual(of('1000650000/10000'), { uid: 1000659999, gid: 1000659999 });
  assert.deepEqual(of('1000-1999', '5000/10,6000/10'), { uid: 1999, gid: 5009 });
  assert.deepEqual(of('nonsense'), { uid: 1337, gid: 1337 });
  assert.deepEqual(of('2000-1000'), { uid: 1337, gid: 1337 });
});

function proxyConfig(
  namespace: string,
  name: string,
  spec: object,
  creationTimestamp = '2026-01-01T00:00:00Z',
): KubeObject {
  return {
    apiVersion: 'networking.istio.io/v1beta1',
    kind: 'ProxyConfig',
    metadata: { namespace, name, creationTimestamp },
    spec,
  };
}

test('ProxyConfig objects: mesh, namespace, annotation, selector', () => {
  const settings = (objects: readonly KubeObject[], metadata: JsonObject = {}) => {
    const pod = injected({
      ...chartInput({}, { defaultConfig: { concurrency: 1, proxyMetadata: { MESH: '1' } } }),
      ...fromSurroundings({ proxyConfigs: objects, nodes: [], namespace: undefined, nativeSidecars: 'auto' }),
      namespace: 'shop',
      pod: podWith({ metadata }),
    });
    const proxy = containerOf(pod, 'istio-proxy');
    return { ...JSON.parse(String(variableOf(proxy, 'PROXY_CONFIG'))), image: proxy.image } as JsonObject;
  };
  const root = proxyConfig('istio-system', 'root', { concurrency: 2, environmentVariables: { ROOT: '1' } });
  const own = proxyConfig('shop', 'own', { concurrency: 3, environmentVariables: { OWN: '1' } });
  const selecting = proxyConfig('shop', 'selecting', {
    selector: { matchLabels: { app: 'x' } },
    concurrency: 5,
    image: { imageType: 'debug' },
  });
  const elsewhere = proxyConfig('other', 'else', { concurrency: 9 });
  const annotated = { annotations: { 'proxy.istio.io/config': 'concurrency: 4' } };
  assert.equal(settings([elsewhere]).concurrency, 1);
  assert.equal(settings([root]).concurrency, 2);
  assert.deepEqual(settings([root, own, elsewhere]).proxyMetadata, { MESH: '1', ROOT: '1', OWN: '1' });
  assert.equal(settings([root, own]).concurrency, 3);
  assert.equal(settings([root, own], annotated).concurrency, 4);
  assert.equal(settings([root, own, selecting], annotated).concurrency, 4);
  const chosen = settings([root, own, selecting], { ...annotated, labels: { app: 'x' } });
  assert.equal(chosen.concurrency, 5);
  assert.match(String(chosen.image), /-debug$/);
  const older = proxyConfig('shop', 'zz', { concurrency: 8 }, '2025-01-01T00:00:00Z');
  assert.equal(settings([own, older]).concurrency, 8);
});

test('pods mount the bundle of trust anchors only where the cluster has it, else the ConfigMap of their namespace', () => {
  const asked = { pilot: { env: { ENABLE_CLUSTER_TRUST_BUNDLE_API: 'true' } } };
  const sources = (values: Parameters<typeof chartInput>[0], trustBundle?: 'served' | 'absent') => {
    const surroundings = { proxyConfigs: [], nodes: [], namespace: undefined, nativeSidecars: 'auto' } as const;
    const around = fromSurroundings({ ...surroundings, ...(trustBundle !== undefined && { trustBundle }) });
    const pod = injected({ ...chartInput(values), pod: podWith(), ...around });
    const volume = listAt(pod, 'spec', 'volumes').find(({ name }) => name === 'istiod-ca-cert');
    return listAt(volume ?? {}, 'projected', 'sources').map((source) => Object.keys(source)[0]);
  };
  assert.deepEqual(sources(asked), ['clusterTrustBundle', 'configMap']);
  assert.deepEqual(sources(asked, 'served'), ['clusterTrustBundle', 'configMap']);
  assert.deepEqual(sources(asked, 'absent'), ['configMap', 'configMap']);
  assert.deepEqual(sources({}, 'served'), ['configMap', 'configMap']);
});
