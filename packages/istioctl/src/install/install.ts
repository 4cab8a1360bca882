import { VERSION } from '@istio-ts/api/version';
import type { JsonObject } from '@istio-ts/charts';
import { KubeApiError, type KubeClient, type KubeObject } from '@istio-ts/kube';
import { applyAll, ensureNamespace, type Refusal, refusalLines } from './apply.ts';
import { componentTitles, refuseUnbuilt } from './components.ts';
import { defaultAfter, isEmpty, type MeshState, meshState, tieDefaultTag, withDefault } from './default-revision.ts';
import { OperatorError } from './failure.ts';
import { type GivenSettings, readSpec } from './input.ts';
import { type InstallationRecord, readRecord, writeRecord } from './installation-record.ts';
import { type ComponentManifests, generateManifests } from './manifests.ts';
import { owned } from './ownership.ts';
import {
  changesNothing,
  type ComponentPlan,
  type Plan,
  planChanges,
  planFromNothing,
  planLines,
  refusalsOf,
} from './plan.ts';
import { createProgress, type Progress } from './progress.ts';
import { removeAll, unwanted } from './prune.ts';
import { waitReady } from './readiness.ts';
import type { InstallSpec } from './spec.ts';
import { interruptible, type Step, type Ui } from './ui.ts';

export interface InstallOptions {
  readonly client: () => KubeClient;
  readonly ui: Ui;
  readonly chartsDir: string;
  readonly files: readonly string[];
  /** Settings that do not come from files; on top of those that do. */
  readonly specs?: readonly JsonObject[];
  readonly sets: readonly string[];
  readonly revision?: string;
  readonly istioNamespace: string;
  readonly dryRun: boolean;
  readonly skipConfirmation: boolean;
  readonly readinessTimeoutMs: number;
  readonly verify: boolean;
  /** Installs in spite of mistakes in the settings, and over objects of Helm releases. */
  readonly force: boolean;
  /** Time of day, for the record that the installation leaves. */
  readonly now?: () => Date;
}

/** Words that differ between installing and upgrading. */
export interface Wording {
  /** For example `This will install the Istio 1.30.0 demo profile with ["Istiod"] components into the cluster.` */
  readonly question: (profile: string, titles: string) => string;
  readonly done: string;
  readonly again: string;
}

const installing: Wording = {
  question: (profile, titles) =>
    `This will install the Istio ${VERSION} ${profile} profile with [${titles}] components into the cluster.`,
  done: 'Installation complete',
  again: 'Run the same command again to complete the installation, or take it back with istioctl uninstall',
};

/** What an installation is about to do: settings, objects and the state that it finds. */
interface Prepared {
  readonly revision: string;
  readonly namespace: string;
  readonly profile: string;
  readonly settings: GivenSettings;
  readonly manifests: readonly ComponentManifests[];
  readonly state: MeshState;
  readonly defaultRevision: string | undefined;
  readonly record: InstallationRecord | undefined;
  readonly plan: Plan;
}

const autoInject = (spec: InstallSpec): boolean => {
  const webhook = spec.values?.sidecarInjectorWebhook as JsonObject | undefined;
  return webhook?.enableNamespacesByDefault === true;
};

async function prepare(options: InstallOptions): Promise<Prepared> {
  const { profile, spec, given, messages } = readSpec(options);
  refuseUnbuilt(spec);
  for (const message of messages) options.ui.warn(message);
  const revision = spec.revision || 'default';
  const namespace = spec.namespace ?? options.istioNamespace;
  const rendered = generateManifests(options.chartsDir, spec).map(({ component, objects }) => ({
    component,
    objects: objects.map((object) => owned(object, component, revision)),
  }));
  const client = options.client();
  const state = await meshState(client, revision, namespace);
  const installsIstiod = rendered.some(({ component }) => component === 'Pilot');
  const defaultRevision = installsIstiod ? defaultAfter(revision, state) : undefined;
  const manifests = withDefault(rendered, {
    chartsDir: options.chartsDir,
    revision,
    istioNamespace: namespace,
    defaultRevision,
    state,
    autoInjectNamespaces: autoInject(spec),
  });
  const common = { revision, namespace, profile, settings: given, manifests, state, defaultRevision };
  // On an empty cluster everything is new: nothing to ask it.
  if (isEmpty(state) && !options.dryRun) return { ...common, record: undefined, plan: planFromNothing(manifests) };
  const record = await readRecord(client, revision, namespace);
  const changes = await planChanges(client, manifests, options.dryRun && state.namespaceExists);
  const others = state.controlPlanes.some((plane) => plane.revision !== revision);
  const found = await unwanted(
    client,
    manifests.flatMap(({ objects }) => objects),
    revision,
    others,
  );
  if (found.unseen.length > 0)
    options.ui.warn(`you may not list ${found.unseen.join(', ')}: what an earlier installation left of these stays`);
  return { ...common, record, plan: { ...changes, removals: found.removals } };
}

function showPlan(options: InstallOptions, { plan, revision, namespace, profile, record, state }: Prepared): void {
  const { ui } = options;
  if (record && !record.complete)
    ui.warn(`The installation of revision ${revision} begun at ${record.at} did not end; this one completes it.`);
  if (plan.components.length === 0)
    ui.line('This profile installs nothing; what an earlier installation made will be removed.');
  const lines = planLines(plan, options.dryRun);
  if (lines.length === 0) return;
  ui.line(`Plan (Istio ${VERSION}, profile ${profile}, revision ${revision}, namespace ${namespace}):`);
  for (const line of lines) ui.line(line);
  const others = state.controlPlanes.filter((plane) => plane.revision !== revision).map((plane) => plane.revision);
  if (others.length > 0) ui.line(`  Beside it stays: revision ${others.join(', ')}.`);
}

/** Helm would put its own settings back at its next upgrade: two owners are a mistake unless the user insists. */
function refuseHelm(options: InstallOptions, { helm }: Plan): void {
  if (helm.length === 0) return;
  const shown = `${helm.slice(0, 5).join(', ')}${helm.length > 5 ? ` and ${helm.length - 5} more` : ''}`;
  if (!options.force && !options.dryRun)
    throw new OperatorError(
      `${helm.length} objects belong to Helm releases: ${shown}. Change them with helm upgrade, or take them over with --force (then remove the releases' records with helm's "keep")`,
    );
  options.ui.warn(`objects of Helm releases: ${shown}`);
}

async function applyComponent(
  options: InstallOptions,
  { component, changes }: ComponentPlan,
  mayWait: () => boolean,
  progress: Progress,
): Promise<readonly Refusal[]> {
  const client = options.client();
  const { title, done } = componentTitles[component];
  const step: Step = options.ui.step(title);
  try {
    step.note('applying');
    progress.stage(`applying ${title}`);
    const refusals = [
      ...(await applyAll(
        client,
        changes.flatMap((change) => (change.action === 'keep' ? [] : [change.object])),
        { onApplied: (object) => progress.changed(object) },
      )),
    ];
    if (refusals.length > 0) {
      step.fail(`${title}: the cluster refused ${refusals.length} of ${changes.length} objects`);
      return refusals;
    }
    if (!mayWait()) {
      step.done(`${title}: applied, not waited for`);
      return [];
    }
    progress.stage(`waiting for ${title}`);
    await waitReady(
      client,
      changes.map(({ object }) => object),
      options.readinessTimeoutMs,
      (text) => step.note(text),
    );
    step.done(done);
    return [];
  } catch (error) {
    // The reason follows in the last line of the command.
    step.fail(`${title} encountered an error`);
    throw error;
  }
}

const withControlPlane = (manifests: readonly ComponentManifests[]): boolean =>
  manifests.some(({ component }) => component === 'Pilot');

/** Applies the parts in their order, gateways side by side; resolves with everything that the cluster refused. */
async function applyPlan(options: InstallOptions, prepared: Prepared, progress: Progress): Promise<readonly Refusal[]> {
  const { plan, namespace, manifests } = prepared;
  const client = options.client();
  const refusals: Refusal[] = [];
  const namespaces = new Set(
    plan.components.flatMap(({ changes }) => changes.flatMap(({ object }) => object.metadata.namespace ?? [])),
  );
  if (plan.components.length > 0) namespaces.add(namespace);
  for (const name of namespaces) {
    const refusal = await ensureNamespace(client, name);
    if (refusal) refusals.push(refusal);
  }
  if (withControlPlane(manifests)) await note(options, prepared, false);
  // What refers to something refused may never become ready.
  const mayWait = () => refusals.length === 0;
  const of = (...names: readonly string[]) => plan.components.filter(({ component }) => names.includes(component));
  for (const component of of('Base', 'Pilot', 'Cni', 'Ztunnel'))
    refusals.push(...(await applyComponent(options, component, mayWait, progress)));
  // Gateways need istiod, but not each other.
  const gateways = await Promise.allSettled(
    of('EgressGateways', 'IngressGateways').map((component) => applyComponent(options, component, mayWait, progress)),
  );
  for (const result of gateways) if (result.status === 'fulfilled') refusals.push(...result.value);
  const failed = gateways.find((result) => result.status === 'rejected');
  if (failed && refusals.length === 0) throw failed.reason;
  return refusals;
}

function refused(refusals: readonly Refusal[], again: string): OperatorError {
  const count = `${refusals.length} ${refusals.length === 1 ? 'object' : 'objects'}`;
  return new OperatorError(
    `the cluster refused ${count}; the others were applied, nothing was removed:\n${refusalLines(refusals)}\n${again}, once the cluster allows it.`,
  );
}

/** Writes down how far the installation is. That it may not is no reason to fail: nothing of the mesh needs it. */
async function note(options: InstallOptions, prepared: Prepared, complete: boolean): Promise<void> {
  const { profile, settings, revision, namespace } = prepared;
  const at = (options.now ?? (() => new Date()))().toISOString();
  try {
    const record = { version: VERSION, profile, settings, complete, at };
    await writeRecord(options.client(), record, revision, namespace);
  } catch (error) {
    if (!(error instanceof KubeApiError)) throw error;
    options.ui.warn(`the settings of this installation cannot be written down: ${error.message}`);
  }
}

/** Applies a plan to its end: returns when everything is ready and what is no longer wanted is gone. Raises OperatorError. */
async function carryOut(options: InstallOptions, prepared: Prepared, wording: Wording): Promise<void> {
  const { plan, revision, manifests } = prepared;
  const client = options.client();
  const changed = plan.components.flatMap(({ changes }) => changes.filter(({ action }) => action !== 'keep'));
  const total = changed.length + plan.removals.length;
  const progress = createProgress('applied', `${wording.again} --revision ${revision}.`);
  await interruptible(options.ui, progress.describe, async () => {
    progress.begin(total);
    const refusals = await applyPlan(options, prepared, progress);
    if (refusals.length > 0) throw refused(refusals, wording.again);
    progress.stage('removing what is no longer wanted');
    const stuck = await removeAll(client, plan.removals, (name, object) => {
      progress.changed(object);
      options.ui.line(`  Removed ${name}.`);
    });
    if (stuck.length > 0)
      throw new OperatorError(`the cluster does not let go of ${stuck.length} objects:\n${refusalLines(stuck)}`);
    if (prepared.defaultRevision === revision && prepared.state.injector === undefined)
      await tieDefaultTag(client, manifests, revision, prepared.namespace);
    if (withControlPlane(manifests)) await note(options, prepared, true);
  });
}

/** The installation behind install and upgrade: returns the exit code. */
export async function installWith(options: InstallOptions, wording: Wording): Promise<number> {
  const prepared = await prepare(options);
  const { plan, manifests, revision, defaultRevision, state } = prepared;
  const titles = manifests.map(({ component }) => `"${componentTitles[component].title}"`).join(' ');
  showPlan(options, prepared);
  refuseHelm(options, plan);
  if (options.dryRun) {
    const refusals = refusalsOf(plan);
    if (refusals.length > 0)
      throw new OperatorError(
        `the cluster would refuse ${refusals.length} ${refusals.length === 1 ? 'object' : 'objects'}, marked with ! above.\nDry run: nothing was changed.`,
      );
    if (!state.namespaceExists && manifests.length > 0)
      options.ui.line(
        `  The cluster can check these objects only when the namespace ${prepared.namespace} exists (kubectl create namespace ${prepared.namespace}).`,
      );
    options.ui.line(
      changesNothing(plan) ? 'Dry run: the cluster is already as wanted.' : 'Dry run: nothing was changed.',
    );
    return 0;
  }
  if (!options.skipConfirmation) {
    const answer = await options.ui.confirm(`${wording.question(prepared.profile, titles)} Proceed? (y/N) `);
    if (!answer) {
      options.ui.line('Cancelled.');
      return 1;
    }
  }
  await carryOut(options, prepared, wording);
  options.ui.step('Installation').done(wording.done);
  if (defaultRevision === revision)
    options.ui.line('Making this installation the default for injection and validation.');
  else if (withControlPlane(manifests))
    options.ui.line(
      `${defaultRevision === undefined ? 'The default for injection stays as it is' : `Revision ${defaultRevision} stays the default`}. Use this one with the label istio.io/rev=${revision}, or make it the default: istioctl tag set default --revision ${revision} --overwrite`,
    );
  if (options.verify) {
    const { verifyObjects } = await import('./verify.ts');
    const wanted: readonly KubeObject[] = manifests.flatMap(({ objects }) => objects);
    const failures = await verifyObjects(options.client(), wanted, options.ui);
    if (failures > 0) throw new OperatorError(`${failures} objects are missing or not ready`);
  }
  return 0;
}

/**
 * `istioctl install`: shows what will change, asks, applies, waits and removes what is no longer wanted. Returns the exit code. Raises OperatorError,
 * ChartError and KubeApiError, whose messages are for users.
 */
export const runInstall = (options: InstallOptions): Promise<number> => installWith(options, installing);
