import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { obstacle } from './support/cluster.ts';
import { http } from './support/http.ts';
import { everyHostToHttpbin, httpbinManifest } from './support/httpbin.ts';
import { ownCluster } from './support/own-cluster.ts';
import { eventually, run, until } from './support/shell.ts';

const root = join(import.meta.dirname, '..');
const reason = obstacle();

const routing = `${everyHostToHttpbin(', subset: v1')}---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: httpbin}
spec:
  host: httpbin
  subsets: [{name: v1, labels: {version: v1}}]
`;

describe('installing, changing and removing the mesh', { skip: reason ?? false }, () => {
  const cluster = ownCluster();
  const names = async (kinds: string, ...where: readonly string[]) =>
    (await cluster().kubectl('get', kinds, ...where, '-o', 'name')).split('\n').filter(Boolean);
  const reaches = (url: string) =>
    until(`${url} to answer`, async () => ((await http(url, { timeoutMs: 3000 })).status === 200 ? true : undefined));

  test('without a mesh the version says so', async () => {
    const { stdout, exitCode } = await cluster().tryIstioctl('version');
    assert.match(stdout, /^no running Istio pods in "istio-system"\nclient version: /);
    assert.equal(exitCode, 0);
  });

  test('mistakes in the settings stop the installation before it begins', async () => {
    const { stderr, exitCode } = await cluster().tryIstioctl(
      'install',
      '-y',
      '--set',
      'meshConfig.accessLogEncoding=JSN',
    );
    assert.match(stderr, /meshConfig\.accessLogEncoding: must be one of TEXT, JSON, not "JSN"/);
    assert.equal(exitCode, 1);
    assert.deepEqual(
      (await names('crd')).filter((name) => name.endsWith('.istio.io')),
      [],
    );
  });

  test('the demo profile from a file is installed and verified, and the first pod is injected', async () => {
    const { istioctl, kubectl, home, env } = cluster();
    const file = join(home, 'my-demo-config.yaml');
    writeFileSync(file, 'apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec:\n  profile: demo\n');
    await kubectl('label', 'namespace', 'default', 'istio-injection=enabled');
    const { stdout } = await run(join(root, 'bin', 'istioctl'), ['install', '-f', file], { env, input: 'y\n' });
    assert.match(stdout, /Istio core installed[\s\S]*Istiod installed[\s\S]*✔ Installation complete/);
    const direct = await cluster().tryKubectl(
      'run',
      'first',
      '--image=curlimages/curl',
      '--image-pull-policy=IfNotPresent',
      '--',
      'sleep',
      '1d',
    );
    assert.equal(direct.exitCode, 0, direct.stderr);
    assert.match(await cluster().podsReady('default', 'run=first'), /2\/2/);
    const verified = await istioctl('verify-install', '-f', file);
    assert.match(
      verified,
      /Checked \d+ custom resource definitions\nChecked 3 Istio Deployments\n✔ Istio is installed/,
    );
    await eventually('all proxies to be counted', async () =>
      assert.match(await istioctl('version'), /data plane version: \S+ \(3 proxies\)/),
    );
  });

  test('kube-inject makes a working pod where nothing is injected by itself', async () => {
    const { istioctl, kubectl, apply } = cluster();
    await kubectl('create', 'namespace', 'plain');
    await apply(await istioctl('kube-inject', '-f', httpbinManifest, '-n', 'plain'), 'plain');
    await apply(routing, 'plain');
    assert.match(await cluster().podsReady('plain', 'app=httpbin'), /2\/2/);
    await reaches(`http://${await cluster().loadBalancer('istio-system', 'istio-ingressgateway')}/get`);
    await eventually('the rules of the sidecar and of the gateway', async () => {
      const clusters = await istioctl('proxy-config', 'cluster', 'deploy/httpbin.plain');
      assert.match(clusters, /^httpbin\.plain\.svc\.cluster\.local +8000 +v1 +outbound +EDS +httpbin\.plain$/m);
      const routes = await istioctl('proxy-config', 'route', 'deploy/istio-ingressgateway.istio-system');
      assert.match(routes, /^http\.8080 +\*:80 +\* +\/\* +httpbin\.plain$/m);
    });
    await kubectl('delete', 'namespace', 'plain');
  });

  test('another profile changes the installation and removes what it does not have', async () => {
    await cluster().istioctl('install', '--set', 'profile=minimal', '-y');
    assert.deepEqual(await names('deployments', '-n', 'istio-system'), ['deployment.apps/istiod']);
    await cluster().istioctl('verify-install');
  });

  test('uninstall --purge leaves the namespace and the root; a new installation keeps the root', async () => {
    const { istioctl, kubectl } = cluster();
    const rootCertificate = () =>
      kubectl('get', 'secret', 'istio-ca-secret', '-n', 'istio-system', '-o', 'jsonpath={.data.ca-cert\\.pem}');
    const before = await rootCertificate();
    await istioctl('uninstall', '--purge', '-y');
    assert.deepEqual(await names('crd'), []);
    assert.deepEqual(await names('deploy,svc,hpa,role,rolebinding', '-n', 'istio-system'), []);
    const wide = await names(
      'clusterrole,clusterrolebinding,mutatingwebhookconfiguration,validatingwebhookconfiguration',
    );
    assert.deepEqual(
      wide.filter((name) => name.includes('istio')),
      [],
    );
    await istioctl('install', '--set', 'profile=minimal', '-y');
    assert.equal(await rootCertificate(), before);
  });

  test('manifest generate piped into kubectl delete removes the mesh too', async () => {
    const { istioctl, kubectl, env } = cluster();
    const manifest = await istioctl('manifest', 'generate', '--set', 'profile=minimal');
    const args = ['delete', '--ignore-not-found=true', '-f', '-'];
    const { exitCode, stderr } = await run('kubectl', args, { env, input: manifest });
    assert.equal(exitCode, 0, stderr);
    assert.deepEqual(await names('deploy,svc', '-n', 'istio-system'), []);
    await until('the default tag to follow its revision', async () =>
      (await names('mutatingwebhookconfiguration,validatingwebhookconfiguration')).length === 0 ? true : undefined,
    );
    await kubectl('delete', 'pod', 'first', '--now');
    await kubectl('delete', 'namespace', 'istio-system');
  });
});
