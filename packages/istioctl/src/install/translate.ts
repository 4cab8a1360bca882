import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isJsonObject, type Json, type JsonObject } from '@istio-ts/charts';
import type { KubeObject } from '@istio-ts/kube';
import { dump } from 'js-yaml';
import { type ChartUse, chartUses } from './components.ts';
import { OperatorError } from './failure.ts';
import { readSpec, type SpecInput } from './input.ts';
import { applyK8s } from './k8s-overlay.ts';
import { renderUse } from './manifests.ts';
import { mergeSpec } from './spec.ts';
import { differences } from './structural-diff.ts';
import type { Ui } from './ui.ts';

const items = (value: Json | undefined): readonly Json[] => (Array.isArray(value) ? (value as readonly Json[]) : []);

/** Where the settings of a part stand in its chart's values. */
function own(use: ChartUse, settings: JsonObject): JsonObject {
  switch (use.component) {
    case 'Base':
      return {};
    case 'Pilot':
      return { pilot: settings };
    case 'Cni':
      return { cni: settings };
    case 'Ztunnel':
      return { ztunnel: settings };
    case 'IngressGateways':
      return { gateways: { 'istio-ingressgateway': settings } };
    case 'EgressGateways':
      return { gateways: { 'istio-egressgateway': settings } };
  }
}

/** `components.*.k8s` as values of the chart, as far as the chart has a value for it. */
function k8sValues(use: ChartUse): JsonObject {
  const k8s = use.k8s ?? {};
  const settings: Record<string, Json> = {};
  for (const key of [
    'affinity',
    'nodeSelector',
    'tolerations',
    'topologySpreadConstraints',
    'podAnnotations',
    'podLabels',
    'serviceAnnotations',
    'resources',
    'replicaCount',
    'hostNetwork',
    'dnsPolicy',
    'volumes',
    'volumeMounts',
  ])
    if (k8s[key] !== undefined && k8s[key] !== null) settings[key] = k8s[key];
  // The chart sets this one itself, and a second one of its name would be refused.
  const sampling = items(k8s.env).find((item) => isJsonObject(item) && item.name === 'PILOT_TRACE_SAMPLING');
  if (use.component === 'Pilot' && isJsonObject(sampling) && Number.isFinite(Number(sampling.value)))
    settings.traceSampling = Number(sampling.value);
  const env = items(k8s.env).filter((item) => settings.traceSampling === undefined || item !== sampling);
  const plain = env.filter(
    (item) => isJsonObject(item) && typeof item.name === 'string' && item.valueFrom === undefined,
  );
  const other = env.filter((item) => !plain.includes(item));
  if (plain.length > 0)
    settings.env = Object.fromEntries(
      plain.map((item) => (isJsonObject(item) ? [String(item.name), String(item.value ?? '')] : ['', ''])),
    );
  if (other.length > 0) settings.envVarFrom = other;
  if (isJsonObject(k8s.hpaSpec)) {
    if (k8s.hpaSpec.minReplicas !== undefined) settings.autoscaleMin = k8s.hpaSpec.minReplicas;
    if (k8s.hpaSpec.maxReplicas !== undefined) settings.autoscaleMax = k8s.hpaSpec.maxReplicas;
    if (k8s.hpaSpec.behavior !== undefined) settings.autoscaleBehavior = k8s.hpaSpec.behavior;
  }
  if (isJsonObject(k8s.strategy) && isJsonObject(k8s.strategy.rollingUpdate)) {
    const { maxSurge, maxUnavailable } = k8s.strategy.rollingUpdate;
    if (maxSurge !== undefined) settings.rollingMaxSurge = maxSurge;
    if (maxUnavailable !== undefined) settings.rollingMaxUnavailable = maxUnavailable;
  }
  if (isJsonObject(k8s.service))
    for (const key of [
      'type',
      'ports',
      'externalTrafficPolicy',
      'loadBalancerIP',
      'loadBalancerSourceRanges',
      'externalIPs',
    ])
      if (k8s.service[key] !== undefined) settings[key] = k8s.service[key];
  const global: Record<string, Json> = {};
  if (typeof k8s.imagePullPolicy === 'string') global.imagePullPolicy = k8s.imagePullPolicy;
  if (typeof k8s.priorityClassName === 'string') global.priorityClassName = k8s.priorityClassName;
  if (Array.isArray(k8s.imagePullSecrets))
    global.imagePullSecrets = items(k8s.imagePullSecrets).map((item) =>
      isJsonObject(item) ? String(item.name ?? '') : item,
    );
  return mergeSpec(own(use, settings), Object.keys(global).length > 0 ? { global } : {});
}

const keyOf = ({ kind, metadata }: KubeObject) => [kind, metadata.namespace, metadata.name].filter(Boolean).join('/');

/** Of two environment variables of one name the later one counts. */
function withoutRepeatedEnv(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutRepeatedEnv);
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => [
      key,
      key === 'env' && Array.isArray(child)
        ? [...new Map((child as readonly Json[]).map((item) => [isJsonObject(item) ? item.name : item, item])).values()]
        : withoutRepeatedEnv(child),
    ]),
  );
}

/** What of the installation the values do not bring about: `Deployment/istio-system/istiod: spec.template…`. */
function missing(wanted: readonly KubeObject[], rendered: readonly KubeObject[]): readonly string[] {
  const found = new Map(rendered.map((object) => [keyOf(object), object]));
  return wanted.flatMap((object) => {
    // istiod writes the values themselves down for others to read.
    if (object.kind === 'ConfigMap') return [];
    const changed = differences(withoutRepeatedEnv(found.get(keyOf(object))), withoutRepeatedEnv(object));
    const paths = [...new Set(changed.filter(({ after }) => after !== undefined).map(({ path }) => path))];
    return paths.length === 0
      ? []
      : [`${keyOf(object)}: ${paths.slice(0, 4).join(', ')}${paths.length > 4 ? ` and ${paths.length - 4} more` : ''}`];
  });
}

const quoted = (text: string): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

/**
 * `istioctl manifest translate`: a file of Helm values for each chart, and the commands that install the same with helm. Says what helm cannot do
 * (patches of `k8s.overlays`, settings that the chart has no value for). Raises OperatorError and ChartError.
 */
export async function runManifestTranslate(
  options: SpecInput & { readonly ui: Ui; readonly output?: string },
): Promise<number> {
  const { spec, messages } = readSpec(options);
  const { ui, chartsDir } = options;
  for (const message of messages) ui.warn(message);
  const uses = chartUses(spec);
  if (uses.length === 0) throw new OperatorError('these settings install nothing: there is nothing to translate');
  const folder = options.output ?? mkdtempSync(join(tmpdir(), 'istioctl-translate-'));
  mkdirSync(folder, { recursive: true });
  const commands: string[] = [];
  for (const use of uses) {
    const values = use.k8s === undefined ? use.values : mergeSpec(use.values, k8sValues(use));
    const file = join(folder, `${use.release}-values.yaml`);
    writeFileSync(file, dump(values, { lineWidth: -1, noRefs: true }));
    commands.push(
      `helm upgrade --install ${quoted(use.release)} ${quoted(join(chartsDir, use.chart))} --namespace ${quoted(use.namespace)} --create-namespace --values ${quoted(file)}${use.component === 'Pilot' ? ' --wait' : ''}`,
    );
    if (use.k8s === undefined) continue;
    const wanted = applyK8s(renderUse(chartsDir, use), use.workload, use.k8s, use.path, ui.warn);
    for (const line of missing(wanted, renderUse(chartsDir, { ...use, values })))
      ui.warn(`${use.path}: no value of the chart ${use.chart} does this: ${line}`);
  }
  const script = `#!/bin/sh\nset -e\n${commands.join('\n')}\n`;
  writeFileSync(join(folder, 'install.sh'), script, { mode: 0o755 });
  ui.line(`Values and install.sh are in ${folder}. To install the same with helm:`);
  for (const command of commands) ui.line(`  ${command}`);
  return 0;
}
