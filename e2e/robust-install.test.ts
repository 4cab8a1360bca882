import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { givenKubeconfig, obstacle } from './support/cluster.ts';
import { ownCluster } from './support/own-cluster.ts';
import { type Output, run, until } from './support/shell.ts';

const root = join(import.meta.dirname, '..');
const charts = join(root, 'packages', 'charts', 'manifests');
const reason = obstacle();

describe('installations that meet obstacles', { skip: reason ?? false }, () => {
  const cluster = ownCluster();

  /** Starts istioctl, sends it a signal once its output has the text (or the probe is true), and waits for its end. */
  const interrupted = (
    args: readonly string[],
    signal: NodeJS.Signals,
    due: (output: string) => boolean | Promise<boolean>,
  ): Promise<Output & { readonly signal: string | null }> =>
    new Promise((resolve, reject) => {
      const child = spawn(join(root, 'bin', 'istioctl'), [...args], { env: cluster().env });
      let stdout = '';
      let stderr = '';
      let ended = false;
      child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
      child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
      child.on('error', reject);
      child.on('close', (code, by) => {
        ended = true;
        resolve({ stdout, stderr, exitCode: code ?? -1, signal: by });
      });
      until('istioctl to get there', async () => (ended || (await due(stdout)) ? true : undefined)).then(
        () => child.kill(signal),
        reject,
      );
    });
  const exists = async (...what: readonly string[]) => (await cluster().tryKubectl('get', ...what)).exitCode === 0;
  /** Everything that an installation could have touched, as it is. */
  const snapshot = async () =>
    (
      await cluster().kubectl(
        'get',
        'crd,clusterrole,clusterrolebinding,mutatingwebhookconfiguration,validatingwebhookconfiguration,deploy,svc,cm,sa,role,rolebinding,hpa,pdb',
        '-A',
        '-o',
        'jsonpath={range .items[*]}{.kind}/{.metadata.namespace}/{.metadata.name}{"\\n"}{end}',
      )
    )
      .split('\n')
      .sort();
  const repaired = async (...args: readonly string[]) => {
    const { stdout, stderr, exitCode } = await cluster().tryIstioctl('install', ...args, '-y');
    assert.equal(exitCode, 0, stdout + stderr);
    await cluster().istioctl('verify-install');
    return stderr + stdout;
  };
  const minimal = ['--set', 'profile=minimal'] as const;

  test('settings of the wrong type and hostile ones change nothing', async () => {
    const before = await snapshot();
    const mistakes: Readonly<Record<string, string>> = {
      'wrong-type': 'apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec: {values: {pilot: {env: 7}}}\n',
      'no-mapping': 'apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec: [1, 2]\n',
      'another-kind': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n',
      template:
        'apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec: {meshConfig: {accessLogEncoding: "{{ .Values }}"}}\n',
      prototype:
        'apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec: {values: {__proto__: {polluted: true}}}\n',
    };
    for (const [name, text] of Object.entries(mistakes)) {
      const file = join(cluster().home, `${name}.yaml`);
      writeFileSync(file, text);
      const { stderr, exitCode } = await cluster().tryIstioctl('install', '-f', file, '-y');
      assert.notEqual(exitCode, 0, name);
      assert.match(stderr, /^Error: ./m, name);
    }
    assert.deepEqual(await snapshot(), before);
    assert.equal(await exists('ns', 'istio-system'), false);
  });

  test('an image that cannot run: the message gives the reason, Ctrl-C says how to go on, and the right image repairs it', async () => {
    const wrong = [...minimal, '--set', 'values.pilot.image=registry.invalid/none/nothing:1'] as const;
    // A kubelet looks for the registry for a while before it says that there is none.
    const patience = givenKubeconfig === undefined ? 10 : 45;
    const late = await cluster().tryIstioctl('install', ...wrong, '--readiness-timeout', `${patience}s`, '-y');
    assert.equal(late.exitCode, 1);
    assert.match(
      late.stderr,
      /Error: Deployment\/istio-system\/istiod is not ready after \d+ s: .*(Pull|image|registry\.invalid).*See: kubectl get pods -n istio-system/s,
    );
    const broken = await interrupted(['install', ...wrong, '-y'], 'SIGINT', async (output) =>
      output.includes('Istio core installed'),
    );
    assert.equal(broken.exitCode, 130, JSON.stringify(broken));
    assert.match(
      broken.stderr,
      /^Interrupted while (applying|waiting for) Istiod: \d+ of \d+ objects were applied\. Run the same command again/m,
    );
    assert.match(await repaired(...minimal), /begun at \S+ did not end; this one completes it/);
    assert.match(await cluster().istioctl('install', ...minimal, '--dry-run'), /already as wanted/);
    await cluster().istioctl('uninstall', '--purge', '-y');
    await cluster().kubectl('delete', 'ns', 'istio-system');
  });

  test('an installation that is killed in the middle is known as such and completed by the next', async () => {
    const killed = await interrupted(['install', '--set', 'profile=demo', '-y'], 'SIGKILL', () =>
      exists('-n', 'istio-system', 'configmap', 'istio-sidecar-injector'),
    );
    assert.equal(killed.signal, 'SIGKILL');
    const checked = await cluster().tryIstioctl('verify-install');
    assert.equal(checked.exitCode, 1);
    assert.match(
      checked.stderr,
      /begun at \S+ did not end[\s\S]*Deployment: istio-ingressgateway.*is not in the cluster/,
    );
    assert.match(await repaired('--set', 'profile=demo'), /did not end; this one completes it/);
    await cluster().istioctl('uninstall', '--purge', '-y');
    await cluster().kubectl('delete', 'ns', 'istio-system');
  });

  test('a user who may not make everything reads what was refused, and an administrator completes it', async () => {
    const { kubectl, apply, env, home } = cluster();
    await kubectl('create', 'serviceaccount', 'installer', '-n', 'default');
    await apply(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: installer}
rules:
- {apiGroups: ["", apps, autoscaling, policy, apiextensions.k8s.io], resources: ["*"], verbs: ["*"]}
- {apiGroups: [rbac.authorization.k8s.io, admissionregistration.k8s.io], resources: ["*"], verbs: [get, list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: installer}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: installer}
subjects: [{kind: ServiceAccount, name: installer, namespace: default}]
`);
    const kubeconfig = join(home, 'limited');
    copyFileSync(env.KUBECONFIG ?? '', kubeconfig);
    const token = (await kubectl('create', 'token', 'installer', '-n', 'default')).trim();
    await kubectl('config', 'set-credentials', 'limited', `--token=${token}`, `--kubeconfig=${kubeconfig}`);
    await kubectl('config', 'set-context', '--current', '--user=limited', `--kubeconfig=${kubeconfig}`);
    const limited = ['--kubeconfig', kubeconfig, 'install', ...minimal, '-y'] as const;
    const first = await cluster().tryIstioctl(...limited);
    assert.equal(first.exitCode, 1);
    assert.match(first.stdout, /Istio core installed[\s\S]*Istiod: the cluster refused \d+ of \d+ objects/);
    assert.match(first.stderr, /the cluster refused \d+ objects; the others were applied, nothing was removed:/);
    for (const name of [
      'ClusterRole/istiod-clusterrole-istio-system',
      'RoleBinding/istio-system/istiod',
      'MutatingWebhookConfiguration/istio-sidecar-injector',
      'ValidatingWebhookConfiguration/istiod-default-validator',
    ])
      assert.match(first.stderr, new RegExp(`^  ${name}: .*forbidden`, 'm'));
    assert.ok(await exists('-n', 'istio-system', 'deployment', 'istiod'));
    // Nothing changed in the meantime: the same refusals, known before anything is applied.
    const asked = await cluster().tryIstioctl(...limited.slice(0, -1), '--dry-run');
    assert.equal(asked.exitCode, 1);
    assert.match(asked.stderr, /would refuse \d+ objects/);
    await repaired(...minimal);
  });

  test('a policy that refuses some objects: the rest is applied, and without the policy the next run completes it', async () => {
    const { kubectl, apply } = cluster();
    await apply(`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-gateways}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - {apiGroups: ["", apps], apiVersions: [v1], operations: [CREATE], resources: [services, deployments]}
  validations:
  - {expression: "!object.metadata.name.contains('gateway')", message: gateways need an approval}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-gateways}
spec: {policyName: no-gateways, validationActions: [Deny]}
`);
    const refused = await until('the policy to be in force', async () => {
      const probe = await cluster().tryKubectl('create', 'service', 'clusterip', 'gateway-probe', '--tcp=80');
      await cluster().tryKubectl('delete', 'service', 'gateway-probe');
      return probe.exitCode === 0 ? undefined : cluster().tryIstioctl('install', '--set', 'profile=demo', '-y');
    });
    assert.equal(refused.exitCode, 1);
    for (const name of ['Deployment/istio-system/istio-ingressgateway', 'Service/istio-system/istio-egressgateway'])
      assert.match(refused.stderr, new RegExp(`^  ${name}: .*gateways need an approval`, 'm'));
    assert.ok(await exists('-n', 'istio-system', 'serviceaccount', 'istio-ingressgateway-service-account'));
    await kubectl('delete', 'validatingadmissionpolicybinding,validatingadmissionpolicy', 'no-gateways');
    await until('the policy to be gone', async () =>
      (await cluster().tryKubectl('create', 'service', 'clusterip', 'gateway-probe', '--tcp=80')).exitCode === 0
        ? true
        : undefined,
    );
    await kubectl('delete', 'service', 'gateway-probe');
    await repaired('--set', 'profile=demo');
  });

  test('settings that others changed are named before they are overwritten', async () => {
    const { kubectl, istioctl } = cluster();
    await kubectl(
      'set',
      'image',
      '-n',
      'istio-system',
      'deploy/istio-egressgateway',
      'istio-proxy=example.test/other:1',
    );
    const plan = await istioctl('install', '--set', 'profile=demo', '--dry-run');
    assert.match(plan, /~ Deployment\/istio-system\/istio-egressgateway: .*containers\[istio-proxy\]\.image/);
    assert.match(plan, /! Deployment\/istio-system\/istio-egressgateway: overwrites .*image \(set by kubectl-set\)/);
    await repaired('--set', 'profile=demo');
    assert.match(await istioctl('install', '--set', 'profile=demo', '--dry-run'), /already as wanted/);
  });

  test('what Helm installed is not changed without being asked for, and purged with its definitions', async (t) => {
    const { env, istioctl, tryIstioctl, kubectl } = cluster();
    if ((await run('helm', ['version'], { env })).exitCode !== 0) return t.skip('helm is not here');
    await istioctl('uninstall', '--purge', '-y');
    const helm = async (...args: readonly string[]) => {
      const { stderr, exitCode } = await run('helm', [...args, '-n', 'istio-system'], { env });
      assert.equal(exitCode, 0, `helm ${args.join(' ')}: ${stderr}`);
    };
    await helm('install', 'istio-base', join(charts, 'base'));
    await helm('install', 'istiod', join(charts, 'istiod'), '--wait');
    const refused = await tryIstioctl('install', ...minimal, '-y');
    assert.equal(refused.exitCode, 1);
    assert.match(refused.stderr, /belong to Helm releases: .*\(release (istiod|istio-base)\).*helm upgrade.*--force/);
    const { stderr } = await tryIstioctl('uninstall', '--purge', '-y');
    assert.match(stderr, /helm uninstall istiod -n istio-system/);
    assert.equal((await kubectl('get', 'crd', '-o', 'name')).trim(), '');
  });
});
