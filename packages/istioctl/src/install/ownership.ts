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
} as const;

/** The object with the labels of its installation. */
export function owned(object: KubeObject, component: ComponentName, revision: string): KubeObject {
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
        [ownershipLabels.revision]: object.metadata.labels?.[ownershipLabels.revision] ?? revision,
      },
    },
  };
}
