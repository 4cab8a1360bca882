import type { KubeClient } from '@istio-ts/kube';
import { OperatorError } from './failure.ts';
import { readSpec } from './input.ts';
import { installed, removeAll } from './prune.ts';
import type { Ui } from './ui.ts';

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
}

/** `istioctl uninstall --purge | --revision R | -f FILE`. The namespace and its secrets stay, so that a new installation keeps the same root. */
export async function runUninstall(options: UninstallOptions): Promise<number> {
  if (!options.purge && options.revision === undefined && options.files.length === 0)
    throw new OperatorError(
      'say what to remove: --purge (everything), --revision NAME (one control plane), or -f FILE',
    );
  const revision = options.purge ? undefined : (options.revision ?? (readSpec(options).spec.revision || 'default'));
  const objects = await installed(options.client(), revision);
  if (objects.length === 0) {
    options.ui.line(
      revision === undefined
        ? 'Istio is not installed in this cluster: there is nothing to remove.'
        : `there is no installation of revision ${revision}`,
    );
    return 0;
  }
  if (options.purge)
    options.ui.line(
      'All Istio resources will be pruned from the cluster, custom resource definitions and the objects of their kinds included.',
    );
  const proxies = objects.filter(({ object }) => object.kind === 'Deployment').length;
  if (
    !options.skipConfirmation &&
    !options.dryRun &&
    !(await options.ui.confirm(`This removes ${objects.length} objects (${proxies} Deployments). Proceed? (y/N) `))
  ) {
    options.ui.line('Cancelled.');
    return 1;
  }
  if (options.dryRun) {
    for (const { object } of objects)
      options.ui.line(
        `  Would remove ${object.kind} ${[object.metadata.namespace, object.metadata.name].filter(Boolean).join('/')}.`,
      );
    return 0;
  }
  await removeAll(options.client(), objects, (name) => options.ui.line(`  Removed ${name}.`));
  options.ui.step('Uninstall').done('Uninstall complete');
  return 0;
}
