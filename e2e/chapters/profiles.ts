import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '../support/shell.ts';
import type { Chapter } from './chapter.ts';

/** The tutorial on Istio 1.12: profiles, installation from a file, verification, removal. */
export function profiles(chapter: () => Chapter): void {
  test('Istio 1.12: the demo profile from a file', async () => {
    const { terminal, release, version, cluster } = chapter();
    await terminal.type(`curl -sL ${release.url}/downloadIstio | sh -`);
    const type = (command: string, input?: string) =>
      terminal.type(`cd istio-${version} && export PATH=$PWD/bin:$PATH && cd .. && ${command}`, input);

    assert.match(await type('istioctl version'), /no running Istio pods in "istio-system"\s+(client version: )?\d/);
    const list = await type('istioctl profile list');
    for (const name of ['default', 'demo', 'empty', 'external', 'minimal', 'openshift', 'preview', 'remote'])
      assert.match(list, new RegExp(`^ +${name}$`, 'm'));
    const demo = await type('istioctl profile dump demo');
    assert.match(demo, /^apiVersion: install\.istio\.io\/v1alpha1\nkind: IstioOperator\nspec:/);
    assert.match(demo, /cpu: 10m\n +memory: 40Mi/);

    await type(
      "printf 'apiVersion: install.istio.io/v1alpha1\\nkind: IstioOperator\\nspec:\\n  profile: demo\\n' > my-demo-config.yaml",
    );
    const installed = await type('istioctl install -f my-demo-config.yaml', 'y\n');
    assert.match(installed, new RegExp(`This will install the Istio ${version} ["a-z ]*demo`));
    for (const line of [
      'Istio core installed',
      'Istiod installed',
      'Egress gateways installed',
      'Ingress gateways installed',
      'Installation complete',
    ])
      assert.match(installed, new RegExp(`✔ ${line}`));

    await eventually('the versions of all parts', async () =>
      assert.match(
        await type('istioctl version'),
        new RegExp(
          `client version: ${version}\\ncontrol plane version: ${version}\\ndata plane version: ${version} \\(2 proxies\\)`,
        ),
      ),
    );
    assert.match(
      await type('istioctl verify-install -f my-demo-config.yaml'),
      /Checked 15 custom resource definitions\nChecked 3 Istio Deployments\n✔ Istio is installed and verified successfully/,
    );
    const deployments = await type('kubectl -n istio-system get deploy');
    for (const name of ['istio-egressgateway', 'istio-ingressgateway', 'istiod'])
      assert.match(deployments, new RegExp(`^${name} +1/1 +1 +1`, 'm'));

    assert.match(await type('kubectl create ns istio-app'), /namespace\/istio-app created/);
    assert.match(await type('kubectl label ns istio-app istio-injection=enabled'), /namespace\/istio-app labeled/);
    await type(`kubectl apply -n istio-app -f istio-${version}/samples/httpbin/httpbin.yaml`);
    assert.match(await cluster.podsReady('istio-app'), /2\/2 +Running/);

    await type('istioctl manifest generate -f my-demo-config.yaml | kubectl delete --ignore-not-found=true -f -');
    await type('kubectl delete ns istio-system');
    assert.match(await type('kubectl label ns istio-app istio-injection-'), /unlabeled/);
    await type('kubectl delete ns istio-app');
    assert.doesNotMatch(await type('kubectl get crd,ns'), /istio/);
  });
}
