import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { VERSION } from '@istio-ts/api';
import { readYaml } from '@istio-ts/gotemplate';
import { type Chart, defaultValues, loadChart } from './chart.ts';
import { ChartError } from './errors.ts';
import { generatedFiles } from './generate.ts';
import { manifestText, renderChart } from './render.ts';
import type { Values } from './values.ts';

const manifests = join(import.meta.dirname, '..', 'manifests');
const CHARTS = ['base', 'istiod', 'gateway', 'cni', 'ztunnel', 'istio-ingress', 'istio-egress'];
/** Why tests with a version of helm cannot run; false when they can. */
const absent = (helm: string): string | false =>
  spawnSync(helm, ['version'], { stdio: 'ignore' }).status !== 0 && `${helm} is not installed`;
const profilesOf = (prefix: string): readonly string[] =>
  readdirSync(join(manifests, '..', 'shared', 'profiles'))
    .filter((file) => file.startsWith(prefix))
    .map((file) => file.slice(prefix.length, -'.yaml'.length));
const PLATFORMS = profilesOf('platform-');
const PROFILES = profilesOf('').filter((name) => !/^(platform|compatibility-version)-/.test(name));

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
  {
    name: 'gateway: every field of the Service and the pod',
    chart: 'gateway',
    values:
      '{service: {type: LoadBalancer, loadBalancerIP: 1.2.3.4, loadBalancerClass: c, loadBalancerSourceRanges: [10.0.0.0/8], externalTrafficPolicy: Local, internalTrafficPolicy: Cluster, ipFamilyPolicy: PreferDualStack, ipFamilies: [IPv4, IPv6], clusterIP: 10.0.0.1, ports: [{name: http2, port: 80, targetPort: 8080, nodePort: 31380}]}, autoscaling: {minReplicas: 2, targetMemoryUtilizationPercentage: 70, autoscaleBehavior: {scaleDown: {stabilizationWindowSeconds: 60}}}, topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}], affinity: {nodeAffinity: {}}, priorityClassName: p, imagePullSecrets: [{name: s}], imagePullPolicy: Always, strategy: {rollingUpdate: {maxSurge: 100%}}, minReadySeconds: 3, readinessProbe: {exec: {command: [a]}}, lifecycle: {preStop: {exec: {command: [sleep]}}}, volumes: [{name: v}], volumeMounts: [{name: v, mountPath: /v}], initContainers: [{name: i}], additionalContainers: [{name: c}], dnsPolicy: ClusterFirst, securityContext: {runAsUser: 1}, containerSecurityContext: {runAsUser: 2}, envVarFrom: [{name: A, valueFrom: {fieldRef: {fieldPath: metadata.name}}}], annotations: {a: 1}, podAnnotations: {p: x}, global: {networkPolicy: {enabled: true}}}',
  },
  {
    name: 'gateway: defaults taken away',
    chart: 'gateway',
    values: '{podAnnotations: null, service: {ports: null}, resources: null, global: {platform: openshift}}',
  },
  {
    name: 'istiod: fixed, with everything of Kubernetes',
    chart: 'istiod',
    values:
      '{autoscaleEnabled: false, replicaCount: 2, hub: h, tag: 1.5, variant: debug, image: x, memory: {targetAverageUtilization: 50}, autoscaleBehavior: {scaleUp: {}}, nodeSelector: {a: b}, affinity: {podAntiAffinity: {}}, tolerations: [{key: k}], topologySpreadConstraints: [{maxSkew: 1}], podAnnotations: {a: b}, podLabels: {c: d}, deploymentLabels: {e: f}, serviceAnnotations: {g: h}, serviceAccountAnnotations: {i: j}, seccompProfile: {type: RuntimeDefault}, ipFamilyPolicy: PreferDualStack, ipFamilies: [IPv4, IPv6], envVarFrom: [{name: A}], extraContainerArgs: ["--x=1"], initContainers: [{name: "{{ .Release.Name }}"}], taint: {enabled: true, namespace: kube-system}, trustedZtunnelNamespace: z, trustedZtunnelName: zt, global: {networkPolicy: {enabled: true}, logAsJson: true, logging: {level: "all:debug"}, trustBundleName: b, externalIstiod: true, multiCluster: {clusterName: c}, configValidation: false, operatorManageWebhooks: true}, gatewayClasses: {istio: {deployment: {spec: {replicas: 2}}}}}',
  },
  {
    name: 'istiod: compatibility version, profile and platform under settings',
    chart: 'istiod',
    values:
      '{compatibilityVersion: "1.26", profile: demo, platform: openshift, traceSampling: 7.5, pilot: {env: {PILOT_ENABLE_AMBIENT: null, X: 1}}, meshConfig: {extensionProviders: null}}',
  },
  {
    name: 'cni: everything',
    chart: 'cni',
    values:
      '{cni: {cniBinDir: /b, cniConfDir: /c, cniConfFileName: 10-x.conflist, cniNetnsDir: /ns, chained: false, provider: multus, excludeNamespaces: [a, b], logging: {level: "cni:debug,default:warn"}, repair: {enabled: true, deletePods: true, labelPods: true, repairPods: false}, ambient: {enabled: true, shareHostNetworkNamespace: true, dnsCapture: false}, resourceQuotas: {enabled: true}, updateStrategy: {type: OnDelete}, tolerations: null, affinity: {nodeAffinity: {}}, nodeSelector: {a: b}, env: {A: 1}, daemonSetLabels: {x: y}, podLabels: {x: y}, podAnnotations: {x: y}, privileged: true, seccompProfile: {type: Unconfined}}, global: {imagePullSecrets: [s], networkPolicy: {enabled: true}, logAsJson: true, variant: debug, imagePullPolicy: Always}}',
  },
  {
    name: 'cni: no repair',
    chart: 'cni',
    values: '{repair: {enabled: false}, image: registry/x/cni:1, logLevel: debug}',
  },
  {
    name: 'ztunnel: everything',
    chart: 'ztunnel',
    values:
      '{resourceName: zt, revision: canary, network: net, caAddress: "https://ca:1", xdsAddress: "https://x:1", labels: {l: 1}, annotations: {a: 1}, podAnnotations: {b: 1}, podLabels: {c: 1}, env: {E: true}, volumes: [{name: v}], volumeMounts: [{name: v, mountPath: /v}], resourceQuotas: {enabled: true, pods: 7}, imagePullSecrets: [s], imagePullPolicy: Always, logAsJson: true, logLevel: debug, multiCluster: {clusterName: c}, terminationGracePeriodSeconds: 5, dnsPolicy: ClusterFirst, dnsConfig: {nameservers: [1.1.1.1]}, seLinuxOptions: null, global: {networkPolicy: {enabled: true}, platform: openshift, variant: distroless}}',
  },
  ...PROFILES.flatMap((profile) =>
    CHARTS.map((chart) => ({ name: `${chart}: profile ${profile}`, chart, values: `{profile: ${profile}}` })),
  ),
  ...PLATFORMS.flatMap((platform) =>
    ['cni', 'ztunnel', 'istiod'].map((chart) => ({
      name: `${chart}: platform ${platform}`,
      chart,
      values: `{profile: ambient, global: {platform: ${platform}}}`,
    })),
  ),
];

/** The documents of `helm template`. Version 4 leaves the blank lines at their ends and installs webhooks in another order. */
function documents(helm: string, text: string): string {
  if (helm === 'helm') return text;
  const parts = text.split(/^---\n/m).slice(1);
  return parts
    .map((part) => `---\n${part.trimEnd()}\n`)
    .sort()
    .join('');
}

async function compareWithHelm(helm: string, t: TestContext): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'charts-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const charts = new Map(CHARTS.map((chart) => [chart, loadChart(join(manifests, chart))]));
  const waiting = [...VARIANTS.entries()];
  const differing: string[] = [];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, { name, chart, values }] = next;
      const file = join(directory, `${index}.yaml`);
      writeFileSync(file, values);
      const { stdout } = await promisify(execFile)(
        helm,
        ['template', 'rel', join(manifests, chart), '-n', 'istio-system', '-f', file],
        { maxBuffer: 64 * 1024 * 1024 },
      );
      const ours = renderChart(charts.get(chart) as Chart, {
        values: readYaml(values) as Values,
        release: { name: 'rel', namespace: 'istio-system' },
      });
      const theirs = documents(helm, stdout);
      const text = documents(helm, manifestText(ours.manifests));
      if (theirs === text) continue;
      differing.push(name);
      t.diagnostic(`${name}: the first difference: ${firstDifference(theirs, text)}`);
    }
  };
  await Promise.all([work(), work()]);
  assert.deepEqual(differing, []);
}

function firstDifference(theirs: string, ours: string): string {
  const a = theirs.split('\n');
  const b = ours.split('\n');
  const at = a.findIndex((line, index) => line !== b[index]);
  return `line ${at + 1}: helm ${JSON.stringify(a[at])}, here ${JSON.stringify(b[at])}`;
}

for (const helm of ['helm', 'helm4'])
  test(`charts render exactly as ${helm} renders them`, { skip: absent(helm) }, async (t) => compareWithHelm(helm, t));

test('helm lint finds nothing', { skip: absent('helm') }, () => {
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

test('what istiod changes itself is left to it in upgrades', () => {
  const webhook = (isUpgrade: boolean, values: Values = {}): string =>
    renderChart(loadChart(join(manifests, 'istiod')), {
      values,
      release: { name: 'istiod', namespace: 'istio-system', isUpgrade },
    }).manifests.find(({ object }) => object.kind === 'ValidatingWebhookConfiguration')?.text ?? '';
  assert.match(webhook(false), /failurePolicy: Ignore/);
  assert.doesNotMatch(webhook(true), /failurePolicy|caBundle/);
  assert.match(webhook(true, { base: { validationFailurePolicy: 'Fail' } }), /failurePolicy: Fail/);
});

test('values of the wrong type are refused before anything is rendered', () => {
  const release = { name: 'r', namespace: 'n' };
  const refused = (chart: string, values: Values): string => {
    try {
      renderChart(loadChart(join(manifests, chart)), { values, release });
    } catch (error) {
      if (error instanceof ChartError) return error.message;
      throw error;
    }
    return '';
  };
  assert.deepEqual(
    refused('istiod', {
      autoscaleMin: 'two',
      global: { imagePullPolicy: 'Sometimes' },
      pilot: { cpu: 3 },
      rollingMaxSurge: 'all',
      revisionTags: 'prod',
      env: { A: ['b'] },
      telemetry: { enabled: 'yes' },
    }).split('\n'),
    [
      'chart istiod: autoscaleMin: must be a whole number, not "two"',
      'chart istiod: global.imagePullPolicy: must be one of Always, IfNotPresent, Never, not "Sometimes"',
      'chart istiod: pilot.cpu: must be a mapping, not 3',
      'chart istiod: rollingMaxSurge: must be a whole number or a percentage, not "all"',
      'chart istiod: revisionTags: must be a list, not "prod"',
      'chart istiod: env.A: must be a single value, not a list',
      'chart istiod: telemetry.enabled: must be true or false, not "yes"',
    ],
  );
  assert.equal(
    refused('gateway', { service: { ports: [{ name: 'x', port: 70000 }, { name: 'y' }] }, typo: 1 }),
    [
      'chart gateway: service.ports[0].port: must be at most 65535',
      'chart gateway: service.ports[1].port: is required',
      'chart gateway: typo: is not a value of this chart',
    ].join('\n'),
  );
  assert.match(
    refused('cni', { profile: 'nowhere' }),
    /profile "nowhere" is not known; there are: ambient, default, demo/,
  );
});
