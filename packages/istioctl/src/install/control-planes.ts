import { kubernetesTypes } from '@istio-ts/api/resource-types';
import type { KubeClient, KubeObject } from '@istio-ts/kube';
import { ownershipLabels, revisionOf } from './ownership.ts';

/** A control plane in the cluster: the istiod of one revision. */
export interface ControlPlane {
  readonly revision: string;
  readonly namespace: string;
  /** For example `1.30.0`; undefined where neither label nor image tells. */
  readonly version: string | undefined;
  readonly deployment: KubeObject;
}

interface PodSpec {
  readonly template?: {
    readonly spec?: { readonly containers?: readonly { readonly name: string; readonly image?: string }[] };
  };
}

/** The version of an istiod: what its installation wrote on it, else the tag of its image. */
export function versionOf(deployment: KubeObject): string | undefined {
  const labels = deployment.metadata.labels ?? {};
  const containers = ((deployment.spec ?? {}) as PodSpec).template?.spec?.containers ?? [];
  const image = (containers.find(({ name }) => name === 'discovery') ?? containers[0])?.image;
  const tag = image === undefined ? undefined : /:(\d+\.\d+[^/@]*)(?:@|$)/.exec(image)?.[1];
  return labels[ownershipLabels.version] ?? tag ?? labels['app.kubernetes.io/version'];
}

/** The control planes of a cluster, by revision. */
export async function controlPlanes(client: KubeClient): Promise<readonly ControlPlane[]> {
  const { items } = await client.list(kubernetesTypes.Deployment, {
    labelSelector: 'app=istiod',
    dropManagedFields: true,
  });
  return items
    .map((deployment) => ({
      revision: revisionOf(deployment),
      namespace: deployment.metadata.namespace ?? '',
      version: versionOf(deployment),
      deployment,
    }))
    .sort((a, b) => a.revision.localeCompare(b.revision));
}

/** `-canary` for a named revision, nothing for the default one: what names of its objects end in. */
export const revisionSuffix = (revision: string): string =>
  revision === '' || revision === 'default' ? '' : `-${revision}`;
