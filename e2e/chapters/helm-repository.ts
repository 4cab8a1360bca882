import assert from 'node:assert/strict';
import { test } from 'node:test';
import { run, until } from '../support/shell.ts';
import type { Chapter } from './chapter.ts';

const namespace = `apiVersion: v1
kind: Namespace
metadata:
  name: istio-system
  labels:
    istio-operator-managed: Reconcile
    kubernetes.io/metadata.name: istio-system
`;

const ISTIO_KINDS = [
  'DestinationRule',
  'EnvoyFilter',
  'Gateway',
  'ProxyConfig',
  'ServiceEntry',
  'Sidecar',
  'VirtualService',
  'WorkloadEntry',
  'WorkloadGroup',
  'AuthorizationPolicy',
  'PeerAuthentication',
  'RequestAuthentication',
  'Telemetry',
];

/** The tutorial on Istio 1.18: a chart repository, then base, istiod and the gateway by Helm. */
export function helmRepository(chapter: () => Chapter): void {
  test('Istio 1.18: charts from a repository', async (t) => {
    const { terminal, release, version, cluster } = chapter();
    if ((await run('helm', ['version'], { env: terminal.env })).exitCode !== 0)
      return t.skip('helm is not on the PATH');
    assert.match(await terminal.type(`helm repo add istio ${release.url}/charts`), /"istio" has been added/);
    await terminal.type('helm repo update');
    const found = await terminal.type('helm search repo istio/');
    for (const [chart, about] of [
      ['base', 'cluster resources'],
      ['cni', 'istio-cni'],
      ['gateway', 'gateways'],
      ['istiod', 'control plane'],
      ['ztunnel', 'ztunnel'],
    ] as const)
      assert.match(found, new RegExp(`^istio/${chart}\\s+${version}\\s+${version}\\s+.*`, 'm'), about);

    await terminal.type('kubectl apply -f -', namespace);
    await terminal.type('helm install istio-base istio/base -n istio-system');
    // Helm does not wait for new kinds to be served.
    await until('the kinds to be served', async () => {
      const kinds = await terminal.type('kubectl api-resources --no-headers | grep istio.io || true');
      return ISTIO_KINDS.every((kind) => new RegExp(`\\b${kind}\\b`).test(kinds)) || undefined;
    });
    await terminal.type('helm install istiod istio/istiod -n istio-system --wait');
    await until('istiod to complete its webhooks', async () =>
      /caBundle/.test(await terminal.type('kubectl get mutatingwebhookconfiguration istio-sidecar-injector -o yaml'))
        ? true
        : undefined,
    );
    await terminal.type('helm install istio-ingressgateway istio/gateway -n istio-system --wait');
    assert.match(await cluster.podsReady('istio-system'), /istio-ingressgateway-\S+ +1\/1/);
    for (const name of ['istio-ingressgateway', 'istiod', 'istio-base'])
      await terminal.type(`helm uninstall ${name} -n istio-system`);
  });
}
