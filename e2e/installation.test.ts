import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { givenKubeconfig, obstacle } from './support/cluster.ts';
import { cniFolderFlags } from './support/cni-folders.ts';
import { httpbinManifest } from './support/httpbin.ts';
import { ownCluster } from './support/own-cluster.ts';
import { eventually, run, until } from './support/shell.ts';

const root = join(import.meta.dirname, '..');
const curl = join(root, 'samples', 'curl', 'curl.yaml');
const charts = join(root, 'packages', 'charts', 'manifests');
const general = obstacle();

/** The Deployments of each profile. */
const deployments = {
  minimal: ['istiod'],
  default: ['istio-ingressgateway', 'istiod'],
  demo: ['istio-egressgateway', 'istio-ingressgateway', 'istiod'],
} as const;

/** Every profile on a cluster that was given; on the local one those that no other file installs. */
const installations: readonly (readonly [profile: keyof typeof deployments, cni: boolean])[] =
  givenKubeconfig === undefined
    ? [
        ['minimal', false],
        ['default', true],
      ]
    : [
        ['minimal', false],
        ['minimal', true],
        ['default', false],
        ['default', true],
        ['demo', false],
        ['demo', true],
      ];

/** Kinds whose objects come and go by themselves. */
const RESTLESS =
  /^(events|events\.events\.k8s\.io|endpoints|endpointslices\..*|leases\..*|pods|pods\.metrics.*|nodes.*)$/;

describe('installation and what is left of it', { skip: general ?? false }, () => {
  const cluster = ownCluster();

  /** The names of all objects of the cluster, by kind. */
  const everything = async (): Promise<readonly string[]> => {
    const { kubectl } = cluster();
    const kinds = (await kubectl('api-resources', '--verbs=list', '-o', 'name')).trim().split('\n');
    const template =
      '{{range .items}}{{.kind}} {{with .metadata.namespace}}{{.}}/{{end}}{{.metadata.name}}{{"\\n"}}{{end}}';
    const wanted = kinds.filter((kind) => !RESTLESS.test(kind)).join(',');
    const lines = await kubectl('get', wanted, '-A', '-o', `go-template=${template}`);
    return lines.split('\n').filter(Boolean).sort();
  };

  /** Two applications with sidecars find each other by mutual TLS; resolves with the names of the init containers of httpbin. */
  const carriesTraffic = async (): Promise<readonly string[]> => {
    const { kubectl, tryKubectl, podsReady } = cluster();
    await kubectl('create', 'namespace', 'meshed');
    await kubectl('label', 'namespace', 'meshed', 'istio-injection=enabled');
    await kubectl('apply', '-n', 'meshed', '-f', httpbinManifest, '-f', curl);
    assert.doesNotMatch(await podsReady('meshed'), / 1\/1 /);
    const answer = await until('httpbin to answer', async () => {
      const { stdout } = await tryKubectl(
        ...['exec', '-n', 'meshed', 'deploy/curl', '-c', 'curl', '--'],
        ...['curl', '-s', '-i', '--max-time', '5', 'http://httpbin:8000/headers'],
      );
      return stdout.startsWith('HTTP/1.1 200') ? stdout : undefined;
    });
    assert.match(answer, /URI=spiffe:\/\/cluster\.local\/ns\/meshed\/sa\//);
    const path = 'jsonpath={.items[0].spec.initContainers[*].name}';
    const names = await kubectl('get', 'pod', '-n', 'meshed', '-l', 'app=httpbin', '-o', path);
    return names.split(' ').filter((name) => name !== 'istio-proxy');
  };

  const nothingIsLeft = async (before: readonly string[]): Promise<void> => {
    await cluster().kubectl('delete', 'namespace', 'meshed', 'istio-system');
    await eventually('the cluster to be as it was', async () => assert.deepEqual(await everything(), before), 120_000);
  };

  for (const [profile, cni] of installations)
    test(`istioctl: profile ${profile} ${cni ? 'with' : 'without'} the CNI plugin`, async () => {
      const { istioctl, kubectl } = cluster();
      const before = await everything();
      const plugin = cni
        ? ['--set', 'components.cni.enabled=true', '--set', 'components.cni.namespace=kube-system', ...cniFolderFlags]
        : [];
      await istioctl('install', '-y', '--set', `profile=${profile}`, ...plugin);
      const path = 'jsonpath={.items[*].metadata.name}';
      const found = (await kubectl('get', 'deployments', '-n', 'istio-system', '-o', path)).split(' ').sort();
      assert.deepEqual(found, deployments[profile]);
      assert.deepEqual(await carriesTraffic(), [cni ? 'istio-validation' : 'istio-init']);
      await istioctl('verify-install');
      await istioctl('uninstall', '--purge', '-y');
      await nothingIsLeft(before);
    });

  test('helm: base, the CNI plugin and istiod', async (t) => {
    const { env, kubectl } = cluster();
    if ((await run('helm', ['version'], { env })).exitCode !== 0) return t.skip('helm is not on the PATH');
    const helm = async (...args: readonly string[]): Promise<void> => {
      const { stderr, exitCode } = await run('helm', args, { env, timeoutMs: 300_000 });
      assert.equal(exitCode, 0, `helm ${args.join(' ')}: ${stderr}`);
    };
    const before = await everything();
    const folders = cniFolderFlags.map((flag) => flag.replace(/^values\.cni\./, ''));
    await helm('install', 'istio-base', join(charts, 'base'), '-n', 'istio-system', '--create-namespace');
    await helm('install', 'istio-cni', join(charts, 'cni'), '-n', 'kube-system', '--wait', ...folders);
    await helm(
      ...['install', 'istiod', join(charts, 'istiod'), '-n', 'istio-system', '--wait'],
      ...['--set', 'pilot.cni.enabled=true'],
    );
    await until('istiod to complete its webhooks', async () =>
      /caBundle/.test(await kubectl('get', 'mutatingwebhookconfiguration', 'istio-sidecar-injector', '-o', 'yaml'))
        ? true
        : undefined,
    );
    assert.deepEqual(await carriesTraffic(), ['istio-validation']);
    await helm('uninstall', 'istiod', '-n', 'istio-system', '--wait');
    await helm('uninstall', 'istio-cni', '-n', 'kube-system', '--wait');
    await helm('uninstall', 'istio-base', '-n', 'istio-system', '--wait');
    // Helm leaves the definitions, as it does for every chart: custom resources would go with them.
    const definitions = (await kubectl('get', 'crd', '-o', 'name'))
      .split('\n')
      .filter((name) => /istio\.io$/.test(name));
    assert.notDeepEqual(definitions, []);
    await kubectl('delete', ...definitions);
    // What istiod wrote into the namespaces is nobody's release.
    await kubectl('delete', 'configmap', '-A', '-l', 'istio.io/config=true');
    await nothingIsLeft(before);
  });
});
