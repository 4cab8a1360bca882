import { createHash } from 'node:crypto';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import type { KubeClient, KubeObject, ResourceType, Watch } from '@istio-ts/kube';
import { ownershipLabels, revisionOf } from '../install/ownership.ts';

/** Kinds of an installation that somebody may change or delete by hand. */
const watched: readonly ResourceType[] = [
  kubernetesTypes.Deployment,
  kubernetesTypes.DaemonSet,
  kubernetesTypes.Service,
  kubernetesTypes.ConfigMap,
  kubernetesTypes.ServiceAccount,
  kubernetesTypes.Role,
  kubernetesTypes.RoleBinding,
  kubernetesTypes.ClusterRole,
  kubernetesTypes.ClusterRoleBinding,
  kubernetesTypes.HorizontalPodAutoscaler,
  kubernetesTypes.PodDisruptionBudget,
  kubernetesTypes.MutatingWebhookConfiguration,
  kubernetesTypes.ValidatingWebhookConfiguration,
  kubernetesTypes.CustomResourceDefinition,
];

/** A digest of what in an object is somebody's wish: its status and its versions come and go by themselves. Definitions of resources are too long to keep. */
function wishOf(object: KubeObject): string {
  const { metadata, status: _, apiVersion: __, kind: ___, ...rest } = object;
  const { labels, annotations } = metadata;
  return createHash('sha256')
    .update(JSON.stringify([labels, annotations, rest]))
    .digest('base64');
}

/**
 * Tells when an object of an installation changes or goes: `onDrift` hears its revision and its name. What is there at the start and what is added is no
 * drift. Returns how to end it.
 */
export function watchDrift(
  client: KubeClient,
  onDrift: (revision: string, name: string) => void,
  onError: (error: Error) => void,
): Watch {
  const watches = watched.map((type) => {
    const known = new Map<string, string>();
    return client.watch(
      type,
      { labelSelector: `${ownershipLabels.managed}=Reconcile`, dropManagedFields: true },
      (event) => {
        if (event.type === 'SYNCED') return;
        const { object } = event;
        const name = [type.kind, object.metadata.namespace, object.metadata.name].filter(Boolean).join('/');
        const before = known.get(name);
        if (event.type === 'DELETED') {
          known.delete(name);
          onDrift(revisionOf(object), name);
          return;
        }
        const wish = wishOf(object);
        known.set(name, wish);
        if (before !== undefined && before !== wish) onDrift(revisionOf(object), name);
      },
      onError,
    );
  });
  return {
    close: () => {
      for (const watch of watches) watch.close();
    },
  };
}
