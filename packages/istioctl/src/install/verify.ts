import { KubeApiError, type KubeClient, type KubeObject } from '@istio-ts/kube';
import { nameOf } from './apply.ts';
import { controlPlanes } from './control-planes.ts';
import { OperatorError } from './failure.ts';
import { readSpec } from './input.ts';
import { readRecord } from './installation-record.ts';
import { generateManifests } from './manifests.ts';
import { everything, ofRevision } from './prune.ts';
import { becomingReady, unready } from './readiness.ts';
import type { Ui } from './ui.ts';

export interface VerifyOptions {
  readonly client: () => KubeClient;
  readonly ui: Ui;
  readonly chartsDir: string;
  readonly files: readonly string[];
  readonly sets: readonly string[];
  readonly revision?: string;
  readonly istioNamespace: string;
}

/** Checks that each object is in the cluster and ready; returns how many are not. */
export async function verifyObjects(client: KubeClient, objects: readonly KubeObject[], ui: Ui): Promise<number> {
  let failures = 0;
  const late = new Set(becomingReady(objects));
  for (const object of objects) {
    const shown = `${object.kind}: ${object.metadata.name}${object.metadata.namespace ? `.${object.metadata.namespace}` : ''}`;
    try {
      const type = await client.resolve(object.apiVersion, object.kind);
      const present = await client.get(type, object.metadata.name ?? '', object.metadata.namespace);
      const missing = late.has(object) ? unready(present) : undefined;
      if (missing === undefined) ui.line(`✔ ${shown} checked successfully`);
      else {
        failures += 1;
        ui.warn(`✘ ${shown}: ${missing}`);
      }
    } catch (error) {
      if (!(error instanceof KubeApiError)) throw error;
      failures += 1;
      ui.warn(`✘ ${shown}: ${error.status === 404 ? 'is not in the cluster' : error.message}`);
    }
  }
  const count = (kind: string) => objects.filter((object) => object.kind === kind).length;
  ui.line(`Checked ${count('CustomResourceDefinition')} custom resource definitions`);
  ui.line(`Checked ${count('Deployment')} Istio Deployments`);
  return failures;
}

function fromSettings(options: VerifyOptions & { readonly specs?: Parameters<typeof readSpec>[0]['specs'] }) {
  const { spec, messages } = readSpec(options);
  for (const message of messages) options.ui.warn(message);
  return generateManifests(options.chartsDir, spec).flatMap((entry) => entry.objects);
}

/**
 * What is to be in the cluster: what the settings of the revision's installation give, as it wrote them down; of one that left no such record, what carries
 * its labels. Says where an installation did not end. Raises OperatorError when there is no such control plane.
 */
async function expected(options: VerifyOptions): Promise<readonly KubeObject[]> {
  const { ui } = options;
  const client = options.client();
  const planes = await controlPlanes(client);
  const chosen = planes.filter(({ revision }) => options.revision === undefined || revision === options.revision);
  const revisions = [...new Set([...chosen.map(({ revision }) => revision), options.revision ?? 'default'])];
  const objects = new Map<string, KubeObject>();
  for (const revision of revisions) {
    const namespace = planes.find((plane) => plane.revision === revision)?.namespace ?? options.istioNamespace;
    const record = await readRecord(client, revision, namespace);
    if (record === undefined) continue;
    if (!record.complete) ui.warn(`the installation of revision ${revision} begun at ${record.at} did not end`);
    const { spec, sets } = record.settings;
    // Gateways are upgraded in place by whichever revision was installed last, so a name may come more than once.
    for (const object of fromSettings({ ...options, revision, files: [], specs: [spec], sets }))
      objects.set(nameOf(object), object);
  }
  if (objects.size > 0) return [...objects.values()];
  const { removals } =
    options.revision === undefined ? await everything(client) : await ofRevision(client, options.revision, false);
  const found = removals.map(({ object }) => object);
  if (!found.some(({ kind }) => kind === 'Deployment')) {
    const present = planes.map(({ revision }) => revision).join(', ');
    throw new OperatorError(
      options.revision !== undefined && present !== ''
        ? `revision ${options.revision} is not installed in this cluster; there is: ${present}`
        : 'Istio is not installed in this cluster: no Deployment of an installation was found. Install it with istioctl install',
    );
  }
  return found.sort((a, b) => nameOf(a).localeCompare(nameOf(b)));
}

/** `istioctl verify-install`: against `-f` and `--set`, or against what the installation was made with. */
export async function runVerifyInstall(options: VerifyOptions): Promise<number> {
  const given = options.files.length > 0 || options.sets.length > 0;
  const objects = given ? fromSettings(options) : await expected(options);
  const failures = await verifyObjects(options.client(), objects, options.ui);
  if (failures > 0) {
    options.ui.warn(
      `✘ ${failures} ${failures === 1 ? 'object is' : 'objects are'} missing or not ready; istioctl install with the same settings repairs that`,
    );
    return 1;
  }
  options.ui.line('✔ Istio is installed and verified successfully');
  return 0;
}
