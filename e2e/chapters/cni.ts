import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cniFolderFlags } from '../support/cni-folders.ts';
import { run, until } from '../support/shell.ts';
import type { Chapter } from './chapter.ts';

/** Settings for the CNI plugin in the API of Istio 1.4. */
export const cniSettings = `apiVersion: install.istio.io/v1alpha2
kind: IstioControlPlane
spec:
  cni:
    enabled: true
    components:
      namespace: kube-system
  values:
    cni:
      excludeNamespaces:
       - istio-system
       - kube-system
       - monitoring
  unvalidatedValues:
    cni:
      logLevel: info
`;

/** Nothing on usual nodes. */
const folders = cniFolderFlags.map((word) => ` ${word}`).join('');

/** The tutorial on Istio 1.4: completion, the CNI plugin, settings of the old API, dashboards, a gateway on the host's network. */
export function cni(chapter: () => Chapter): void {
  test('Istio 1.4: completion from the tools of the release', async (t) => {
    const { terminal, release, version } = chapter();
    await terminal.type(`curl -sL ${release.url}/downloadIstio | sh -`);
    const home = join(terminal.folder, 'home');
    const local = join(terminal.folder, 'local-bin');
    mkdirSync(home, { recursive: true });
    mkdirSync(local, { recursive: true });
    await terminal.type(
      `cd istio-${version} && cp bin/istioctl ${local}/ && cp tools/istioctl.bash tools/_istioctl ${home}/`,
    );
    const env = { ...terminal.env, HOME: home, PATH: `${local}:${terminal.env.PATH}` };
    const bash = await run('bash', ['-c', 'source ~/istioctl.bash && complete -p istioctl && istioctl profile list'], {
      env,
    });
    assert.equal(bash.exitCode, 0, bash.stderr);
    assert.match(bash.stdout, /complete .*istioctl[\s\S]*Istio configuration profiles:\n/);
    if ((await run('zsh', ['--version'])).exitCode !== 0) return t.skip('zsh is not on the PATH');
    const zsh = await run(
      'zsh',
      ['-fc', 'autoload -U compinit && compinit -u && source ~/_istioctl && print $_comps[istioctl]'],
      { env },
    );
    assert.match(zsh.stdout, /_istioctl/, zsh.stderr);
  });

  test('Istio 1.4: the CNI plugin by settings of the old API', async () => {
    const { terminal, version, cluster } = chapter();
    const type = (command: string, input?: string) =>
      terminal.type(`export PATH=${terminal.folder}/istio-${version}/bin:$PATH && ${command}`, input);
    assert.match(await type('kubectl get node'), / Ready /);
    await type(
      `istioctl manifest apply --set profile=demo \\
         --set cni.enabled=true --set cni.components.cni.namespace=kube-system \\
         --set values.gateways.istio-ingressgateway.type=ClusterIP${folders}`,
      'y\n',
    );
    assert.match(await type('kubectl -n istio-system get pod'), /istio-ingressgateway-\S+ +1\/1 +Running/);
    assert.match(await type('kubectl get svc istio-ingressgateway -n istio-system'), / ClusterIP /);
    assert.match(
      await type('kubectl -n kube-system get pod -l k8s-app=istio-cni-node'),
      /istio-cni-node-\S+ +1\/1 +Running/,
    );
    const chain = async () =>
      JSON.parse(
        await type(
          "kubectl -n kube-system exec ds/istio-cni-node -- sh -c 'cat /host/etc/cni/net.d/*.conflist' 2>/dev/null",
        ),
      ) as { plugins: readonly { readonly type: string; readonly [key: string]: unknown }[] };
    const plugin = (await chain()).plugins.at(-1);
    assert.equal(plugin?.type, 'istio-cni');

    await type('kubectl create ns meshed && kubectl label ns meshed istio-injection=enabled');
    await type(`kubectl apply -n meshed -f istio-${version}/samples/httpbin/httpbin.yaml`);
    assert.match(await cluster.podsReady('meshed'), /2\/2/);
    const inits = await type("kubectl get pods -n meshed -o 'jsonpath={.items[0].spec.initContainers[*].name}'");
    assert.match(inits, /istio-validation/);
    assert.doesNotMatch(inits, /istio-init/);

    await type('cat > cni.yaml', cniSettings);
    await type(`istioctl manifest apply -f cni.yaml${folders}`, 'y\n');
    await type('kubectl -n kube-system delete pod -l k8s-app=istio-cni-node');
    await cluster.podsReady('kube-system', 'k8s-app=istio-cni-node');
    await until('the plugin to leave out the three namespaces', async () =>
      /"exclude_namespaces":\["istio-system","kube-system","monitoring"\]/.test(JSON.stringify(await chain()))
        ? true
        : undefined,
    );
  });

  test('Istio 1.4: dashboards by istioctl, and a gateway on the network of its node', async () => {
    const { terminal, version, cluster } = chapter();
    const type = (command: string, input?: string) =>
      terminal.type(`export PATH=${terminal.folder}/istio-${version}/bin:$PATH && ${command}`, input);
    const help = await type('istioctl dashboard --help');
    for (const name of ['controlz', 'envoy', 'grafana', 'jaeger', 'kiali', 'prometheus', 'zipkin'])
      assert.match(help, new RegExp(`^ +${name}\\b`, 'm'));
    await type(
      `istioctl install --set profile=default --set components.cni.enabled=true --set components.cni.namespace=kube-system${folders} -y`,
    );
    const patch = JSON.stringify({
      spec: { template: { spec: { hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' } } },
    });
    await type(`kubectl patch deployment istio-ingressgateway -n istio-system --patch '${patch}'`);
    await type('kubectl rollout status deployment istio-ingressgateway -n istio-system');
    assert.match(await cluster.podsReady('istio-system', 'app=istio-ingressgateway'), /1\/1/);
    await type('istioctl uninstall --purge -y');
  });
}
