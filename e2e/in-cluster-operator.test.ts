import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { obstacle } from './support/cluster.ts';
import { ownCluster } from './support/own-cluster.ts';
import { eventually, until } from './support/shell.ts';

const reason = obstacle();

const mesh = (spec: object) =>
  JSON.stringify({
    apiVersion: 'install.istio.io/v1alpha1',
    kind: 'IstioOperator',
    metadata: { name: 'installed-state', namespace: 'istio-system' },
    spec,
  });

describe('the operator in the cluster', { skip: reason ?? false }, () => {
  const cluster = ownCluster();
  const deployments = async () =>
    (await cluster().kubectl('get', 'deployments', '-n', 'istio-system', '-o', 'name')).split('\n').filter(Boolean);
  /** Waits until the status belongs to the settings as they are now. */
  const becomes = (status: string) =>
    until(
      `the IstioOperator to become ${status}`,
      async () => {
        const args = ['get', 'iop', 'installed-state', '-n', 'istio-system', '-o', 'json'];
        const object = JSON.parse(await cluster().kubectl(...args)) as {
          readonly metadata: { readonly generation: number };
          readonly status?: { readonly status: string; readonly observedGeneration: number; readonly message?: string };
        };
        const { metadata, status: found } = object;
        return found?.status === status && found.observedGeneration === metadata.generation ? found : undefined;
      },
      300_000,
    );

  test('init -f installs the operator, and the operator the mesh', async () => {
    const { istioctl, home, kubectl } = cluster();
    const file = join(home, 'mesh.yaml');
    writeFileSync(file, 'apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec: {profile: demo}\n');
    const said = await istioctl('operator', 'init', '-f', file);
    assert.match(said, /Istio operator installed in istio-operator, watching istio-system/);
    await becomes('HEALTHY');
    assert.deepEqual(await deployments(), [
      'deployment.apps/istio-egressgateway',
      'deployment.apps/istio-ingressgateway',
      'deployment.apps/istiod',
    ]);
    assert.match(await kubectl('get', 'iop', '-n', 'istio-system'), /^installed-state +HEALTHY /m);
    await istioctl('verify-install');
  });

  test('what somebody deletes comes back', async () => {
    const { kubectl, tryKubectl } = cluster();
    await kubectl('delete', 'deployment', 'istiod', '-n', 'istio-system');
    const found = await until('istiod to come back', async () => {
      const { exitCode, stdout } = await tryKubectl('get', 'deployment', 'istiod', '-n', 'istio-system', '-o', 'name');
      return exitCode === 0 ? stdout : undefined;
    });
    assert.match(found, /istiod/);
    assert.match(await cluster().podsReady('istio-system', 'app=istiod'), /1\/1/);
  });

  test('a changed IstioOperator changes the mesh; a mistake changes nothing and is told', async () => {
    const { apply, kubectl } = cluster();
    await apply(mesh({ profile: 'minimal' }), 'istio-system');
    await becomes('HEALTHY');
    assert.deepEqual(await deployments(), ['deployment.apps/istiod']);
    await apply(mesh({ profile: 'empty', meshConfig: { accessLogEncoding: 'JSN' } }), 'istio-system');
    assert.match((await becomes('ERROR')).message ?? '', /meshConfig\.accessLogEncoding: must be one of TEXT, JSON/);
    assert.deepEqual(await deployments(), ['deployment.apps/istiod']);
    await eventually('the event', async () =>
      assert.match(
        await kubectl('get', 'events', '-n', 'istio-system'),
        /ReconcileFailed +istiooperator\/installed-state/,
      ),
    );
  });

  test('a deleted IstioOperator takes the mesh along, and operator remove the operator', async () => {
    const { istioctl, kubectl } = cluster();
    await kubectl('delete', 'iop', 'installed-state', '-n', 'istio-system', '--timeout=120s');
    assert.deepEqual(await deployments(), []);
    assert.match(await istioctl('operator', 'remove', '--purge'), /Istio operator removed/);
    const left = await kubectl('get', 'clusterroles,clusterrolebindings,crd', '-o', 'name');
    assert.doesNotMatch(left, /istio-operator|istiooperators/);
  });
});
