import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { VERSION } from '@istio-ts/api/version';
import type { KubeClient, KubeObject } from '@istio-ts/kube';
import { applyAll, ensureNamespace, waitReady } from './apply.ts';
import { type ComponentName, componentTitles } from './components.ts';
import { OperatorError } from './failure.ts';
import { readSpec } from './input.ts';
import { type ComponentManifests, generateManifests } from './manifests.ts';
import { owned } from './ownership.ts';
import { prune } from './prune.ts';
import type { Step, Ui } from './ui.ts';

export interface InstallOptions {
  readonly client: () => KubeClient;
  readonly ui: Ui;
  readonly chartsDir: string;
  readonly files: readonly string[];
  readonly sets: readonly string[];
  readonly revision?: string;
  readonly istioNamespace: string;
  readonly dryRun: boolean;
  readonly skipConfirmation: boolean;
  readonly readinessTimeoutMs: number;
  readonly verify: boolean;
  /** Installs in spite of mistakes in the settings. */
  readonly force: boolean;
}

async function installComponent(
  options: InstallOptions,
  { component, objects }: ComponentManifests,
  namespace: string,
): Promise<void> {
  const client = options.client();
  const { title, done } = componentTitles[component];
  const step: Step = options.ui.step(title);
  try {
    step.note('applying');
    for (const name of new Set(
      objects.map(({ metadata }) => metadata.namespace).filter((name) => name !== undefined && name !== namespace),
    ))
      if (!options.dryRun) await ensureNamespace(client, name as string);
    await applyAll(client, objects, options.dryRun);
    if (!options.dryRun) await waitReady(client, objects, options.readinessTimeoutMs, (text) => step.note(text));
    step.done(options.dryRun ? `${title} checked` : done);
  } catch (error) {
    // The reason follows in the last line of the command.
    step.fail(`${title} encountered an error`);
    throw error;
  }
}

/** What the cluster can check before anything was made: not the objects in namespaces that are still to come. */
async function checkable(
  client: KubeClient,
  ui: Ui,
  manifests: readonly ComponentManifests[],
): Promise<readonly ComponentManifests[]> {
  const { items } = await client.list(kubernetesTypes.Namespace);
  const present = new Set(items.map(({ metadata }) => metadata.name));
  const canBeChecked = ({ metadata }: KubeObject) =>
    metadata.namespace === undefined || present.has(metadata.namespace);
  const later = manifests.flatMap(({ objects }) => objects.filter((object) => !canBeChecked(object)));
  const namespaces = [...new Set(later.map(({ metadata }) => metadata.namespace))].join(', ');
  if (later.length > 0)
    ui.warn(`${later.length} objects are not checked, because their namespace ${namespaces} does not exist yet`);
  return manifests.map(({ component, objects }) => ({ component, objects: objects.filter(canBeChecked) }));
}

/** `istioctl install`: returns the exit code. Raises OperatorError, ChartError and KubeApiError, whose messages are for users. */
export async function runInstall(options: InstallOptions): Promise<number> {
  const { profile, spec, messages } = readSpec(options);
  for (const message of messages) options.ui.warn(message);
  const revision = spec.revision || 'default';
  const manifests = generateManifests(options.chartsDir, spec).map(({ component, objects }) => ({
    component,
    objects: objects.map((object) => owned(object, component, revision)),
  }));
  const titles = manifests.map(({ component }) => `"${componentTitles[component].title}"`).join(' ');
  if (manifests.length === 0)
    options.ui.line('This profile installs nothing; what an earlier installation made will be removed.');
  if (!options.skipConfirmation && !options.dryRun) {
    const answer = await options.ui.confirm(
      `This will install the Istio ${VERSION} ${profile} profile with [${titles}] components into the cluster. Proceed? (y/N) `,
    );
    if (!answer) {
      options.ui.line('Cancelled.');
      return 1;
    }
  }
  const client = options.client();
  const namespace = spec.namespace ?? options.istioNamespace;
  if (!options.dryRun && manifests.length > 0) await ensureNamespace(client, namespace);
  const applied = options.dryRun ? await checkable(client, options.ui, manifests) : manifests;
  const of = (component: ComponentName) => applied.filter((entry) => entry.component === component);
  for (const component of ['Base', 'Pilot'] as const)
    for (const entry of of(component)) await installComponent(options, entry, namespace);
  // Gateways need istiod, but not each other.
  const gateways = await Promise.allSettled(
    [...of('EgressGateways'), ...of('IngressGateways')].map((entry) => installComponent(options, entry, namespace)),
  );
  const failed = gateways.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
  if (options.dryRun) {
    options.ui.line('Dry run: the cluster accepts what was checked; nothing was changed.');
    return 0;
  }
  const wanted: readonly KubeObject[] = manifests.flatMap(({ objects }) => objects);
  await prune(client, wanted, revision, (name) => options.ui.line(`  Removed ${name}.`));
  options.ui.step('Installation').done('Installation complete');
  if (of('Pilot').length > 0) options.ui.line('Making this installation the default for injection and validation.');
  if (options.verify) {
    const { verifyObjects } = await import('./verify.ts');
    const failures = await verifyObjects(client, wanted, options.ui);
    if (failures > 0) throw new OperatorError(`${failures} objects are missing or not ready`);
  }
  return 0;
}
