import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { VERSION } from '@istio-ts/api';
import { readYaml } from '@istio-ts/gotemplate';
import { defaultValues, loadChart } from './chart.ts';
import { ChartError } from './errors.ts';
import { generatedFiles } from './generate.ts';
import { manifestText, renderChart } from './render.ts';
import type { Values } from './values.ts';

const manifests = join(import.meta.dirname, '..', 'manifests');
const CHARTS = ['base', 'istiod', 'gateway', 'cni', 'ztunnel', 'istio-ingress', 'istio-egress'];
const haveHelm = spawnSync('helm', ['version'], { stdio: 'ignore' }).status === 0;

const VARIANTS: readonly { readonly name: string; readonly chart: string; readonly values: string }[] = [
  ...CHARTS.map((chart) => ({ name: `${chart}: defaults`, chart, values: '{}' })),
  {
    name: 'base: named default revision',
    chart: 'base',
    values: '{defaultRevision: canary, base: {excludedCRDs: [gateways.networking.istio.io]}}',
  },
  {
    name: 'istiod: revision and replicas',
    chart: 'istiod',
    values:
      '{revision: canary, autoscaleMin: 2, env: {A: "1", B: x}, revisionTags: [prod, default], meshConfig: {accessLogFile: /dev/stdout, defaultConfig: {concurrency: 2}}}',
  },
  {
    name: 'istiod: names of older releases',
    chart: 'istiod',
    values: '{pilot: {autoscaleEnabled: false, replicaCount: 3, resources: {requests: {cpu: 10m}}, traceSampling: 50}}',
  },
  {
    name: 'istiod: remote',
    chart: 'istiod',
    values:
      '{istiodRemote: {enabled: true, injectionURL: "https://x/inject"}, base: {validationURL: "https://x/validate"}}',
  },
  {
    name: 'istiod: other namespace, all extras',
    chart: 'istiod',
    values:
      '{global: {istioNamespace: mesh, imagePullSecrets: [a], certSigners: [s/x], meshID: m, variant: debug, imagePullPolicy: Always, priorityClassName: p, platform: openshift, defaultTolerations: [{key: a, operator: Exists}], meshNetworks: {n1: {endpoints: [{fromRegistry: c1}]}}, proxy: {statusPort: 15025, holdApplicationUntilProxyStarts: true}}, experimental: {stableValidationPolicy: true}, jwksResolverExtraRootCA: cert, sidecarInjectorWebhook: {enableNamespacesByDefault: true, neverInjectSelector: [{matchLabels: {a: b}}], templates: {custom: "spec: {}"}}, affinity: {nodeAffinity: {}}, volumes: [{name: v, emptyDir: {}}], volumeMounts: [{name: v, mountPath: /v}]}',
  },
  {
    name: 'gateway: everything',
    chart: 'gateway',
    values:
      '{name: edge, revision: canary, kind: DaemonSet, service: {type: NodePort, annotations: {a: b}, loadBalancerIP: 1.2.3.4, externalIPs: [1.2.3.4]}, labels: {x: y, istio: edge}, env: {A: 1}, networkGateway: n1, podDisruptionBudget: {minAvailable: 1}, hostNetwork: true, nodeSelector: {a: b}, tolerations: [{operator: Exists}]}',
  },
  {
    name: 'gateway: fixed replicas',
    chart: 'gateway',
    values:
      '{replicaCount: 2, autoscaling: {enabled: false}, service: {type: None}, rbac: {enabled: false}, serviceAccount: {create: false}}',
  },
  {
    name: 'ingress: tutorial settings',
    chart: 'istio-ingress',
    values:
      '{gateways: {istio-ingressgateway: {type: NodePort, autoscaleMin: 2, hostNetwork: true, env: {A: b}, labels: {extra: x}, serviceAnnotations: {a: b}, configVolumes: [{name: c, mountPath: /c, configMapName: c}]}}, meshConfig: {trustDomain: td, defaultConfig: {proxyMetadata: {X: "y"}}}}',
  },
];

test('charts render exactly as helm renders them', { skip: !haveHelm && 'helm is not installed' }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'charts-'));
  t.after(() => rmSync(directory, { recursive: true }));
  for (const { name, chart, values } of VARIANTS) {
    await t.test(name, () => {
      const file = join(directory, 'values.yaml');
      writeFileSync(file, values);
      const helm = execFileSync('helm', ['template', 'rel', join(manifests, chart), '-n', 'istio-system', '-f', file], {
        encoding: 'utf8',
        maxBuffer: 64 * 1024 * 1024,
      });
      const ours = renderChart(loadChart(join(manifests, chart)), {
        values: readYaml(values) as Values,
        release: { name: 'rel', namespace: 'istio-system' },
      });
      assert.equal(manifestText(ours.manifests), helm);
    });
  }
});

test('helm lint finds nothing', { skip: !haveHelm && 'helm is not installed' }, () => {
  const result = spawnSync('helm', ['lint', '--strict', ...CHARTS.map((chart) => join(manifests, chart))], {
    encoding: 'utf8',
  });
  assert.equal(result.status, 0, result.stdout + result.stderr);
  assert.doesNotMatch(result.stdout, /\[(WARNING|ERROR)\]/);
});

test('generated files are up to date', () => {
  for (const [path, text] of generatedFiles(manifests)) {
    assert.equal(
      readFileSync(join(manifests, path), 'utf8'),
      text,
      `${path} is out of date: run node packages/charts/src/generate.ts`,
    );
  }
});

test('charts and profiles carry the version of the product', () => {
  for (const chart of CHARTS) {
    const loaded = loadChart(join(manifests, chart));
    const { metadata } = loaded;
    assert.deepEqual([metadata.version, metadata.appVersion], [VERSION, VERSION], chart);
    const global = defaultValues(loaded).global as Values;
    if (global.tag !== undefined) assert.equal(global.tag, VERSION, chart);
  }
});

test('an error names the chart, the template and the line', () => {
  const chart = loadChart(join(manifests, 'istiod'));
  assert.throws(
    () => renderChart(chart, { values: { cpu: null, autoscaleMin: 1 }, release: { name: 'r', namespace: 'n' } }),
    (error: unknown) =>
      error instanceof ChartError &&
      /^chart istiod: istiod\/templates\/autoscale\.yaml:\d+:\d+: nil pointer evaluating interface \{\}\.targetAverageUtilization in \{\{ \.Values\.cpu\.targetAverageUtilization \}\}$/.test(
        error.message,
      ),
  );
  assert.throws(() => loadChart('/nowhere'), /no chart in \/nowhere/);
});
