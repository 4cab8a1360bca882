import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Chapter } from './chapter.ts';

/** The tutorial on Istio 1.0: download, custom resource definitions, one manifest with mutual TLS for all. */
export function kubectlAlone(chapter: () => Chapter): void {
  test('Istio 1.0: the demo manifest with kubectl alone', async () => {
    const { terminal, release, version, cluster } = chapter();
    assert.match(await terminal.type('kubectl cluster-info'), /Kubernetes control plane.* is running at https:/);
    const downloaded = await terminal.type(`curl -sL ${release.url}/downloadIstio | ISTIO_VERSION=${version} sh -`);
    assert.match(downloaded, new RegExp(`export PATH="\\$PATH:.*/istio-${version}/bin"`));
    const folders = await terminal.type(`cd istio-${version} && find . -maxdepth 1 -type d`);
    for (const folder of ['bin', 'install', 'samples', 'tools'])
      assert.match(folders, new RegExp(`^\\./${folder}$`, 'm'));

    const created = await terminal.type(
      `cd istio-${version}/install/kubernetes/helm/istio && kubectl create -f templates/crds.yaml`,
    );
    for (const name of ['virtualservices', 'destinationrules', 'serviceentries', 'gateways'])
      assert.match(created, new RegExp(`${name}\\.networking\\.istio\\.io.* created`));
    await terminal.type(`cd istio-${version} && kubectl apply -f install/kubernetes/istio-demo-auth.yaml`);
    await cluster.podsReady('istio-system');

    const deployments = await terminal.type('kubectl get deployment -n istio-system');
    for (const name of ['istiod', 'istio-ingressgateway', 'istio-egressgateway'])
      assert.match(deployments, new RegExp(`^${name} +1/1`, 'm'));
    assert.match(
      await terminal.type('kubectl get service -n istio-system'),
      /^istio-ingressgateway +LoadBalancer .*80:\d+\/TCP/m,
    );
    const maps = await terminal.type('kubectl get configmap -n istio-system');
    for (const name of ['istio', 'istio-sidecar-injector']) assert.match(maps, new RegExp(`^${name} `, 'm'));
    assert.match(await terminal.type('kubectl get peerauthentication -n istio-system'), /^default +STRICT/m);
  });

  test('a version that does not exist, and an archive that is not what its checksum says', async () => {
    const { terminal, release, version } = chapter();
    await assert.rejects(
      terminal.type(`curl -sL ${release.url}/downloadIstio | ISTIO_VERSION=9.9.9 sh -`),
      new RegExp(`is there a release 9\\.9\\.9\\? The latest is ${version.replaceAll('.', '\\.')}`),
    );
    const arch = process.arch === 'arm64' ? 'arm64' : 'amd64';
    const archive = join(release.folder, `istio-0.0.1-linux-${arch}.tar.gz`);
    writeFileSync(archive, 'something else');
    writeFileSync(`${archive}.sha256`, `${'0'.repeat(64)}  istio-0.0.1-linux-${arch}.tar.gz\n`);
    await assert.rejects(
      terminal.type(`curl -sL ${release.url}/downloadIstio | ISTIO_VERSION=0.0.1 sh -`),
      /is not what its checksum says: nothing was unpacked/,
    );
    assert.equal(existsSync(join(terminal.folder, 'istio-0.0.1')), false);
  });
}
