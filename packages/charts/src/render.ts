import {
  asDecoded,
  compareStrings,
  DeliberateFailure,
  GoObject,
  type GoValue,
  helmOptions,
  type Lookup,
  readYaml,
  TemplateExecError,
  TemplateParseError,
  TemplateSet,
} from '@istio-ts/gotemplate';
import type { KubeObject } from '@istio-ts/kube/object';
import type { Chart } from './chart.ts';
import { checkAgainstSchema } from './check-values.ts';
import { ChartError } from './errors.ts';
import { filesObject } from './files-object.ts';
import { isJsonObject } from './json.ts';
import { coalesceValues, type Values } from './values.ts';

export interface Release {
  readonly name: string;
  readonly namespace: string;
  readonly isUpgrade?: boolean;
  readonly revision?: number;
  /** Who installs; ends up in the label app.kubernetes.io/managed-by. */
  readonly service?: string;
}

export interface Capabilities {
  /** Version of the cluster, with the leading v. */
  readonly kubeVersion: string;
  readonly apiVersions: readonly string[];
}

export interface RenderInput {
  readonly values?: Values;
  readonly release: Release;
  readonly capabilities?: Capabilities;
  readonly lookup?: Lookup;
}

export interface Manifest {
  /** Chart and template, for example `istiod/templates/service.yaml`. */
  readonly source: string;
  readonly text: string;
  readonly object: KubeObject;
}

export interface Rendered {
  /** In the order of installation. */
  readonly manifests: readonly Manifest[];
  readonly notes: string;
}

const DEFAULT_CAPABILITIES: Capabilities = {
  kubeVersion: 'v1.33.0',
  apiVersions: [
    'v1',
    'apps/v1',
    'autoscaling/v2',
    'policy/v1',
    'rbac.authorization.k8s.io/v1',
    'admissionregistration.k8s.io/v1',
  ],
};

/** Kinds in the order in which Helm installs them (Helm's documentation, "Using Helm", order of resources); unknown ones come last, by name. */
const INSTALL_ORDER: readonly string[] = [
  'PriorityClass',
  'Namespace',
  'NetworkPolicy',
  'ResourceQuota',
  'LimitRange',
  'PodSecurityPolicy',
  'PodDisruptionBudget',
  'ServiceAccount',
  'Secret',
  'SecretList',
  'ConfigMap',
  'StorageClass',
  'PersistentVolume',
  'PersistentVolumeClaim',
  'CustomResourceDefinition',
  'ClusterRole',
  'ClusterRoleList',
  'ClusterRoleBinding',
  'ClusterRoleBindingList',
  'Role',
  'RoleList',
  'RoleBinding',
  'RoleBindingList',
  'Service',
  'DaemonSet',
  'Pod',
  'ReplicationController',
  'ReplicaSet',
  'Deployment',
  'HorizontalPodAutoscaler',
  'StatefulSet',
  'Job',
  'CronJob',
  'IngressClass',
  'Ingress',
  'APIService',
];

/** Order of two kinds at installation; 0 where they may come in any order. */
export function compareInstallOrder(a: string, b: string): number {
  const x = INSTALL_ORDER.indexOf(a);
  const y = INSTALL_ORDER.indexOf(b);
  if (x === -1 && y === -1) return compareStrings(a, b);
  if (x === -1) return 1;
  if (y === -1) return -1;
  return x - y;
}

function capabilitiesObject(capabilities: Capabilities): GoObject {
  const [, major = '1', minor = '0'] = /^v?(\d+)\.(\d+)/.exec(capabilities.kubeVersion) ?? [];
  const version = capabilities.kubeVersion;
  return new GoObject('*chartutil.Capabilities', {
    KubeVersion: new GoObject(
      'chartutil.KubeVersion',
      { Version: version, Major: major, Minor: minor, GitVersion: version },
      { String: () => version },
      { text: version },
    ),
    APIVersions: new GoObject(
      'chartutil.VersionSet',
      {},
      { Has: (name) => capabilities.apiVersions.includes(String(name)) },
    ),
    HelmVersion: new GoObject('version.BuildInfo', { Version: 'v3.18.0' }),
  });
}

/** Renders a chart as `helm template` does. Throws `ChartError`. */
export function renderChart(chart: Chart, input: RenderInput): Rendered {
  const { name } = chart.metadata;
  const set = new TemplateSet(helmOptions({ lookup: input.lookup }));
  const coalesced = coalesceValues(chart.values, input.values ?? {});
  const problems = chart.schema === undefined ? [] : checkAgainstSchema(chart.schema, coalesced);
  if (problems.length > 0)
    throw new ChartError(name, problems.map(({ path, message }) => `chart ${name}: ${path}: ${message}`).join('\n'));
  const values = asDecoded(coalesced);
  // Shared by all templates of the chart: one may change it for those that follow, as in Helm.
  const data: Record<string, GoValue> = {
    Values: values,
    Chart: new GoObject('chart.Metadata', {
      Name: chart.metadata.name,
      Version: chart.metadata.version,
      AppVersion: chart.metadata.appVersion,
      Description: chart.metadata.description,
      APIVersion: chart.metadata.apiVersion,
      Type: 'application',
    }),
    Release: {
      Name: input.release.name,
      Namespace: input.release.namespace,
      IsInstall: input.release.isUpgrade !== true,
      IsUpgrade: input.release.isUpgrade === true,
      Revision: input.release.revision ?? 1,
      Service: input.release.service ?? 'Helm',
    },
    Capabilities: capabilitiesObject(input.capabilities ?? DEFAULT_CAPABILITIES),
    Files: filesObject(chart.files),
    Subcharts: {},
  };
  const outputs = new Map<string, string>();
  try {
    // Helm parses and runs templates from the deepest folder up and in descending order of names.
    const order = [...chart.templates].sort((a, b) => depth(b.path) - depth(a.path) || compareStrings(b.path, a.path));
    for (const template of order) set.parse(`${name}/${template.path}`, template.text);
    for (const template of order) {
      const path = `${name}/${template.path}`;
      if (baseName(path).startsWith('_')) continue;
      data.Template = { Name: path, BasePath: `${name}/templates` };
      outputs.set(path, set.execute(path, data).replaceAll('<no value>', ''));
    }
  } catch (error) {
    throw new ChartError(name, describe(name, error), error);
  }
  const notes = outputs.get(`${name}/templates/NOTES.txt`) ?? '';
  const manifests: Manifest[] = [];
  for (const path of [...outputs.keys()].sort(compareStrings)) {
    if (baseName(path) === 'NOTES.txt') continue;
    for (const text of splitDocuments(outputs.get(path) ?? '')) {
      const object = parseObject(name, path, text);
      if (object !== undefined) manifests.push({ source: path, text, object });
    }
  }
  manifests.sort((a, b) => compareInstallOrder(a.object.kind, b.object.kind));
  return { manifests, notes };
}

/** The text that `helm template` prints for these manifests. */
export function manifestText(manifests: readonly Manifest[]): string {
  return manifests.map(({ source, text }) => `---\n# Source: ${source}\n${text}\n`).join('');
}

function depth(path: string): number {
  return path.split('/').length;
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function splitDocuments(text: string): string[] {
  return text
    .trim()
    .split(/(?:^|\s*\n)---\s*/)
    .map((document) => document.trim())
    .filter((document) => document !== '');
}

function parseObject(chart: string, source: string, text: string): KubeObject | undefined {
  let value: unknown;
  try {
    value = readYaml(text);
  } catch (error) {
    throw new ChartError(
      chart,
      `${source} does not render to YAML: ${error instanceof Error ? error.message : String(error)}`,
      error,
    );
  }
  if (value === null || value === undefined) return undefined;
  const metadata = isJsonObject(value) ? value.metadata : undefined;
  if (
    !isJsonObject(value) ||
    typeof value.apiVersion !== 'string' ||
    typeof value.kind !== 'string' ||
    !isJsonObject(metadata)
  ) {
    throw new ChartError(
      chart,
      `${source} does not render to a Kubernetes object: apiVersion, kind and metadata are required`,
    );
  }
  return value as unknown as KubeObject;
}

/** The innermost cause first, as it is what a user can act on. */
function describe(chart: string, error: unknown): string {
  if (error instanceof TemplateExecError) {
    let deepest: TemplateExecError = error;
    while (deepest.cause instanceof TemplateExecError) deepest = deepest.cause;
    if (deepest.cause instanceof DeliberateFailure)
      return `chart ${chart}: ${deepest.cause.message} (${deepest.template}:${deepest.line})`;
    return `chart ${chart}: ${deepest.template}:${deepest.line}:${deepest.column}: ${deepest.reason} in {{ ${deepest.expression} }}`;
  }
  if (error instanceof TemplateParseError) return `chart ${chart}: ${error.template}:${error.line}: ${error.detail}`;
  return `chart ${chart}: ${error instanceof Error ? error.message : String(error)}`;
}
