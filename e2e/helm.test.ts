import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { obstacle } from './support/cluster.ts';
import { http } from './support/http.ts';
import { everyHostToHttpbin, httpbinManifest } from './support/httpbin.ts';
import { ownCluster } from './support/own-cluster.ts';
import { eventually, run, until } from './support/shell.ts';

const root = join(import.meta.dirname, '..');
const charts = join(root, 'packages', 'charts', 'manifests');
const httpbin = readFileSync(httpbinManifest, 'utf8');

/** Why the tests cannot run with this helm; undefined when they can. */
async function obstacleOf(helm: string): Promise<string | undefined> {
  const general = obstacle();
  if (general !== undefined) return general;
  const found = await run(helm, ['version'], { env: process.env }).catch(() => undefined);
  return found?.exitCode === 0 ? undefined : `${helm} is not installed`;
}

for (const program of ['helm', 'helm4']) {
  const reason = await obstacleOf(program);
  describe(`the mesh by ${program}`, { skip: reason ?? false }, () => {
    const cluster = ownCluster();
    const tryHelm = (...args: readonly string[]) =>
      run(program, [...args, '-n', 'istio-system'], { env: cluster().env, timeoutMs: 300_000 });
    const helm = async (...args: readonly string[]): Promise<string> => {
      const { stdout, stderr, exitCode } = await tryHelm(...args);
      assert.equal(exitCode, 0, `${program} ${args.join(' ')}: ${stderr}`);
      return stdout;
    };
    const chart = (name: string): string => join(charts, name);
    const mesh = async (): Promise<string> =>
      cluster().kubectl('get', 'configmap', 'istio', '-n', 'istio-system', '-o', 'jsonpath={.data.mesh}');
    const reachesShop = async (): Promise<void> => {
      const url = `http://${await cluster().loadBalancer('istio-system', 'istio-ingressgateway')}/get`;
      await until(`${url} to answer`, async () =>
        (await http(url, { timeoutMs: 3000 })).status === 200 ? true : undefined,
      );
    };

    test('the charts have nothing to complain about', async () => {
      const names = ['base', 'istiod', 'gateway', 'cni', 'ztunnel', 'istio-ingress', 'istio-egress'];
      assert.match(await helm('lint', '--strict', ...names.map(chart)), /7 chart\(s\) linted, 0 chart\(s\) failed/);
    });

    test('a value of the wrong type is refused and nothing is installed', async () => {
      const wrong = await tryHelm(
        'install',
        'istiod',
        chart('istiod'),
        '--create-namespace',
        '--set',
        'autoscaleMin=two',
      );
      assert.equal(wrong.exitCode, 1);
      assert.match(wrong.stderr, /istiod[\s\S]*autoscaleMin/);
      const unknown = await tryHelm(
        'install',
        'gw',
        chart('gateway'),
        '--create-namespace',
        '--set',
        'servce.type=NodePort',
      );
      assert.match(unknown.stderr, /additional properties 'servce' not allowed/);
      const profile = await tryHelm(
        'install',
        'istiod',
        chart('istiod'),
        '--create-namespace',
        '--set',
        'profile=dmeo',
      );
      assert.match(profile.stderr, /profile "dmeo" is not known; there are: ambient, default, demo/);
      assert.equal(
        await cluster().kubectl('get', 'deploy,svc,clusterrole', '-A', '-l', 'app=istiod', '-o', 'name'),
        '',
      );
    });

    test('base, istiod and a gateway are installed and carry traffic', async () => {
      await helm('install', 'istio-base', chart('base'), '--create-namespace', '--set', 'defaultRevision=default');
      await helm('install', 'istiod', chart('istiod'), '--wait', '--set', 'profile=demo');
      await until('istiod to complete its webhooks', async () =>
        /caBundle/.test(
          await cluster().kubectl('get', 'mutatingwebhookconfiguration', 'istio-sidecar-injector', '-o', 'yaml'),
        )
          ? true
          : undefined,
      );
      await helm('install', 'istio-ingressgateway', chart('gateway'), '--wait');
      await cluster().kubectl('label', 'namespace', 'default', 'istio-injection=enabled');
      await cluster().apply(httpbin);
      await cluster().apply(everyHostToHttpbin());
      assert.match(await cluster().podsReady('default', 'app=httpbin'), /2\/2/);
      await reachesShop();
      assert.match(await mesh(), /accessLogFile: \/dev\/stdout/);
      assert.match(await helm('get', 'notes', 'istiod'), /istiod 1\.\d+\.\d+ is being installed/);
    });

    test('the API server refuses what the definitions say is wrong', async () => {
      const refused = await cluster().tryApply(
        'apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: bad}\nspec: {hosts: [a]}\n',
      );
      assert.equal(refused.exitCode, 1);
      assert.match(refused.stderr, /needs at least one of http, tls, tcp/);
    });

    test('an upgrade changes settings, a rollback takes them back, traffic goes on', async () => {
      const values = join(cluster().home, 'values.yaml');
      writeFileSync(values, 'meshConfig:\n  accessLogFile: null\n  accessLogEncoding: JSON\n');
      await helm('upgrade', 'istiod', chart('istiod'), '--wait', '--set', 'profile=demo', '-f', values);
      assert.match(await mesh(), /accessLogEncoding: JSON/);
      assert.doesNotMatch(await mesh(), /accessLogFile/);
      await reachesShop();
      // Version 4 applies on the server, where istiod owns the failure policy that it has changed.
      await helm('rollback', 'istiod', '1', '--wait', ...(program === 'helm4' ? ['--force-conflicts'] : []));
      assert.match(await mesh(), /accessLogFile: \/dev\/stdout/);
      assert.doesNotMatch(await mesh(), /accessLogEncoding/);
      assert.match(await helm('history', 'istiod'), /3\s[\s\S]*deployed[\s\S]*Rollback to 1/);
      await reachesShop();
    });

    test('uninstalling leaves the custom resources and their definitions', async () => {
      for (const release of ['istio-ingressgateway', 'istiod', 'istio-base']) await helm('uninstall', release);
      const { kubectl } = cluster();
      await eventually('everything to be gone', async () =>
        assert.equal(await kubectl('get', 'deploy,svc,hpa', '-n', 'istio-system', '-o', 'name'), ''),
      );
      const definitions = (await kubectl('get', 'crd', '-o', 'name'))
        .split('\n')
        .filter((name) => name.endsWith('.istio.io'));
      assert.equal(definitions.length, 15);
      assert.match(await kubectl('get', 'virtualservice', 'httpbin', '-o', 'name'), /httpbin/);
    });
  });
}
