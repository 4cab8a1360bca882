import { kubernetesTypes } from '@istio-ts/api/resource-types';
import type { KubeClient } from '@istio-ts/kube';
import { nameOf, refusalLines } from './apply.ts';
import { byNamespace, connectedProxies, namespacesShown } from './connected-proxies.ts';
import { controlPlanes } from './control-planes.ts';
import { OperatorError } from './failure.ts';
import { readSpec } from './input.ts';
import { ownershipLabels } from './ownership.ts';
import { createProgress } from './progress.ts';
import { definitionsLeft, everything, ofRevision, type Removal, removeAll } from './prune.ts';
import { readTags } from './revision-tag.ts';
import { interruptible, type Ui } from './ui.ts';

/** An API server removes the objects of a definition before it. */
const DEFINITIONS_TIMEOUT_MS = 30_000;

export interface UninstallOptions {
  readonly client: () => KubeClient;
  readonly ui: Ui;
  readonly chartsDir: string;
  readonly purge: boolean;
  readonly files: readonly string[];
  readonly sets: readonly string[];
  readonly revision?: string;
  readonly istioNamespace: string;
  readonly dryRun: boolean;
  readonly skipConfirmation: boolean;
  readonly verbose: boolean;
  /** Goes on in spite of mistakes in the settings that `-f` gives. */
  readonly force?: boolean;
}

function chosenRevision(options: UninstallOptions): string | undefined {
  const named = options.revision !== undefined || options.files.length > 0 || options.sets.length > 0;
  if (options.purge && (options.revision !== undefined || options.files.length > 0))
    throw new OperatorError('--purge removes every revision: leave out --revision and -f, or leave out --purge');
  if (!options.purge && !named)
    throw new OperatorError(
      'say what to remove: --purge (everything), --revision NAME (one control plane), or -f FILE',
    );
  if (options.purge) return undefined;
  return options.revision ?? (readSpec(options).spec.revision || 'default');
}

/** Tells whom the removal hits: proxies without a control plane, namespaces whose pods can no longer start. */
async function warnOfUsers(options: UninstallOptions, revision: string | undefined, namespace: string): Promise<void> {
  const { ui } = options;
  const client = options.client();
  const what = revision === undefined ? 'a control plane' : `revision ${revision}`;
  const connected = await connectedProxies(client, namespace, revision);
  if (!connected.known)
    ui.warn(`which proxies use ${what} is not known, because istiod cannot be asked: ${connected.reason}`);
  else if (connected.proxies.length > 0) {
    const count = connected.proxies.length;
    ui.warn(
      `${count} ${count === 1 ? 'proxy is' : 'proxies are'} still connected to ${what}: ${namespacesShown(byNamespace(connected.proxies))}. Without it they keep their last configuration and their certificates expire. Move them first: label their namespaces with another revision and restart the pods (kubectl rollout restart).`,
    );
  }
  if (revision === undefined) return;
  const tags = (await readTags(client)).filter((tag) => tag.revision === revision);
  for (const { tag, namespaces } of tags)
    ui.warn(
      `tag ${tag} stands for ${what} and goes with it${namespaces.length > 0 ? `; new pods in ${namespaces.join(', ')} start without a sidecar then` : ''}. To keep it: istioctl tag set ${tag} --revision OTHER --overwrite`,
    );
}

/** Helm keeps records of its own, which a removal behind its back leaves. */
function warnOfHelm(ui: Ui, removals: readonly Removal[]): void {
  const releases = new Set(
    removals.flatMap(({ object }) => {
      const { annotations } = object.metadata;
      const name = annotations?.['meta.helm.sh/release-name'];
      return name === undefined ? [] : [`${name} -n ${annotations?.['meta.helm.sh/release-namespace'] ?? 'default'}`];
    }),
  );
  for (const release of [...releases].sort())
    ui.warn(`some of it was installed by Helm: remove its record with helm uninstall ${release}`);
}

const counted = (removals: readonly Removal[]): string => {
  const kinds = new Map<string, number>();
  for (const { object } of removals) kinds.set(object.kind, (kinds.get(object.kind) ?? 0) + 1);
  return [...kinds].map(([kind, count]) => `${count} ${kind}`).join(', ');
};

/** `istioctl uninstall --purge | --revision R | -f FILE`. The namespace and its secrets stay, so that a new installation keeps the same root. */
export async function runUninstall(options: UninstallOptions): Promise<number> {
  const { ui } = options;
  const revision = chosenRevision(options);
  const client = options.client();
  const planes = await controlPlanes(client);
  const others = planes.some((plane) => plane.revision !== revision);
  const { removals, unseen } =
    revision === undefined ? await everything(client) : await ofRevision(client, revision, others);
  if (unseen.length > 0) ui.warn(`you may not list ${unseen.join(', ')}: whatever there is of these stays`);
  if (removals.length === 0) {
    const present = planes.map((plane) => plane.revision).join(', ');
    ui.line(
      revision === undefined
        ? 'Istio is not installed in this cluster: there is nothing to remove.'
        : `There is no installation of revision ${revision}${present === '' ? '' : `; there is: ${present}`}.`,
    );
    return 0;
  }
  const namespace = planes.find((plane) => plane.revision === revision)?.namespace ?? options.istioNamespace;
  await warnOfUsers(options, revision, namespace);
  warnOfHelm(ui, removals);
  if (revision === undefined)
    ui.line(
      'All Istio resources will be pruned from the cluster, custom resource definitions and the objects of their kinds included.',
    );
  const deployments = removals.filter(({ type }) => type === kubernetesTypes.Deployment).length;
  if (options.dryRun || options.verbose) ui.line(`${removals.length} objects: ${counted(removals)}`);
  if (options.dryRun) {
    for (const { object } of removals) ui.line(`  Would remove ${nameOf(object)}.`);
    ui.line('Dry run: nothing was removed.');
    return 0;
  }
  if (
    !options.skipConfirmation &&
    !(await ui.confirm(`This removes ${removals.length} objects (${deployments} Deployments). Proceed? (y/N) `))
  ) {
    ui.line('Cancelled.');
    return 1;
  }
  const progress = createProgress('removed', 'Run the same command again to remove the rest.');
  const refusals = await interruptible(ui, progress.describe, () => {
    progress.begin(removals.length);
    return removeAll(client, removals, (name, object) => {
      progress.changed(object);
      ui.line(`  Removed ${name}.`);
    });
  });
  if (refusals.length > 0)
    throw new OperatorError(
      `the cluster refused to remove ${refusals.length} of ${removals.length} objects:\n${refusalLines(refusals)}\nRun the same command again once the cluster allows it.`,
    );
  const definitions = await definitionsLeft(client, removals, DEFINITIONS_TIMEOUT_MS);
  if (definitions.length > 0)
    ui.warn(
      `${definitions.length} custom resource definitions are still being removed, as ${definitions[0]}: a finalizer of one of their objects may hold them (kubectl get crd)`,
    );
  ui.step('Uninstall').done('Uninstall complete');
  const tagged = removals.some(({ object }) => object.metadata.labels?.[ownershipLabels.tag] === 'default');
  const left = planes.filter((plane) => plane.revision !== revision).map((plane) => plane.revision);
  if (revision !== undefined && tagged && left.length > 0)
    ui.line(
      `No revision is the default now: namespaces with istio-injection=enabled are not injected. Choose one: istioctl tag set default --revision ${left[0]}`,
    );
  return 0;
}
