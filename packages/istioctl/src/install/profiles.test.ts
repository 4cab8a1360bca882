import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { load } from 'js-yaml';
import { runManifestGenerate } from './generate.ts';
import { runManifestVersions, upgradableFrom } from './manifest-versions.ts';
import { runProfileDiff, runProfileDump, runProfileList } from './profiles.ts';
import { runManifestTranslate } from './translate.ts';
import type { Ui } from './ui.ts';

const chartsDir = join(import.meta.dirname, '..', '..', '..', 'charts', 'manifests');

async function output(run: (ui: Ui) => Promise<number>): Promise<{ code: number; text: string; warnings: string }> {
  const lines: string[] = [];
  const warnings: string[] = [];
  const step = () => ({ note: () => {}, done: () => {}, fail: () => {} });
  const ui = {
    line: (text: string) => lines.push(text),
    warn: (text: string) => warnings.push(text),
    step,
    confirm: async () => false,
  };
  return { code: await run(ui), text: lines.join('\n'), warnings: warnings.join('\n') };
}

test('profile list', async () => {
  const list = (format: string) => output((ui) => runProfileList({ ui, chartsDir, output: format }));
  assert.match((await list('short')).text, /^Istio configuration profiles:\n {4}ambient\n {4}default\n {4}demo\n/);
  assert.ok((JSON.parse((await list('json')).text) as string[]).includes('openshift-ambient'));
  await assert.rejects(list('xml'), /output format "xml" is not supported/);
});

test('profile dump: whole, a part, as flags that give the same again', async () => {
  const dump = (options: { name?: string; configPath?: string; output?: string }) =>
    output((ui) => runProfileDump({ ui, chartsDir, files: [], output: 'yaml', ...options }));
  const whole = load((await dump({})).text) as { kind: string; spec: { components: object } };
  assert.equal(whole.kind, 'IstioOperator');
  const part = await dump({
    name: 'demo',
    configPath: 'components.ingressGateways[name:istio-ingressgateway].k8s.resources',
  });
  assert.deepEqual(load(part.text), { requests: { cpu: '10m', memory: '40Mi' } });
  const flags = (await dump({ name: 'demo', output: 'flags' })).text.split('\n');
  assert.ok(flags.includes('components.egressGateways[0].enabled=true'));
  assert.ok(flags.includes('meshConfig.accessLogFile=/dev/stdout'));
  await assert.rejects(
    dump({ configPath: 'components.pilott' }),
    /--config-path components\.pilott: the profile has nothing there/,
  );
  await assert.rejects(dump({ name: 'sds' }), /unknown profile "sds".*Secret discovery is always on/);
});

test('profile diff ends with 1 where profiles differ', async () => {
  const diff = (a: string, b: string, format = 'short') =>
    output((ui) => runProfileDiff({ ui, chartsDir, names: [a, b], output: format }));
  assert.deepEqual(await diff('demo', 'demo'), { code: 0, text: 'Profiles are identical', warnings: '' });
  const { code, text } = await diff('default', 'demo');
  assert.equal(code, 1);
  assert.match(text, /^\+meshConfig\.accessLogFile: \/dev\/stdout$/m);
  assert.match(text, /^-components\.egressGateways\[name:istio-egressgateway\]\.enabled: false$/m);
  const list = JSON.parse((await diff('default', 'minimal', 'json')).text) as unknown[];
  assert.deepEqual(list, [
    { path: 'components.ingressGateways[name:istio-ingressgateway].enabled', before: true, after: false },
  ]);
});

test('manifest versions', async () => {
  assert.deepEqual(upgradableFrom('1.30.0'), ['1.28', '1.29', '1.30']);
  assert.match((await output((ui) => runManifestVersions({ ui, output: 'short' }))).text, /installs Istio 1\.\d+/);
});

test('manifest generate prints parts, or writes a file for each', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'istio-ts-generate-'));
  const client = () => {
    throw new Error('no cluster');
  };
  const common = {
    chartsDir,
    files: [],
    sets: ['profile=demo'],
    istioNamespace: 'istio-system',
    clusterSpecific: false,
    client,
  };
  const gateways = await output((ui) => runManifestGenerate({ ...common, ui, components: ['ingressgateways'] }));
  assert.match(gateways.text, /^kind: Deployment$/m);
  assert.doesNotMatch(gateways.text, /istiod-clusterrole/);
  await output((ui) => runManifestGenerate({ ...common, ui, components: [], output: folder }));
  assert.deepEqual(readdirSync(folder).sort(), [
    'Base.yaml',
    'EgressGateways.yaml',
    'IngressGateways.yaml',
    'Pilot.yaml',
  ]);
  rmSync(folder, { recursive: true });
  await assert.rejects(
    output((ui) => runManifestGenerate({ ...common, ui, components: ['Pillot'] })),
    /--component Pillot: there is no such part; did you mean Pilot\?/,
  );
});

test('manifest translate: values that bring about the same, and what helm cannot do', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'istio-ts-translate-'));
  const specs = [
    {
      components: {
        pilot: {
          k8s: {
            replicaCount: 2,
            env: [{ name: 'A', value: 'b' }],
            overlays: [{ kind: 'Deployment', name: 'istiod', patches: [{ path: 'spec.paused', value: true }] }],
          },
        },
      },
    },
  ];
  const common = {
    chartsDir,
    files: [],
    sets: ['values.pilot.autoscaleEnabled=false'],
    specs,
    istioNamespace: 'istio-system',
  };
  const { text, warnings } = await output((ui) => runManifestTranslate({ ...common, ui, output: folder }));
  assert.match(
    text,
    /helm upgrade --install istiod \S+\/istiod --namespace istio-system --create-namespace --values \S+istiod-values\.yaml --wait/,
  );
  assert.match(readFileSync(join(folder, 'install.sh'), 'utf8'), /^#!\/bin\/sh\nset -e\nhelm /);
  const values = load(readFileSync(join(folder, 'istiod-values.yaml'), 'utf8')) as { pilot: object };
  assert.deepEqual(values.pilot, { autoscaleEnabled: false, replicaCount: 2, env: { A: 'b' } });
  assert.equal(
    warnings,
    'components.pilot.k8s: no value of the chart istiod does this: Deployment/istio-system/istiod: spec.paused',
  );
  rmSync(folder, { recursive: true });
});
