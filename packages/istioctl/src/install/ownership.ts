import { VERSION } from '@istio-ts/api/version';
import type { KubeObject } from '@istio-ts/kube';
import type { ComponentName } from './components.ts';

/** Labels by which an installation finds its own objects again (istio-surface.md, labels). */
export const ownershipLabels = {
  component: 'operator.istio.io/component',
  managed: 'operator.istio.io/managed',
  version: 'operator.istio.io/version',
  owner: 'install.operator.istio.io/owning-resource',
  revision: 'istio.io/rev',
  tag: 'istio.io/tag',
} as const;

/** The object with the labels of its installation. Istio's core (custom resource definitions and the like) serves all revisions, so none owns it. */
export function owned(object: KubeObject, component: ComponentName, revision: string): KubeObject {
  const present = object.metadata.labels?.[ownershipLabels.revision];
  return {
    ...object,
    metadata: {
      ...object.metadata,
      labels: {
        ...object.metadata.labels,
        [ownershipLabels.owner]: object.metadata.labels?.[ownershipLabels.owner] ?? 'unknown',
        [ownershipLabels.component]: component,
        [ownershipLabels.managed]: 'Reconcile',
        [ownershipLabels.version]: VERSION,
        ...(component !== 'Base' && { [ownershipLabels.revision]: present ?? revision }),
      },
    },
  };
}

/** The revision whose installation owns an object. */
export const revisionOf = (object: KubeObject): string =>
  object.metadata.labels?.[ownershipLabels.revision] || 'default';
