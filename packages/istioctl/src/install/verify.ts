import { KubeApiError, type KubeClient, type KubeObject } from '@istio-ts/kube';
import { becomingReady, nameOf, unready } from './apply.ts';
import { OperatorError } from './failure.ts';
import { readSpec } from './input.ts';
import { generateManifests } from './manifests.ts';
import { installed } from './prune.ts';
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

/** `istioctl verify-install`: against `-f` and `--set`, or against what an installation left its labels on. */
export async function runVerifyInstall(options: VerifyOptions): Promise<number> {
  const client = options.client();
  let objects: readonly KubeObject[];
  if (options.files.length > 0 || options.sets.length > 0) {
    const { spec, messages } = readSpec(options);
    for (const message of messages) options.ui.warn(message);
    objects = generateManifests(options.chartsDir, spec).flatMap((entry) => entry.objects);
  } else {
    const found = (await installed(client, options.revision)).map(({ object }) => object);
    if (!found.some(({ kind }) => kind === 'Deployment'))
      throw new OperatorError(
        `Istio is not installed in this cluster: no Deployment of an installation was found. Install it with istioctl install`,
      );
    objects = [...found].sort((a, b) => nameOf(a).localeCompare(nameOf(b)));
  }
  const failures = await verifyObjects(client, objects, options.ui);
  if (failures > 0) {
    options.ui.warn(`✘ ${failures} ${failures === 1 ? 'object is' : 'objects are'} missing or not ready`);
    return 1;
  }
  options.ui.line('✔ Istio is installed and verified successfully');
  return 0;
}
