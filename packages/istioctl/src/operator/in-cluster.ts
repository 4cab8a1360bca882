import { join } from 'node:path';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { type JsonObject, loadChart, renderChart } from '@istio-ts/charts';
import { isNotFound, type KubeClient, type KubeObject } from '@istio-ts/kube';
import { applyAll, ensureNamespace, nameOf, refusalLines } from '../install/apply.ts';
import { OperatorError } from '../install/failure.ts';
import { manifestYaml } from '../install/generate.ts';
import { type ReadSpec, readSpec } from '../install/input.ts';
import { waitReady } from '../install/readiness.ts';
import type { Ui } from '../install/ui.ts';
import { finalizer, istioOperatorType, keyOf } from './resource.ts';

export interface OperatorChartOptions {
  readonly chartsDir: string;
  readonly operatorNamespace: string;
  /** Namespaces whose IstioOperators count; empty: all. */
  readonly watchedNamespaces: readonly string[];
  readonly imagePullSecrets: readonly string[];
  readonly hub?: string;
  readonly tag?: string;
  readonly revision?: string;
}

const dnsName = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

function checkName(name: string, flag: string): void {
  if (!dnsName.test(name))
    throw new OperatorError(
      `${flag}: ${JSON.stringify(name.slice(0, 80))} is no name: use lower-case letters, digits and dashes`,
    );
}

/** Everything that the operator itself consists of. Raises OperatorError and ChartError. */
export function operatorObjects(options: OperatorChartOptions): readonly KubeObject[] {
  const { operatorNamespace, watchedNamespaces, imagePullSecrets, hub, tag, revision } = options;
  checkName(operatorNamespace, '--operatorNamespace');
  for (const name of watchedNamespaces) checkName(name, '--watchedNamespaces');
  for (const name of imagePullSecrets) checkName(name, '--imagePullSecrets');
  if (revision !== undefined && revision !== '') checkName(revision, '--revision');
  if (tag !== undefined && !/^\w[\w.-]{0,127}$/.test(tag))
    throw new OperatorError(`--tag: ${JSON.stringify(tag)} is no image tag`);
  if (hub !== undefined && !/^[\w.-]+(:\d+)?(\/[\w.-]+)*$/.test(hub))
    throw new OperatorError(
      `--hub: ${JSON.stringify(hub)} is no registry: write it without https://, as in docker.io/istio`,
    );
  const values: JsonObject = {
    watchedNamespaces: watchedNamespaces.join(','),
    imagePullSecrets,
    ...(hub !== undefined && { hub }),
    ...(tag !== undefined && { tag }),
    ...(revision !== undefined && { revision }),
  };
  const chart = loadChart(join(options.chartsDir, 'istio-operator'));
  const { manifests } = renderChart(chart, {
    values,
    release: { name: `istio-operator${revision ? `-${revision}` : ''}`, namespace: operatorNamespace, service: 'Helm' },
  });
  return manifests.map(({ object }) => object);
}

const namespaceObject = (name: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels: { 'istio-operator-managed': 'Reconcile', 'istio-injection': 'disabled' } },
});

/** `istioctl operator dump`: prints what `init` would apply. Raises OperatorError for an unknown output format. */
export async function runOperatorDump(
  options: OperatorChartOptions & { readonly ui: Ui; readonly output: string },
): Promise<number> {
  const objects = [namespaceObject(options.operatorNamespace), ...operatorObjects(options)];
  switch (options.output) {
    case 'yaml':
    case '':
      options.ui.line(manifestYaml(objects).trimEnd());
      return 0;
    case 'json':
      options.ui.line(JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }, null, 2));
      return 0;
    default:
      throw new OperatorError(`output format "${options.output}" is not supported: use yaml or json`);
  }
}

export interface OperatorInitOptions extends OperatorChartOptions {
  readonly ui: Ui;
  readonly client: () => KubeClient;
  /** Files with IstioOperators, which are applied once the operator runs. */
  readonly files: readonly string[];
  readonly istioNamespace: string;
  readonly dryRun: boolean;
  readonly force: boolean;
  readonly readinessTimeoutMs: number;
}

/** `istioctl operator init`: installs the operator; with `-f`, gives it an IstioOperator as well. Raises OperatorError and ChartError. */
export async function runOperatorInit(options: OperatorInitOptions): Promise<number> {
  const { ui } = options;
  const objects = operatorObjects(options);
  // Mistakes in the settings come to light before anything is made.
  const given: ReadSpec | undefined =
    options.files.length === 0
      ? undefined
      : readSpec({ ...options, sets: [], ...(options.revision ? { revision: options.revision } : {}) });
  for (const message of given?.messages ?? []) ui.warn(message);
  const watched = options.watchedNamespaces;
  const target = watched[0] ?? options.istioNamespace;
  if (options.dryRun) {
    for (const object of objects) ui.line(`  Would apply ${nameOf(object)}.`);
    if (given) ui.line(`  Would apply IstioOperator/${target}/installed-state.`);
    ui.line('Dry run: nothing was changed.');
    return 0;
  }
  const client = options.client();
  const apply = async (list: readonly KubeObject[]) => {
    const refusals = await applyAll(client, list);
    if (refusals.length > 0)
      throw new OperatorError(`the cluster refused ${refusals.length} objects:\n${refusalLines(refusals)}`);
  };
  const step = ui.step('Istio operator');
  try {
    for (const name of new Set([
      options.operatorNamespace,
      ...(watched.length > 0 ? watched : [options.istioNamespace]),
    ])) {
      const refusal = await ensureNamespace(client, name);
      if (refusal) throw new OperatorError(`the cluster refused a namespace:\n${refusalLines([refusal])}`);
    }
    step.note('applying');
    await apply(objects);
    await waitReady(client, objects, options.readinessTimeoutMs, (text) => step.note(text));
    step.done(
      `Istio operator installed in ${options.operatorNamespace}, watching ${watched.length > 0 ? watched.join(', ') : 'all namespaces'}`,
    );
  } catch (error) {
    step.fail('Istio operator encountered an error');
    throw error;
  }
  if (!given) {
    ui.line(
      `Now apply an IstioOperator in ${target}: kubectl apply -n ${target} -f my-config.yaml; kubectl get istiooperators -A shows what became of it.`,
    );
    return 0;
  }
  await apply([
    {
      apiVersion: 'install.istio.io/v1alpha1',
      kind: 'IstioOperator',
      metadata: { name: 'installed-state', namespace: target },
      spec: { ...given.given.spec, ...(options.revision ? { revision: options.revision } : {}) },
    },
  ]);
  ui.line(`IstioOperator ${target}/installed-state applied: kubectl get istiooperators -n ${target} -w`);
  return 0;
}

export interface OperatorRemoveOptions {
  readonly ui: Ui;
  readonly client: () => KubeClient;
  readonly operatorNamespace: string;
  readonly revision?: string;
  /** Operators of all revisions, and the definition of IstioOperators with them. */
  readonly purge: boolean;
  /** Also while IstioOperators wait for their removal, and where there is no Deployment. */
  readonly force: boolean;
  readonly dryRun: boolean;
}

/** Kinds of the operator's own objects, users of others first. */
const ownKinds = [
  kubernetesTypes.Deployment,
  kubernetesTypes.Service,
  kubernetesTypes.ClusterRoleBinding,
  kubernetesTypes.ClusterRole,
  kubernetesTypes.ServiceAccount,
  kubernetesTypes.Lease,
] as const;

async function present(client: KubeClient): Promise<readonly KubeObject[]> {
  try {
    return (await client.list(istioOperatorType, { dropManagedFields: true })).items;
  } catch (error) {
    if (isNotFound(error)) return [];
    throw error;
  }
}

/**
 * `istioctl operator remove`: takes the operator away and leaves the mesh as it is. What IstioOperators installed stays; their finalizers are taken off,
 * as nobody would answer to them any more.
 */
export async function runOperatorRemove(options: OperatorRemoveOptions): Promise<number> {
  const { ui, operatorNamespace } = options;
  const client = options.client();
  const revision = options.revision ?? '';
  const name = `istio-operator${revision === '' || revision === 'default' ? '' : `-${revision}`}`;
  const mine = ({ metadata }: KubeObject): boolean => {
    const { labels } = metadata;
    if (labels?.['app.kubernetes.io/name'] !== 'istio-operator') return false;
    return options.purge || metadata.name === name || metadata.name === `${name}-${operatorNamespace}`;
  };
  const found: { readonly type: (typeof ownKinds)[number]; readonly object: KubeObject }[] = [];
  for (const type of ownKinds) {
    const { items } = await client.list(type, {
      ...(type.namespaced && { namespace: operatorNamespace }),
      ...(type !== kubernetesTypes.Lease && { labelSelector: 'app.kubernetes.io/name=istio-operator' }),
    });
    for (const object of items)
      if (type === kubernetesTypes.Lease ? (object.metadata.name ?? '').startsWith(`${name}-lock`) : mine(object))
        found.push({ type, object });
  }
  const deployments = found.filter(({ type }) => type === kubernetesTypes.Deployment);
  if (deployments.length === 0 && !options.force)
    throw new OperatorError(
      `there is no operator ${options.purge ? '' : `${name} `}in ${operatorNamespace}: name its namespace with --operatorNamespace, its revision with --revision, or remove what is left with --force`,
    );
  const objects = await present(client);
  const leaving = objects.filter(({ metadata }) => metadata.deletionTimestamp !== undefined);
  if (leaving.length > 0 && !options.force)
    throw new OperatorError(
      `the operator is still removing what ${leaving.map(keyOf).join(', ')} installed: wait until it is gone, or stop it with --force`,
    );
  if (options.dryRun) {
    for (const { object, type } of found) ui.line(`  Would remove ${nameOf({ ...object, kind: type.kind })}.`);
    return 0;
  }
  if (objects.length > 0)
    ui.warn(
      `${objects.map(keyOf).join(', ')}: what they installed stays and nobody looks after it any more (istioctl uninstall removes it)`,
    );
  for (const { type, object } of found) {
    try {
      await client.delete(type, object.metadata.name ?? '', object.metadata.namespace);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    ui.line(`  Removed ${nameOf({ ...object, kind: type.kind })}.`);
  }
  // Without an operator a finalizer would keep the object, and its namespace, for ever.
  const remaining = options.purge || (await otherOperators(client)) === 0 ? objects : [];
  for (const object of remaining) {
    const finalizers = (object.metadata.finalizers ?? []).filter((each) => each !== finalizer);
    if (finalizers.length === (object.metadata.finalizers ?? []).length) continue;
    await client.patch(istioOperatorType, object.metadata.name ?? '', object.metadata.namespace, 'merge', {
      metadata: { finalizers },
    });
  }
  if (options.purge) await removeDefinition(client, ui);
  ui.step('Removal').done('Istio operator removed');
  return 0;
}

async function otherOperators(client: KubeClient): Promise<number> {
  const { items } = await client.list(kubernetesTypes.Deployment, {
    labelSelector: 'app.kubernetes.io/name=istio-operator',
  });
  return items.length;
}

async function removeDefinition(client: KubeClient, ui: Ui): Promise<void> {
  try {
    await client.delete(kubernetesTypes.CustomResourceDefinition, 'istiooperators.install.istio.io');
    ui.line('  Removed CustomResourceDefinition/istiooperators.install.istio.io.');
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}
